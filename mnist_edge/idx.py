"""Read IDX, the format MNIST was published in: raw or `.gz`, NumPy only."""

import gzip
import math
import zlib

import numpy as np

from mnist_edge.cli import InputError

_UNSIGNED_BYTES = 0x08  # the third byte of a file's magic; the fourth counts dimensions
# Deflate makes nothing smaller than 1/1032 of its size (zlib's technical notes), so a
# header that promises more than that is wrong and nothing is allocated for it.
_LARGEST_RATIO = 1032
_GZIP_MAGIC = b"\x1f\x8b"


def read(path, dimensions):
    """Reads an IDX file of unsigned bytes.

    The header is checked against the file's length before anything is allocated.

    Args:
        path: `pathlib.Path` of the file; compressed or not is seen from its first bytes.
        dimensions: How many it must have: 3 for images, 1 for labels.

    Returns:
        uint8 array, `[n, height, width]` or `[n]`.

    Raises:
        InputError: The file is damaged or holds something else.
    """
    with open(path, "rb") as file:
        compressed = file.read(2) == _GZIP_MAGIC
    size = path.stat().st_size
    try:
        with (gzip.open if compressed else open)(path, "rb") as file:
            shape = _read_header(path, file, dimensions)
            count = math.prod(shape)
            header_size = 4 + 4 * dimensions
            enough = size * _LARGEST_RATIO if compressed else size - header_size
            if count > enough:
                raise InputError(
                    f"{path} must hold {list(shape)} bytes after its header. "
                    f"Got: a file of {size:,} bytes. Fetch it again."
                )
            content = file.read(count + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} must be a whole .gz. Got: {error}. Fetch it again.") from error
    if len(content) != count:
        came = "more" if len(content) > count else f"{len(content):,}"
        raise InputError(
            f"{path} must hold {count:,} bytes after its header, {list(shape)}. "
            f"Got: {came}. Fetch it again."
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _read_header(path, file, dimensions):
    header = file.read(4 + 4 * dimensions)
    magic = bytes((0, 0, _UNSIGNED_BYTES, dimensions))
    if header[:4] != magic or len(header) < 4 + 4 * dimensions:
        raise InputError(
            f"{path} must be an IDX file of unsigned bytes with {dimensions} dimensions: its "
            f"first bytes {magic.hex()}. Got: {header[:4].hex() or 'nothing'} in "
            f"{len(header)} bytes of header."
        )
    return tuple(int(size) for size in np.frombuffer(header, ">u4", offset=4))
