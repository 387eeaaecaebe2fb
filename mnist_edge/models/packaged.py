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
        "model.keras": "53ebb7fc6ef5b59482c3d9a081d4985f61b072ad327f789c6f2d37bfe096e6a7",
        "train.json": "5bd8c3ac9816b877e5671d064dd1889d114e298b1bb2b924f0f518bc416ddd72",
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
