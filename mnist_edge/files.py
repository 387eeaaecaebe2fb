"""What a file from outside really is, before it is read: regular, and what its name says."""

import struct
import zipfile
import zlib
from pathlib import Path

from mnist_edge.cli import InputError

# No more of it than this is unpacked or allocated at once, in bytes. EMNIST's largest set,
# by class, is 814,255 images of 784 bytes, 0.6 GB, or 2.6 GB as float32; what is
# above this is a mistake or a bomb, and one of such machines as run this has 8 GB.
LIMIT_BYTES = 4 * 2**30
# Deflate makes nothing smaller than 1/1032 of its size (zlib's technical notes), so a
# header that promises more than that is wrong and nothing is allocated for it.
LARGEST_RATIO = 1032
HEAD_BYTES = 512  # enough to tell what a file is
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
    ((b"\x1f\x8b",), "a .gz"),
    ((b"pk\x03\x04", b"pk\x05\x06"), "a .zip"),
    ((b"\x89png", b"\xff\xd8\xff", b"gif8"), "a picture"),
    ((b"%pdf",), "a PDF"),
)


def require(path, remedy=""):
    """Requires a regular file: no folder, and no pipe or device, which might never end.

    Args:
        path: Of the file; it is not opened.
        remedy: What to do where it is none; ends the error's line.

    Raises:
        InputError: It is missing, or something else.
    """
    path = Path(path)
    if path.is_file():
        return
    kind = "missing" if not path.exists() else "a folder" if path.is_dir() else "a pipe or device"
    raise InputError(f"{path} must be a file and is not: it is {kind}. {remedy}".rstrip())


def head(path):
    """The first bytes of a regular file."""
    with open(path, "rb") as file:
        return file.read(HEAD_BYTES)


def pretender(first):
    """What bytes are that don't start as they should, in words; "" where that is unknown.

    Args:
        first: The file's first bytes.
    """
    if not first:
        return "an empty file"
    start = first.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((words for magics, words in _OTHERS if start.startswith(magics)), "")
