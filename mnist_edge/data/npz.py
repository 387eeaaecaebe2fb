"""Read untrusted `.npz` files: never unpickles, and checks sizes before allocating memory.

    arrays = npz.read("reference.npz", ["probabilities"])

`np.load` would allocate whatever a header asks for. Needs only NumPy.
"""

import contextlib
import dataclasses
import io
import math
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from mnist_edge.errors import InputError
from mnist_edge.safety import files

_ENDING = ".npy"
# Most headers have 128 bytes; NumPy parses at most 10,000.
HEADER_BYTES = 10_000
_NUMBERS, _TEXT = "biufc", "US"  # kinds of element
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class _Wrong(Exception):
    """An invalid archive or array; the message follows the file's name."""


def names(path: Path | str, remedy: str = "") -> list[str]:
    """Returns the names of the arrays in an `.npz`; arguments and errors as in `read`."""
    with _opened(path, remedy) as archive:
        return list(_held(archive))


def read(
    path: Path | str,
    names: Sequence[str] | None = None,
    limit_bytes: int = files.LIMIT_BYTES,
    remedy: str = "",
    as_data: bool = False,
) -> dict[str, np.ndarray]:
    """Reads arrays of numbers from an `.npz`.

    Before memory is allocated for an array, its header, the archive's directory and the file's
    length must agree on its size.

    Args:
        path: The file.
        names: Names of the arrays to read, which must exist; None reads all arrays.
        limit_bytes: Maximum total size of the arrays.
        remedy: What to do if the file can't be used; the last sentence of the error message.
        as_data: Whether the arrays are a data set: the limit applies to the sizes computed by
            `files.data_bytes`, and they may be text.

    Returns:
        Arrays by name, in the order of `names` or else of the archive.

    Raises:
        InputError: The file is missing, damaged or not an `.npz`; an array is missing, too
            large, or not numeric.
    """
    with _opened(path, remedy) as archive:
        arrays = _find(archive, names, _NUMBERS + _TEXT * as_data)
        needed = sum(
            files.data_bytes(array.size, array.dtype.itemsize) if as_data else array.nbytes
            for array in arrays
        )
        if needed > limit_bytes:
            unit = "bytes, also as float32" if as_data else "bytes"
            raise _Wrong(f" must take at most {limit_bytes:,} {unit}. Got: {needed:,}")
        return {array.name: array.read(archive) for array in arrays}


@contextlib.contextmanager
def _opened(path: Path | str, remedy: str) -> Iterator[zipfile.ZipFile]:
    """Opens an archive; turns the errors of reading it into a one-line `InputError`."""
    files.require(path, remedy)
    try:
        with (
            files.damage_reported(path, "a complete .npz", files.ZIP, remedy),
            files.open_zip(path) as archive,
        ):
            yield archive
    except _Wrong as error:
        raise InputError(f"{path}{error}. {remedy}".rstrip()) from error


@dataclasses.dataclass(frozen=True)
class _Array:
    """An array in an archive, as described by its header and the archive's directory.

    Attributes:
        member: Its entry in the archive's directory.
        start: Offset of its content in the member, after the header.
    """

    name: str
    member: zipfile.ZipInfo
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    dtype: np.dtype
    start: int

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def read(self, archive: zipfile.ZipFile) -> np.ndarray:
        with files.open_member(archive, self.member) as stream:
            stream.read(self.start)
            content = files.read_at_most(stream, self.nbytes)
        if len(content) != self.nbytes:
            raise _Wrong(
                f": {files.short(self.name)} must be {self.nbytes:,} bytes. Got: {len(content):,}"
            )
        return np.frombuffer(content, self.dtype).reshape(self.shape, order=self.order)


def _held(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Returns the members that hold arrays, by the arrays' names."""
    return {
        info.filename.removesuffix(_ENDING): info
        for info in archive.infolist()
        if info.filename.endswith(_ENDING)
    }


def _find(archive: zipfile.ZipFile, names: Sequence[str] | None, kinds: str) -> list[_Array]:
    """Returns the arrays with these names, or all; reads only their headers.

    Args:
        archive: The opened `.npz`.
        names: As in `read`.
        kinds: Accepted kinds of element, as in `numpy.dtype.kind`.
    """
    held = _held(archive)
    missing = [name for name in names or () if name not in held]
    if missing or not held:
        found = files.short(", ".join(held)) or "no array"
        raise _Wrong(f" must hold {', '.join(missing) or 'an array'}. Got: {found}")
    arrays = []
    for name in names or held:
        with files.open_member(archive, held[name]) as stream:
            first = stream.read(HEADER_BYTES)
        try:
            arrays.append(_parse(name, held[name], first, kinds))
        except ValueError as error:
            raise _Wrong(f": {files.short(name)} must be {error}") from error
    return arrays


def _parse(name: str, member: zipfile.ZipInfo, first: bytes, kinds: str) -> _Array:
    """Parses the header of an `.npy`; raises `ValueError` if it is invalid."""
    stream = io.BytesIO(first)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # headers written by Python 2
            shape, is_fortran, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
    except Exception as error:  # NumPy evaluates the header as Python: many types
        raise ValueError(f"an .npy array. Got: {files.short(error)}") from error
    if dtype.hasobject:
        raise ValueError("numbers. Got: Python objects, a pickle, which is never opened")
    if dtype.kind not in kinds or not dtype.itemsize:
        raise ValueError(f"numbers. Got: {files.short(dtype)}")
    if len(shape) > 32 or not all(0 <= side < 2**63 for side in shape):
        raise ValueError(f"of a possible shape. Got: {files.short(list(shape))}")
    array = _Array(
        name, member, tuple(map(int, shape)), "F" if is_fortran else "C", dtype, stream.tell()
    )
    if array.start + array.nbytes != member.file_size:
        raise ValueError(
            f"{files.short(list(shape))} of {dtype}, as in its header. "
            f"Got: {member.file_size:,} bytes in the archive's directory"
        )
    return array
