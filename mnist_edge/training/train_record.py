"""`train.json`, read as what it is: a file from anywhere.

Every value that is used is checked here, once, whichever command reads it; a value that an
older version did not record may be missing.
"""

from pathlib import Path

from mnist_edge import bundle, data, expect
from mnist_edge.errors import InputError
from mnist_edge.expect import COUNT, NOT_NEGATIVE, PATH, SHA256, TEXT

SEED = expect.count(2**32 - 1)
# By key, what it must hold where it is read. `Recipe.from_record` checks the recipe's fields.
_PARTS = {
    "model": expect.NAME,
    "model_sha256": SHA256,
    "weights_sha256": SHA256,
    "parameters": COUNT,
    "multiply_accumulates": COUNT,
    "metrics": {
        "validation_accuracy": expect.or_null(expect.SHARE),
        "test_accuracy": expect.SHARE,
    },
    "training_seconds": NOT_NEGATIVE,
    "recipe": {},
    "teacher": {"model": TEXT, "model_sha256": SHA256},
    "seed": SEED,
    "data": {
        "source": PATH,
        "classes": expect.count(data.MOST_CLASSES, least=1),
        "labels?": [TEXT],
        "split_seed": SEED,
        "train_count": COUNT,
        "validation_count": COUNT,
        "test_count": COUNT,
        "sha256": dict.fromkeys(("x_train", "y_train", "x_test", "y_test"), SHA256),
    },
    "versions": {},
    "machine": {"cpu_count?": expect.or_null(COUNT)},
}
# Null where there was none.
_NULLABLE = ("teacher",)


def read(path: Path, keys: tuple[str, ...], remedy: str) -> dict:
    """Reads what a training run recorded.

    Args:
        path: The `train.json`.
        keys: Those that are needed.
        remedy: What to do where it is missing or wrong; ends the error's line.

    Raises:
        InputError: It is missing, damaged or of another kind.
    """
    record = bundle.read_json(path, keys, remedy)
    absent = {key for key in _NULLABLE if record.get(key) is None}
    wanted = {key: kind for key, kind in _PARTS.items() if key in record and key not in absent}
    wrong = expect.mismatch(record, wanted) or _labels_mismatch(record.get("data", {}))
    if wrong:
        raise InputError(f"{path}: {wrong}. {remedy}")
    return record


def _labels_mismatch(given: dict) -> str | None:
    labels = given.get("labels")
    if labels is None or len(labels) == given["classes"]:
        return None
    return f"data.labels must name {given['classes']} classes. Got: {len(labels)}"
