"""Read Parquet files of pictures and labels, in the layout of Hugging Face. Needs pyarrow."""

import contextlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mnist_edge import cli
from mnist_edge.data import picture_sets
from mnist_edge.data.catalog import Entry, Pair
from mnist_edge.data.picture_sets import Example
from mnist_edge.errors import InputError
from mnist_edge.safety import files

_IMAGES = ("image", "img", "images", "picture")
_LABELS = ("label", "labels", "fine_label", "class", "target")
_NAME = re.compile(r"(?P<split>train|test|validation)?.*\.parquet", re.IGNORECASE)
_ROWS = 1000  # read at a time


def find(folder: Path) -> dict[str, list[Path]]:
    """Returns the files in a folder, or in `data` inside, by split: "train", "test", ..., ""."""
    found: dict[str, list[Path]] = {}
    for place in (folder, folder / "data"):
        for path in sorted(place.iterdir()) if not found and place.is_dir() else ():
            match = _NAME.fullmatch(path.name)
            if match and path.is_file():
                found.setdefault((match["split"] or "").lower(), []).append(path)
    return found


def read(train: Sequence[Path], test: Sequence[Path]) -> tuple[Pair, Pair | None, Entry]:
    """Reads the files of a training set and of a test set, which may be empty.

    Returns:
        The two sets, as from `picture_sets.load`, and the names of the classes.

    Raises:
        InputError: A file is damaged or of another layout, or as in `picture_sets.load`.
    """
    names: list[str] = []
    parts = [[one for path in paths for one in _examples(path, names)] for paths in (train, test)]
    if not parts[0]:
        raise InputError(f"{train[0]} must hold pictures and holds no row. Give other data.")
    x, y = picture_sets.load([*parts[0], *parts[1]])
    count = len(parts[0])
    held_out = (x[count:], y[count:]) if parts[1] else None
    return (x[:count], y[:count]), held_out, Entry(tuple(names))


def _examples(path: Path, names: list[str]) -> Iterator[Example]:
    """Yields the pictures of a file; sets `names` to the names of its classes, if it has them."""
    files.require(path)
    with cli.needing("parquet"):
        from pyarrow import parquet
    with _damage_reported(path), parquet.ParquetFile(path) as file:
        held = file.schema_arrow.names
        image, label = (
            next((name for name in usual if name in held), None) for usual in (_IMAGES, _LABELS)
        )
        if image is None or label is None:
            raise InputError(
                f"{path} must have columns image and label. Got: {files.short(', '.join(held))}. "
                "Rename the columns."
            )
        groups = [file.metadata.row_group(index) for index in range(file.num_row_groups)]
        size = sum(group.total_byte_size for group in groups)
        if size > files.LIMIT_BYTES:
            raise InputError(
                f"{path} must unpack to at most {files.LIMIT_BYTES:,} bytes. Got: {size:,}. "
                "Give less data."
            )
        names[:] = _class_names(file.schema_arrow.metadata or {}, label) or names
        row = 0
        for batch in file.iter_batches(_ROWS, columns=[image, label]):
            values, numbers = (batch.column(part).to_pylist() for part in (image, label))
            for value, number in zip(values, numbers, strict=True):
                content = value.get("bytes") if isinstance(value, dict) else value
                if not isinstance(content, bytes) or not isinstance(number, (int, str)):
                    raise ValueError(f"row {row} without a picture's bytes and a label")
                yield Example(Path(f"{path}: row {row}"), number, io.BytesIO(content))
                row += 1


def _class_names(metadata: dict[bytes, bytes], label: str) -> list[str]:
    """Returns the names of the classes that Hugging Face's library wrote into a file, or none."""
    value: Any = json.loads(metadata.get(b"huggingface", b"{}"))
    for key in ("info", "features", label, "names"):
        value = value.get(key) if isinstance(value, dict) else None
    is_names = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return value if is_names and len(set(value)) == len(value) else []


@contextlib.contextmanager
def _damage_reported(path: Path) -> Iterator[None]:
    """Turns the errors of reading a damaged file into a one-line `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # pyarrow raises various types
        cause = files.describe_format(files.head(path)) or files.short(error)
        raise InputError(
            f"{path} must be a complete Parquet file of pictures. Got: {cause}. Fetch it again."
        ) from error
