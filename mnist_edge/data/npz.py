"""Read an `.npz` from anywhere: no pickle is opened, and nothing large before its size is known.

    arrays = npz.read("reference.npz", ["probabilities"])

`np.load` allocates whatever a header asks for and unpacks whatever an archive holds. NumPy only.
"""

import dataclasses
import io
import math
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

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


class _Wrong(Exception):
    """What an archive or an array in it must be and is not; its file's name goes before it."""


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
        path: The file.
        names: Names of the arrays that it must hold; others are not read. None reads all.
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
            arrays = _find(archive, names)
            needed = sum(
                files.data_bytes(array.size, array.dtype.itemsize) if as_data else array.nbytes
                for array in arrays
            )
            if needed > limit_bytes:
                unit = "bytes as float32 too" if as_data else "bytes"
                raise _Wrong(f" must take at most {limit_bytes:,} {unit}. Got: {needed:,}")
            return {array.name: array.read(archive) for array in arrays}
    except _Wrong as error:
        raise InputError(f"{path}{error}. {remedy}".rstrip()) from error
    except files.DAMAGE as error:
        cause = files.cause(path, error, files.ZIP)
        raise InputError(f"{path} must be a whole .npz. Got: {cause}. {remedy}".rstrip()) from error
    except MemoryError:
        raise InputError(
            f"{path} must fit into memory and does not. {remedy or 'Give less data.'}"
        ) from None


@dataclasses.dataclass(frozen=True)
class _Array:
    """An array in an archive, as its header and the archive's directory say.

    Attributes:
        member: Its entry in the directory.
        start: Where in the member its content starts.
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


def _find(archive: zipfile.ZipFile, names: Sequence[str] | None) -> list[_Array]:
    """The arrays of these names, or all; no more than their headers is read."""
    held = {
        info.filename.removesuffix(_ENDING): info
        for info in archive.infolist()
        if info.filename.endswith(_ENDING)
    }
    missing = [name for name in names or () if name not in held]
    if missing or not held:
        found = files.short(", ".join(held)) or "no array"
        raise _Wrong(f" must hold {', '.join(missing) or 'an array'}. Got: {found}")
    arrays = []
    for name in names or held:
        with files.open_member(archive, held[name]) as stream:
            first = stream.read(HEADER_BYTES)
        try:
            arrays.append(_parse(name, held[name], first))
        except ValueError as error:
            raise _Wrong(f": {files.short(name)} must be {error}") from error
    return arrays


def _parse(name: str, member: zipfile.ZipInfo, first: bytes) -> _Array:
    """What an `.npy`'s first bytes say; a `ValueError` says what it must be and is not."""
    stream = io.BytesIO(first)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that Python 2 wrote it
            shape, is_fortran, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
    except Exception as error:  # Python's own parser reads the header: whatever it raises
        raise ValueError(f"an .npy array. Got: {files.short(error)}") from error
    if dtype.hasobject:
        raise ValueError("numbers. Got: Python objects, a pickle, which is never opened")
    if dtype.kind not in "biufc":
        raise ValueError(f"numbers. Got: {files.short(dtype)}")
    if len(shape) > 32 or not all(0 <= side < 2**63 for side in shape):
        raise ValueError(f"of a possible shape. Got: {files.short(list(shape))}")
    array = _Array(
        name, member, tuple(map(int, shape)), "F" if is_fortran else "C", dtype, stream.tell()
    )
    if array.start + array.nbytes != member.file_size:
        raise ValueError(
            f"{files.short(list(shape))} of {dtype}, as its header says. "
            f"Got: {member.file_size:,} bytes in the archive's directory"
        )
    return array
