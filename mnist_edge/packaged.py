"""The packaged models' hashes, in the code: nothing that lies beside a model vouches for it.

A bundle's `train.json` holds its model's hash, but who replaces one can replace both. So a
packaged bundle is opened only where both files are the ones that were packaged. Whoever
packages a model anew writes its hashes here.
"""

from pathlib import Path

from mnist_edge import bundle, models
from mnist_edge.cli import InputError

# SHA-256 of what is read of each: the model, and the record that names its classes.
SHA256 = {
    "nano": {
        "model.keras": "b88aa918153e2ba34f044e7ab248fff2b9abe7b880a3c874f5d1a957757e8932",
        "train.json": "e47ae150b11f22fb30bf5f1b3f20283d6b73e74b3377e748bb5abaf31a1f2053",
    },
    "edge": {
        "model.keras": "7d15d529f3361a5c3ec94d2f4c090853e2ca3dcc15a9d05908da6bb661b27e1f",
        "train.json": "debb93825c4c0f9073f97c0a4f1940625756ccae6203a7d553b89e29e3c07173",
    },
    "accurate": {
        "model.keras": "bf9eec76ce74eb111b750a4120a49463bc31d0a68d6f78a85e0621ed808d3ce2",
        "train.json": "80b8722ec3be456cb62cd71b3666fd88be1d0d2cdb2a4b3c3f72645a89d047cf",
    },
}


def check(folder):
    """Makes sure that a packaged bundle is the one that was packaged.

    Args:
        folder: A bundle; one that is not packaged is left alone.

    Raises:
        InputError: A file of it is missing or another.
    """
    folder = Path(folder).resolve()
    if folder.parent != models.PRETRAINED.resolve():
        return
    remedy = (
        "Install mnist-edge again; if you packaged it anew, write its hashes into "
        "mnist_edge/packaged.py."
    )
    if folder.name not in SHA256:
        raise InputError(
            f"{folder} must be one of the packaged models, {', '.join(SHA256)}. {remedy}"
        )
    for name, expected in SHA256[folder.name].items():
        path = folder / name
        got = bundle.sha256_file(path) if path.is_file() else "no file"
        if got != expected:
            raise InputError(
                f"{path} must have SHA-256 {expected}, as packaged. Got: {got}. {remedy}"
            )
