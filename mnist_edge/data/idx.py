"""Read IDX, the format of the original MNIST files, raw or `.gz`. Needs only NumPy."""

import gzip
import math
from pathlib import Path
from typing import IO, cast

import numpy as np

from mnist_edge.errors import InputError
from mnist_edge.safety import files

_UNSIGNED_BYTES = 0x08  # third byte of the magic number; the fourth is the number of dimensions


def read(path: Path, dimensions: int) -> np.ndarray:
    """Reads an IDX file of unsigned bytes.

    The header is checked against the file's length and a limit before memory is allocated, and
    limits how much is decompressed.

    Args:
        path: The file; compression is detected from its first bytes.
        dimensions: The required number of dimensions: 3 for images, 1 for labels.

    Returns:
        uint8 `[n, height, width]` or `[n]`.

    Raises:
        InputError: The file is damaged or not such an IDX file.
    """
    files.require(path)
    compressed = files.head(path).startswith(files.GZIP)
    size = path.stat().st_size
    with (
        files.damage_reported(path, "a complete .gz", files.GZIP),
        cast(IO[bytes], gzip.open(path) if compressed else open(path, "rb")) as file,
    ):
        shape = _read_header(path, file, dimensions)
        count = math.prod(shape)
        enough = size * files.LARGEST_RATIO if compressed else size - file.tell()
        if count > enough:
            raise InputError(
                f"{path} must hold {list(shape)} bytes after its header. "
                f"Got: a file of {size:,} bytes. Fetch it again."
            )
        needed = files.data_bytes(count)
        files.require_room(path, needed, f"{needed:,} by its header")
        content = files.read_at_most(file, count + 1)
    if len(content) != count:
        got = "more" if len(content) > count else f"{len(content):,}"
        raise InputError(
            f"{path} must hold {count:,} bytes after its header, {list(shape)}. "
            f"Got: {got}. Fetch it again."
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _read_header(path: Path, file: IO[bytes], dimensions: int) -> tuple[int, ...]:
    """Reads and validates a file's header; returns the shape."""
    header = file.read(4 + 4 * dimensions)
    magic = bytes((0, 0, _UNSIGNED_BYTES, dimensions))
    if header[:4] != magic or len(header) < 4 + 4 * dimensions:
        bytes_found = f"{header[:4].hex()} in {len(header)} bytes of header"
        raise InputError(
            f"{path} must be an IDX file of unsigned bytes with {dimensions} dimensions: its "
            f"first bytes {magic.hex()}. Got: {files.describe_format(header) or bytes_found}. "
            "Fetch it again."
        )
    return tuple(int(size) for size in np.frombuffer(header, ">u4", offset=4))
