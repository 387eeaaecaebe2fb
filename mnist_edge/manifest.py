"""A bundle's manifest, read as what it is: a file from anywhere.

Every value that is used is checked here, once, before it names a file, opens
one or sizes anything.
"""

from pathlib import Path

from mnist_edge import bundle, expect
from mnist_edge.errors import InputError
from mnist_edge.expect import NAME, PATH, SHA256, TEXT
from mnist_edge.safety import files

# The row of the Keras model; no artifact may have its name.
KERAS_ROW = "keras"
FORMATS = ("tflite", "onnx")
# Images and predictions, one a class where they fit, unpacked: room for one of any model.
MOST_GOLDEN_BYTES = 2**27
_FILE_BYTES = expect.count(bundle.MOST_FILE_BYTES)
_FILE = {"sha256": SHA256}
_ARRAYS = _FILE | {"file": expect.file_name(".npz")}
# By part of the manifest, what it must hold.
_PARTS = {
    "model": _FILE
    | {
        "name": TEXT,
        "file": expect.file_name(".keras"),
        "size_bytes": _FILE_BYTES,
        "input_shape": [expect.count(2**24, least=1)],
    },
    "data": {"source": PATH, "labels": [TEXT], "sha256": {"x_test": SHA256, "y_test": SHA256}},
    "reference": _ARRAYS,
    "golden": _ARRAYS,
    "artifacts": [
        _FILE
        | {
            "variant": NAME,
            "format": expect.one_of(*FORMATS),
            "precision": NAME,
            "file": expect.file_name(*(f".{format}" for format in FORMATS)),
            "size_bytes": _FILE_BYTES,
        }
    ],
}


def read(folder, parts, remedy):
    """Reads a bundle's manifest.

    Args:
        folder: The bundle.
        parts: Which of its parts are needed; these are checked.
        remedy: What to do where it is missing or wrong; ends the error's line.

    Returns:
        The manifest, a dict.

    Raises:
        InputError: It is missing, damaged or of another kind, or names a file elsewhere.
    """
    path = folder / bundle.MANIFEST
    manifest = bundle.read_json(path, parts, remedy)
    wrong = expect.mismatch(manifest, {part: _PARTS[part] for part in parts})
    wrong = wrong or _artifacts_mismatch(manifest.get("artifacts", []))
    if wrong:
        raise InputError(f"{path}: {wrong}. {remedy}")
    return manifest


def damage(path: Path, entry: dict) -> str | None:
    """Why a file is not the one that the manifest describes; None where it is.

    Args:
        path: The file, of a bundle: no link is followed.
        entry: Its entry in the manifest.
    """
    kind = files.kind(path)
    if kind != "a file":
        return "is missing" if kind == "nothing" else f"is {kind}, not a file"
    try:
        size = path.stat().st_size
        expected = entry.get("size_bytes", size)
        if size < expected:
            return f"truncated or replaced: {size} bytes, {expected} in the manifest"
        # First its size: to hash a file without end has none either.
        if size == expected and bundle.sha256_file(path, expected) == entry["sha256"]:
            return None
    except (InputError, OSError) as error:
        return f"can't be read: {error}"
    return "replaced or damaged: its SHA-256 is not the manifest's"


def _artifacts_mismatch(entries):
    """What is wrong with the artifacts taken together; None where nothing is."""
    seen = {KERAS_ROW}
    for i, entry in enumerate(entries):
        if not entry["file"].endswith(f".{entry['format']}"):
            return f"artifacts[{i}].file must end in .{entry['format']}. Got: {entry['file']}"
        if entry["variant"] in seen:
            return f"artifacts[{i}].variant must be one no other has. Got: {entry['variant']}"
        seen.add(entry["variant"])
    return None
