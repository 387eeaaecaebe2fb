"""Save a model as a reproducible `.keras` file: the same model gives the same bytes.

Keras writes the current time into the file, and uses memory addresses as ids of objects that
layers share. Here the time is constant and the ids count from 0, so that equal models have
equal hashes.
"""

import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_edge import bundle

if TYPE_CHECKING:
    import keras

# The earliest date that a zip archive can hold; Keras itself uses it for the other members.
_DATE = (1980, 1, 1, 0, 0, 0)
_METADATA, _CONFIG = "metadata.json", "config.json"


def to_bytes(model: "keras.Model") -> bytes:
    """Returns the content of a model's `.keras` file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: archive.read(info) for info in archive.infolist()}
    metadata = json.loads(members[_METADATA])
    metadata["date_saved"] = "{:04}-{:02}-{:02}@{:02}:{:02}:{:02}".format(*_DATE)
    members[_METADATA] = json.dumps(metadata).encode()
    members[_CONFIG] = json.dumps(_renumbered(json.loads(members[_CONFIG]), {})).encode()
    saved = io.BytesIO()
    with zipfile.ZipFile(saved, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), content)
    return saved.getvalue()


def weights_sha256(model: "keras.Model") -> str:
    """Returns the SHA-256 of a model's weights in order, whichever Keras version saved them."""
    return bundle.sha256_array(np.concatenate([w.ravel() for w in model.get_weights()]))


def _renumbered(value: Any, numbers: dict[int, int]) -> Any:
    """Returns a configuration whose shared objects are numbered in order of appearance."""
    if isinstance(value, list):
        return [_renumbered(item, numbers) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: numbers.setdefault(item, len(numbers))
        if key == "shared_object_id"
        else _renumbered(item, numbers)
        for key, item in value.items()
    }
