"""Read an `.npz` from anywhere: no pickle is opened, and nothing large before its size is known.

    arrays = npz.read("reference.npz", ["probabilities"])

`np.load` allocates whatever a header asks for and unpacks whatever an archive holds. NumPy only.
"""

import contextlib
import io
import itertools
import math
import operator
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mnist_edge.errors import InputError
from mnist_edge.safety import files

_ENDING = ".npy"
# A header is 128 bytes for most arrays; NumPy itself parses at most 10,000.
HEADER_BYTES = 10_000
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class _Header(NamedTuple):
    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype
    start: int  # of the data

    @property
    def count(self) -> int:
        return math.prod(self.shape)


def read(
    path: Path | str,
    names: Sequence[str] | None = None,
    limit_bytes: int = files.LIMIT_BYTES,
    remedy: str = "",
    as_data: bool = False,
) -> dict[str, np.ndarray]:
    """Reads arrays of numbers from an `.npz`.

    Each array's size is known from its header, the archive's directory and the file's
    length, which must agree, before anything is allocated for it.

    Args:
        path: Of the file.
        names: Of the arrays that it must hold; others in it are not read. None reads all.
        limit_bytes: How many bytes the arrays may take together.
        remedy: What to do where the file can't be used; ends the error's line.
        as_data: Whether the limit holds for what they take as `files.data_bytes` has it.

    Returns:
        Arrays by name, in the order of `names` or else of the archive.

    Raises:
        InputError: The file is missing, damaged, or another kind of file; an array is
            missing, too large, or holds something else than numbers.
    """
    files.require(path, remedy)
    try:
        with files.open_zip(path) as archive:
            return _read_members(archive, path, names, limit_bytes, remedy, as_data)
    except InputError:
        raise
    except files.DAMAGE as error:
        cause = files.cause(path, error, files.ZIP)
        raise InputError(f"{path} must be a whole .npz. Got: {cause}. {remedy}".rstrip()) from error
    except MemoryError:
        raise InputError(
            f"{path} must fit into memory and does not. {remedy or 'Give less data.'}"
        ) from None


def _read_members(archive, path, names, limit_bytes, remedy, as_data):
    held = {
        info.filename.removesuffix(_ENDING): info
        for info in archive.infolist()
        if info.filename.endswith(_ENDING)
    }
    missing = [name for name in names or () if name not in held]
    if missing or not held:
        found = files.short(", ".join(held)) or "no array"
        raise InputError(
            f"{path} must hold {', '.join(missing) or 'an array'}. Got: {found}. {remedy}".rstrip()
        )
    wanted = {name: held[name] for name in names or held}
    headers, arrays = {}, {}
    for name, info in wanted.items():
        with _named(path, name, remedy):
            headers[name] = _read_header_of(archive, info)
    sizes = [(header.count, header.dtype.itemsize) for header in headers.values()]
    needed = sum(itertools.starmap(files.data_bytes if as_data else operator.mul, sizes))
    if needed > limit_bytes:
        raise InputError(
            f"{path} must take at most {limit_bytes:,} bytes{' as float32 too' * as_data}. "
            f"Got: {needed:,}. {remedy}".rstrip()
        )
    for name, info in wanted.items():
        with _named(path, name, remedy):
            arrays[name] = _read_content(archive, info, headers[name])
    return arrays


@contextlib.contextmanager
def _named(path: Path | str, name: str, remedy: str) -> Iterator[None]:
    """Makes a line of a `ValueError` that says what an array must be and what it is."""
    try:
        yield
    except ValueError as error:
        raise InputError(
            f"{path}: {files.short(name)} must be {error}. {remedy}".rstrip()
        ) from error


def _read_header_of(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Header:
    with files.open_member(archive, info) as member:
        header = _read_header(member.read(HEADER_BYTES))
    if header.start + header.count * header.dtype.itemsize != info.file_size:
        raise ValueError(
            f"{files.short(list(header.shape))} of {header.dtype}, as its header says. "
            f"Got: {info.file_size:,} bytes in the archive's directory"
        )
    return header


def _read_content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, header: _Header) -> np.ndarray:
    array = np.empty(header.count, header.dtype)
    view, done = memoryview(array.view(np.uint8)), 0
    with files.open_member(archive, info) as member:
        member.read(header.start)
        while done < len(view):
            count = member.readinto(view[done : done + files.CHUNK])
            if not count:
                raise ValueError(f"{len(view):,} bytes. Got: {done:,}")
            done += count
    shape = header.shape
    return array.reshape(shape[::-1]).T if header.fortran_order else array.reshape(shape)


def _read_header(first: bytes) -> _Header:
    """What an `.npy`'s first bytes say."""
    stream = io.BytesIO(first)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that Python 2 wrote it
            shape, fortran_order, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
    except Exception as error:  # Python's own parser reads the header: whatever it raises
        raise ValueError(f"an .npy array. Got: {files.short(error)}") from error
    if dtype.hasobject:
        raise ValueError("numbers. Got: Python objects, a pickle, which is never opened")
    if dtype.kind not in "biufc":
        raise ValueError(f"numbers. Got: {files.short(dtype)}")
    if len(shape) > 32 or not all(0 <= side < 2**63 for side in shape):
        raise ValueError(f"of a possible shape. Got: {files.short(list(shape))}")
    return _Header(tuple(map(int, shape)), fortran_order, dtype, stream.tell())
