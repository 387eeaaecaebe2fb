"""Open untrusted files: check the kind and the size before reading."""

import contextlib
import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from mnist_edge.cli import one_line
from mnist_edge.errors import InputError

# The most bytes to unpack or allocate at once. EMNIST's largest set, by class, has 814,255
# images of 784 bytes: 0.6 GB, and 2.6 GB more as float32. Larger data is a mistake or an
# attack, and a typical machine has 8 GB of memory.
LIMIT_BYTES = 4 * 2**30
# Deflate reaches at most a ratio of 1032 (zlib's technical notes). A header that states more
# is wrong, and nothing is allocated for it.
LARGEST_RATIO = 1032
ZIP, GZIP = b"PK", b"\x1f\x8b"  # first bytes of these formats
HEAD_BYTES = 512  # enough to recognize a format
CHUNK = 2**20  # bytes read at a time
_DIRECTORY_BYTES = 2**20  # of a ZIP's central directory; about 20,000 members of 50 bytes
# Raised by `gzip` and `zipfile` for a damaged archive; OSError and OverflowError come from
# seeks to invalid offsets.
DAMAGE = (
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
# First bytes, in lower case and without leading blanks, of files that are often mistaken for
# data, and their descriptions.
_SIGNATURES = (
    ((b"<!doctype", b"<html", b"<head", b"<?xml"), "a web page, not data: the download failed"),
    ((b"version https://git-lfs",), "a Git LFS pointer, not data: run git lfs pull"),
    ((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), "a pickle, which is never opened"),
    ((b"\x93numpy",), "one bare array, an .npy"),
    ((GZIP,), "a .gz"),
    ((b"pk\x03\x04", b"pk\x05\x06"), "a .zip"),
    ((b"\x89png", b"\xff\xd8\xff", b"gif8"), "a picture"),
    ((b"%pdf",), "a PDF"),
    ((b"\xff\xfe", b"\xfe\xff"), "text in UTF-16: save it in UTF-8"),
)


def data_bytes(count: int, item_bytes: int = 1) -> int:
    """Returns the bytes that `count` values take: as read, plus as float32 for the model."""
    return count * (item_bytes + 4)


def require_room(
    where: object, needed: int, got: str = "", remedy: str = "Give less data."
) -> None:
    """Raises `InputError` if data take more than the limit, as read and as float32 together.

    Args:
        where: What holds the data, for the message.
        needed: What they take, as from `data_bytes`.
        got: What the message says of it; by default the number.
        remedy: What to do; ends the message.
    """
    if needed > LIMIT_BYTES:
        raise InputError(
            f"{where} must take at most {LIMIT_BYTES:,} bytes, also as float32. "
            f"Got: {got or f'{needed:,}'}. {remedy}".rstrip()
        )


def kind(path: Path | str, follow_links: bool = False) -> str:
    """Returns what a path is: "a file", "a symbolic link", "a folder", "nothing", ..."""
    try:
        mode = os.stat(path, follow_symlinks=follow_links).st_mode
    except (OSError, ValueError):
        return "nothing"
    kinds = {stat.S_IFREG: "a file", stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a folder"}
    return kinds.get(stat.S_IFMT(mode), "a pipe or device")


def require(path: Path | str, remedy: str = "") -> None:
    """Requires a regular file; a pipe or device might block forever.

    Args:
        path: The file, which is not opened. Symbolic links are followed.
        remedy: What to do if it is not a file; ends the error message.

    Raises:
        InputError: It is missing, or not a regular file.
    """
    got = kind(path, follow_links=True)
    if got != "a file":
        raise InputError(f"{path} must be a file and is not. Got: {got}. {remedy}".rstrip())


def open_regular(path: Path, most_bytes: int, remedy: str = "") -> io.BufferedReader:
    """Opens a regular file of limited size.

    Symbolic links are not followed, and a pipe does not block.

    Args:
        path: The file.
        most_bytes: The largest accepted size.
        remedy: What to do if it is refused; ends the error message.

    Raises:
        InputError: It is not a regular file, is too large, or can't be read.
    """
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC"):  # those that the system has
        flags |= getattr(os, name, 0)
    required = f"{path} must be a file of at most {most_bytes:,} bytes"
    try:
        if kind(path) != "a file":
            raise InputError(f"{required}. Got: {kind(path)}. {remedy}".rstrip())
        file = os.fdopen(os.open(path, flags), "rb")
    except OSError as error:
        cause = error.strerror or type(error).__name__
        raise InputError(f"{required}. Got: {cause}. {remedy}".rstrip()) from error
    opened = os.fstat(file.fileno())
    if not stat.S_ISREG(opened.st_mode) or opened.st_size > most_bytes:
        file.close()
        raise InputError(f"{required}. Got: {opened.st_size:,} bytes. {remedy}".rstrip())
    return file


def head(path: Path | str) -> bytes:
    """Returns the first bytes of a regular file."""
    with open(path, "rb") as file:
        return file.read(HEAD_BYTES)


def describe_format(first: bytes) -> str:
    """Describes a file of an unexpected format by its first bytes; returns "" if unknown."""
    if not first:
        return "an empty file"
    start = first.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next(
        (description for magics, description in _SIGNATURES if start.startswith(magics)), ""
    )


def cause(path: Path | str, error: Exception, own: bytes | tuple[bytes, ...]) -> str:
    """Returns why an archive can't be read: its real format, or else the reader's error.

    Args:
        path: The file.
        error: The exception of the reader.
        own: First bytes of the expected format.
    """
    first = head(path)
    return (
        (not first.startswith(own) and describe_format(first))
        or short(error)
        or type(error).__name__
    )


@contextlib.contextmanager
def damage_reported(
    path: Path | str, whole: str, own: bytes, remedy: str = "", where: object = None
) -> Iterator[None]:
    """Turns the errors of reading a damaged archive in the block into a one-line `InputError`.

    Args:
        path: The file.
        whole: What it must be, e.g. "a complete .npz".
        own: First bytes of its format.
        remedy: What to do; ends the message. By default to fetch it again, or to give less data.
        where: The file's name in the message, if not its path.
    """
    name = where or path
    try:
        yield
    except InputError:
        raise
    except DAMAGE as error:
        got = cause(path, error, own)
        raise InputError(
            f"{name} must be {whole}. Got: {got}. {remedy or 'Fetch it again.'}"
        ) from error
    except MemoryError:
        raise InputError(
            f"{name} must fit into memory and does not. {remedy or 'Give less data.'}"
        ) from None


class _BoundedReads(io.FileIO):
    """A file that limits each read, so that `zipfile` reads no oversized directory."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = max(0, os.fstat(self.fileno()).st_size - self.tell())
        if size > _DIRECTORY_BYTES:
            raise zipfile.BadZipFile(f"a directory of {size:,} bytes, at most 2**20 are read")
        return super().read(size)


@contextlib.contextmanager
def open_zip(path: Path | str) -> Iterator[zipfile.ZipFile]:
    """Opens a ZIP archive, such as an `.npz`; its directory must not exceed a limit.

    Raises one of `DAMAGE` if the archive is damaged.
    """
    with _BoundedReads(path) as file, zipfile.ZipFile(cast(IO[bytes], file)) as archive:
        yield archive


def open_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    """Opens a member of an archive after checking that its stated size is possible.

    Args:
        archive: From `open_zip`.
        info: The member's entry in the directory.

    Raises:
        zipfile.BadZipFile: Its compression is neither stored nor deflate, or it can't be as
            large as the directory states.
    """
    packed, length = info.compress_size, os.fstat(cast(IO[bytes], archive.fp).fileno()).st_size
    most = {zipfile.ZIP_STORED: packed, zipfile.ZIP_DEFLATED: packed * LARGEST_RATIO}
    if info.compress_type not in most:
        raise zipfile.BadZipFile(
            f"{short(info.filename)} packed by method {info.compress_type}; only stored and "
            "deflated are read"
        )
    if packed > length or info.file_size > most[info.compress_type]:
        raise zipfile.BadZipFile(
            f"{short(info.filename)} of {packed:,} bytes, {info.file_size:,} unpacked, in a "
            f"file of {length:,}"
        )
    return archive.open(info)


def read_at_most(stream: IO[bytes], count: int) -> bytearray:
    """Reads up to `count` bytes in chunks, so that a false `count` allocates nothing."""
    content = bytearray()
    while len(content) < count and (chunk := stream.read(min(CHUNK, count - len(content)))):
        content += chunk
    return content


def short(value: object) -> str:
    """Returns an untrusted value as one line of at most 100 characters."""
    return one_line(value, 100).rstrip(".")
