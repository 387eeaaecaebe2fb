"""Read an `.npz` from anywhere: no pickle is opened, and nothing large before its size is known.

    arrays = npz.read("reference.npz", ["probabilities"])

`np.load` allocates whatever a header asks for and unpacks whatever an archive holds. NumPy only.
"""

import io
import math

import numpy as np

from mnist_edge import files
from mnist_edge.cli import InputError

_ENDING = ".npy"
# A header is 128 bytes for most arrays; NumPy itself parses at most 10,000.
_HEADER_BYTES = 10_000
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read(path, names=None, limit_bytes=files.LIMIT_BYTES, remedy=""):
    """Reads arrays of numbers from an `.npz`.

    Each array's size is known from its header, the archive's directory and the file's
    length, which must agree, before anything is allocated for it.

    Args:
        path: Of the file.
        names: Of the arrays that it must hold; others in it are not read. None reads all.
        limit_bytes: How many bytes the arrays may take together.
        remedy: What to do where the file can't be used; ends the error's line.

    Returns:
        dict of arrays by name, in the order of `names` or else of the archive.

    Raises:
        InputError: The file is missing, damaged, or another kind of file; an array is
            missing, too large, or holds something else than numbers.
    """
    files.require(path, remedy)
    try:
        with files.open_zip(path) as archive:
            return _read_members(archive, path, names, limit_bytes, remedy)
    except InputError:
        raise
    except files.DAMAGE as error:
        cause = files.cause(path, error, files.ZIP)
        raise InputError(f"{path} must be a whole .npz. Got: {cause}. {remedy}".rstrip()) from error
    except MemoryError:
        raise InputError(
            f"{path} must fit into memory and does not. {remedy or 'Give less data.'}"
        ) from None


def _read_members(archive, path, names, limit_bytes, remedy):
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
    needed = sum(info.file_size for info in wanted.values())
    if needed > limit_bytes:
        raise InputError(
            f"{path} must unpack to at most {limit_bytes:,} bytes. Got: {needed:,} in its "
            f"directory. {remedy}".rstrip()
        )
    arrays = {}
    for name, info in wanted.items():
        try:
            arrays[name] = _read_member(archive, info)
        except ValueError as error:
            raise InputError(
                f"{path}: {files.short(name)} must be {error}. {remedy}".rstrip()
            ) from error
    return arrays


def _read_member(archive, info):
    """One array; a ValueError says what it must be and what it is."""
    with files.open_member(archive, info) as member:
        first = member.read(_HEADER_BYTES)
        shape, fortran_order, dtype, start = _read_header(first)
        size = math.prod(shape) * dtype.itemsize
        if start + size != info.file_size:
            raise ValueError(
                f"{files.short(list(shape))} of {dtype}, as its header says. "
                f"Got: {info.file_size:,} bytes in the archive's directory"
            )
        array = np.empty(size // dtype.itemsize, dtype)
        view = memoryview(array.view(np.uint8))
        done = len(first) - start
        view[:done] = first[start:]
        while done < size:
            count = member.readinto(view[done : done + files.CHUNK])
            if not count:
                raise ValueError(f"{size:,} bytes. Got: {done:,}")
            done += count
    return array.reshape(shape[::-1]).T if fortran_order else array.reshape(shape)


def _read_header(first):
    """`(shape, fortran_order, dtype, start of the data)` of an `.npy`'s first bytes."""
    stream = io.BytesIO(first)
    try:
        shape, fortran_order, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
    except Exception as error:  # Python's own parser reads the header: whatever it raises
        raise ValueError(f"an .npy array. Got: {files.short(error)}") from error
    if dtype.hasobject:
        raise ValueError("numbers. Got: Python objects, a pickle, which is never opened")
    if dtype.kind not in "biufc":
        raise ValueError(f"numbers. Got: {files.short(dtype)}")
    if len(shape) > 32 or not all(0 <= side < 2**63 for side in shape):
        raise ValueError(f"of a possible shape. Got: {files.short(list(shape))}")
    return tuple(map(int, shape)), fortran_order, dtype, stream.tell()
