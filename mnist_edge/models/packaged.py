"""SHA-256 hashes of the packaged models, stored in the code.

A bundle's `train.json` holds its model's hash, but whoever replaces the model can replace
both files. A packaged bundle is therefore opened only if both files have the hashes below.
Update them when a model is packaged again.
"""

from pathlib import Path

from mnist_edge import bundle, models
from mnist_edge.errors import InputError

# The files that are read: the model, and the record with the names of its classes.
SHA256 = {
    "nano": {
        "model.keras": "cdb7b3832ef694a5a18ed7d4415b773aeae99256577ade5fcbf41f535ecb76a2",
        "train.json": "d948cd3ca0c7a6cdee1eb7fd5bea2e0e16c2ade655fc92bc8966c83aaaf4f728",
    },
    "edge": {
        "model.keras": "4a0ee1184ad3c2674b75d1eff0073704998e1fafd86ab43720cdb06ebb635306",
        "train.json": "df34213b5d2ac5bf98a2631196d87a654ffe9ad3b258bfa98ffe73dbeb833d9d",
    },
    "robust": {
        "model.keras": "d8ccab78d515ef12c4da32917428f0abb98bd1d825c731ce388cd34bc037f189",
        "train.json": "d5146f80b82c87127a3da0a60aee75d0f818db5d64dde7f6dd19f7a5ea5dbdb0",
    },
    "accurate": {
        "model.keras": "da78a516e467050c845e0380e1e657ffe7761535ff470a792d6b06f6fff071d7",
        "train.json": "fb0c0b15837c9a9497ad99e27444f6fb65e46015b957814deabcc111ac488a02",
    },
}


def check(folder: Path) -> None:
    """Checks the hashes of a packaged bundle; does nothing for other folders.

    Raises:
        InputError: A file of it is missing or has another hash.
    """
    folder = folder.resolve()
    if folder.parent != models.PRETRAINED.resolve():
        return
    remedy = (
        "Reinstall mnist-edge; if you packaged the model again, update its hashes in "
        "mnist_edge/models/packaged.py."
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
