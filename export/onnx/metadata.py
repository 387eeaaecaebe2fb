"""Metadata of an ONNX file: in `metadata_props`, each value as JSON."""

import json
from collections.abc import Mapping
from pathlib import Path


def embed(content: bytes, fields: Mapping[str, object]) -> bytes:
    """Puts metadata into a file."""
    import onnx

    model = onnx.load_from_string(content)
    onnx.helper.set_model_props(model, {key: json.dumps(v) for key, v in fields.items()})
    return model.SerializeToString(deterministic=True)


def read(path: Path) -> dict[str, object]:
    """Reads what a file of anybody's says of itself; what other tools wrote is text.

    Raises:
        Exception: Whatever the parser stumbles on in a damaged file.
    """
    import onnx

    props = onnx.load(path, load_external_data=False).metadata_props
    return {prop.key: _value(prop.value) for prop in props}


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
