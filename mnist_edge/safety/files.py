"""Open a file from a stranger: what it really is, and no more of it than a limit."""

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

# No more of it than this is unpacked or allocated at once, in bytes. EMNIST's largest set,
# by class, is 814,255 images of 784 bytes, 0.6 GB, and 2.6 GB more as float32; what is
# above this is a mistake or a bomb, and one of such machines as run this has 8 GB.
LIMIT_BYTES = 4 * 2**30
# Deflate makes nothing smaller than 1/1032 of its size (zlib's technical notes), so a
# header that promises more than that is wrong and nothing is allocated for it.
LARGEST_RATIO = 1032
ZIP, GZIP = b"PK", b"\x1f\x8b"  # what they start with
HEAD_BYTES = 512  # enough to tell what a file is
CHUNK = 2**20  # bytes read at a time
_DIRECTORY_BYTES = 2**20  # of an archive's directory, about 50 per member: 20,000 members
# What a damaged archive makes `gzip` and `zipfile` raise; an OSError is a seek to nowhere,
# an OverflowError one further than a file can be.
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
# What the first bytes of a file that came by another name tell, without blanks, in lower case.
_OTHERS = (
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
    """How many bytes so many numbers of data take: as read, and as the float32 of a model."""
    return count * (item_bytes + 4)


def kind(path: Path | str, follow_links: bool = False) -> str:
    """What a path names: "a file", "a symbolic link", "a folder", "nothing", ..."""
    try:
        mode = os.stat(path, follow_symlinks=follow_links).st_mode
    except (OSError, ValueError):
        return "nothing"
    kinds = {stat.S_IFREG: "a file", stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a folder"}
    return kinds.get(stat.S_IFMT(mode), "a pipe or device")


def require(path: Path | str, remedy: str = "") -> None:
    """Requires a regular file: no folder, and no pipe or device, which might never end.

    Args:
        path: The file, which is not opened; a link's is what it names.
        remedy: What to do where it is none; ends the error's line.

    Raises:
        InputError: It is missing, or something else.
    """
    got = kind(path, follow_links=True)
    if got != "a file":
        raise InputError(f"{path} must be a file and is not. Got: {got}. {remedy}".rstrip())


def open_regular(path: Path, most_bytes: int, remedy: str = "") -> io.BufferedReader:
    """Opens a file of a bundle: a regular one, of a size that is known before it is read.

    No link is followed, and a pipe is never waited for.

    Args:
        path: The file.
        most_bytes: The most that it may have.
        remedy: What to do where it is something else; ends the error's line.

    Raises:
        InputError: It is something else, too large, or can't be read.
    """
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC"):  # as the system has them
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
    """The first bytes of a regular file."""
    with open(path, "rb") as file:
        return file.read(HEAD_BYTES)


def pretender(first: bytes) -> str:
    """What a file is by its first bytes, where it should be another; "" where that is unknown."""
    if not first:
        return "an empty file"
    start = first.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((words for magics, words in _OTHERS if start.startswith(magics)), "")


def cause(path: Path | str, error: Exception, own: bytes | tuple[bytes, ...]) -> str:
    """Why a packed file can't be read: what it is instead, or else what its reader raised.

    Args:
        path: The file.
        error: What was raised.
        own: What a whole file of its kind starts with.
    """
    first = head(path)
    return (not first.startswith(own) and pretender(first)) or short(error) or type(error).__name__


class _Bounded(io.FileIO):
    """A file of which `zipfile` reads no larger directory than it should."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = max(0, os.fstat(self.fileno()).st_size - self.tell())
        if size > _DIRECTORY_BYTES:
            raise zipfile.BadZipFile(f"a directory of {size:,} bytes, at most 2**20 are read")
        return super().read(size)


@contextlib.contextmanager
def open_zip(path: Path | str) -> Iterator[zipfile.ZipFile]:
    """Opens a `.zip`, an `.npz` say, whose directory is of a sensible size.

    What is wrong with it raises one of `DAMAGE`.
    """
    with _Bounded(path) as file, zipfile.ZipFile(cast(IO[bytes], file)) as archive:
        yield archive


def open_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    """Opens a member of an archive whose unpacked size is what the directory says, or less.

    Args:
        archive: From `open_zip`.
        info: The member's entry in the directory.

    Raises:
        zipfile.BadZipFile: It is packed in a way that `zipfile` unpacks without a limit,
            or can't be as large as the directory says.
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
    """Reads `count` bytes, a header's word, or what there is; memory grows with what has come."""
    content = bytearray()
    while len(content) < count and (chunk := stream.read(min(CHUNK, count - len(content)))):
        content += chunk
    return content


def short(value: object) -> str:
    """A value from a hostile file in words: one line of at most 100 characters."""
    return one_line(value, 100).rstrip(".")
