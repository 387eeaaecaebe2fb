"""What a user names: the model to export and its variants. Errors say what was probably meant."""

from pathlib import Path

from mnist_edge import bundle
from mnist_edge.errors import InputError, did_you_mean
from mnist_edge.safety import files, keras_file

_TRAIN = "Give the path of a model, or train one: python -m mnist_edge.train --output {0}"
_SAVE = "Save the Keras model that it was made from: model.save('name.keras')"
_CONVERT = "If you trust the file, convert it: keras.models.load_model('{0}').save('{1}.keras')"
# Ending of a file -> what it is, and what to do; the first that fits.
_OTHER_KINDS = {
    ".weights.h5": ("weights without their layers", _SAVE),
    **dict.fromkeys(keras_file.OLD_ENDINGS, ("the older HDF5 format", _CONVERT)),
    ".tflite": ("an exported TFLite file", _SAVE),
    ".onnx": ("an exported ONNX file", _SAVE),
    ".pb": ("TensorFlow's SavedModel", _SAVE),
    ".json": ("a file without weights", _SAVE),
    **dict.fromkeys((".pt", ".pth", ".safetensors"), ("PyTorch's weights", "Give a Keras model")),
}
_ZIP = b"PK\x03\x04"


def check_model(path: Path) -> None:
    """Raises `InputError` if a path is neither a `.keras` file nor possibly a bundle."""
    must = f"{path} must be a bundle's folder or a {keras_file.ENDING} file"
    if ":/" in str(path) and not path.exists():
        raise InputError(f"{must} on this computer. Got: an address. Download it first.")
    ending = next((each for each in _OTHER_KINDS if path.name.endswith(each)), None)
    if ending and not path.is_dir():
        kind, remedy = _OTHER_KINDS[ending]
        raise InputError(f"{must}. Got: {kind}. {remedy.format(path.name, path.stem)}.")
    if (path / "saved_model.pb").exists():
        raise InputError(f"{must}. Got: TensorFlow's SavedModel. {_SAVE}.")
    if path.suffix != keras_file.ENDING and files.kind(path, follow_links=True) == "a file":
        with open(path, "rb") as file:
            remedy = "Rename it to" if file.read(len(_ZIP)) == _ZIP else "Save the model to"
        got = f"the ending {path.suffix!r}" if path.suffix else "no ending"
        raise InputError(f"{must}. Got: {got}. {remedy} {path.stem}{keras_file.ENDING}.")
    meant = _meant(path)
    if meant or not path.exists():
        raise InputError(f"{must}. Got: {_got(path)}. {meant or _TRAIN.format(path)}")
    if path.suffix == keras_file.ENDING:
        try:
            keras_file.read_config(path)
        except Exception as error:  # `zipfile` may raise anything
            remedy = "Save the model again: model.save('name.keras')."
            raise InputError(keras_file.refusal(path, error, remedy)) from error


def _got(path: Path) -> str:
    records = f"{bundle.TRAIN} or {bundle.MANIFEST}"
    return f"a folder without {records}" if path.is_dir() else "nothing of this name"


def _meant(path: Path) -> str:
    """Returns a question for the model that was probably meant, or ""."""
    inside = list(path.glob(f"*{keras_file.ENDING}")) if path.is_dir() else []
    if len(inside) == 1 and not _is_bundle(path):
        return f"Did you mean {inside[0]}?"
    if path.exists() or not path.name:
        return ""
    near = [str(each) for parent in (bundle.ARTIFACTS, path.parent) for each in _models(parent)]
    return did_you_mean(str(path), near) or did_you_mean(f"{path}{keras_file.ENDING}", near)


def _models(folder: Path) -> list[Path]:
    """Returns the bundles and `.keras` files in a folder."""
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.suffix == keras_file.ENDING or _is_bundle(path)
    )


def _is_bundle(path: Path) -> bool:
    return any((path / name).is_file() for name in (bundle.TRAIN, bundle.MANIFEST))
