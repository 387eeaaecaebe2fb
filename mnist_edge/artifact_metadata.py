"""What an artifact says of itself: the range of its input, and the names of its classes.

`export` embeds it: in a ZIP archive appended to a TFLite file, in an ONNX file's properties, and in
the comment that a C source begins with.
"""

import dataclasses
import json
import zipfile
from pathlib import Path

from mnist_edge import bundle
from mnist_edge.safety import files
from mnist_edge.schema import Text

TFLITE_MEMBER = "metadata.json"
C_COMMENT = "/* mnist-edge ", " */\n"
# 65,536 classes with long names take 13 MB.
_MOST_BYTES = 2**24


@dataclasses.dataclass(frozen=True)
class Input:
    """The input: smallest and largest value in training."""

    range: tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Output:
    """The output: names of the classes, in order."""

    labels: tuple[Text, ...]


@dataclasses.dataclass(frozen=True)
class Metadata:
    """The part of an artifact's metadata that its user needs."""

    input: Input
    output: Output


def read_tflite(path: Path) -> dict[str, object]:
    """Reads the metadata of an untrusted TFLite file; empty if it has none.

    Raises:
        Exception: The file is damaged; the parser may raise any exception.
    """
    if not zipfile.is_zipfile(path):
        return {}
    with files.open_zip(path) as archive:
        if TFLITE_MEMBER not in archive.namelist():
            return {}
        info = archive.getinfo(TFLITE_MEMBER)
        if info.file_size > _MOST_BYTES:
            raise ValueError(f"{TFLITE_MEMBER} unpacks to {info.file_size:,} bytes")
        with files.open_member(archive, info) as member:
            fields = json.loads(member.read())
    if not isinstance(fields, dict):
        raise ValueError(f"{TFLITE_MEMBER} does not hold a JSON object")
    return fields


def read_c(path: Path) -> dict[str, object]:
    """Reads the metadata of an untrusted C source; empty if it has none.

    Raises:
        Exception: The comment is damaged.
    """
    start, end = (mark.encode() for mark in C_COMMENT)
    with files.open_regular(path, bundle.MOST_FILE_BYTES) as file:
        if file.read(len(start)) != start:
            return {}
        text = file.readline(_MOST_BYTES)
    if not text.endswith(end):
        raise ValueError("its metadata are too long, or end early")
    fields = json.loads(text.removesuffix(end))
    if not isinstance(fields, dict):
        raise ValueError("its metadata are no JSON object")
    return fields
