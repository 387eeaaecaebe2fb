"""Metadata of an ONNX file, stored in `metadata_props` with values as JSON."""

import json
from collections.abc import Mapping
from pathlib import Path


def embed(content: bytes, fields: Mapping[str, object]) -> bytes:
    """Embeds metadata in an artifact's bytes."""
    import onnx

    model = onnx.load_from_string(content)
    onnx.helper.set_model_props(model, {key: json.dumps(v) for key, v in fields.items()})
    return model.SerializeToString(deterministic=True)


def read(path: Path) -> dict[str, object]:
    """Reads the metadata of an untrusted file; values that are not JSON are strings.

    Raises:
        Exception: The file is damaged; the parser may raise any exception.
    """
    import onnx

    props = onnx.load(path, load_external_data=False).metadata_props
    return {prop.key: _value(prop.value) for prop in props}


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
