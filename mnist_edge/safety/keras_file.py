"""Look into a `.keras` file before Keras does: is it what Keras writes, and nothing else?

Standard library only, some milliseconds: a `.keras` file is a ZIP archive of three members.
What Keras reads of it is read here by the same `zipfile` and `json`, so that both see the
same. The weights are looked into by `mnist_edge.safety.weights_file`.
"""

import json
import os
import stat
import struct
import zipfile
from pathlib import Path

from mnist_edge.cli import one_line
from mnist_edge.safety import files, keras_config
from mnist_edge.safety.keras_config import shown

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
ENDING = ".keras"
OLD_ENDINGS = (".h5", ".hdf5")
# VGG16, the largest classifier in common use, takes 553 MB, MobileNetV2 with its optimizer 43.
MOST_BYTES = 1_000_000_000
# NASNetLarge, the longest of Keras's own applications, has a configuration of 1.1 MB.
MOST_CONFIG_BYTES = 8_000_000
_MOST_BYTES = {CONFIG: MOST_CONFIG_BYTES, METADATA: 10_000, WEIGHTS: MOST_BYTES}
# Keras stores without compression; a file that was packed again shrinks to a third or so, its
# configuration to a twentieth. DEFLATE itself reaches 1,032.
_MOST_EXPANSION = 100
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# The end of an archive (4.3.16 of the ZIP specification): signature, disks, entries, size and
# place of the directory, length of the comment; and, before it, ZIP64's signature.
_END = struct.Struct("<4s4H2LH")
_ZIP64 = b"PK\x06\x07"
_ZIP64_BYTES = 20
# Three entries of 46 bytes, their names and what tools add to them.
_MOST_DIRECTORY_BYTES = 2000


def check(path):
    """Makes sure that a file is what Keras writes, and names Keras's own classes alone.

    Args:
        path: The file.

    Returns:
        dict: The model's configuration.

    Raises:
        ValueError: It is something else; the reason, which goes on from "the file can't be
            loaded: ". Damaged archives raise what `zipfile` and `zlib` raise.
        OSError: It can't be read.
    """
    check_regular(path, (ENDING,))
    with open(path, "rb") as file:
        _check_directory(file)
        with zipfile.ZipFile(file) as archive:
            _check_members(archive)
            metadata = _read_json(archive, METADATA)
            config = _read_json(archive, CONFIG)
            with archive.open(WEIGHTS) as weights:
                if weights.read(len(_SIGNATURE)) != _SIGNATURE:
                    raise ValueError(f"its {WEIGHTS} is not HDF5")
    if not isinstance(metadata, dict) or "keras_version" not in metadata:
        raise ValueError(f"its {METADATA} is not Keras's")
    keras_config.check(config)
    return config


def check_regular(path, endings):
    """Raises `ValueError` where `path` is no regular file, ends otherwise or is too large."""
    path = Path(path)
    if path.suffix not in endings:
        raise ValueError(f"it must be a file whose name ends in {' or '.join(endings)}")
    got = files.instead(path)  # before it is opened: a FIFO would wait for ever
    if got:
        raise ValueError(f"it must be a regular file. Got: {got}")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"it has {size:,} bytes, at most {MOST_BYTES:,} are read")


def refusal(path, error, remedy):
    """The line that says why a file is refused.

    Args:
        path: The file.
        error: The exception that it caused.
        remedy: What to do; ends the line.
    """
    return f"{path} can't be loaded: {reason(error)}. {remedy}".rstrip()


def reason(error):
    """The first line of an exception, of ours or of a library's, that says something."""
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    first, *others = lines or [type(error).__name__]
    if first.endswith(":"):
        first = " ".join([first, *others[:1]])
    return one_line(first).rstrip(".")


def _check_directory(file):
    """The archive's directory: small and at the end, before `zipfile` reads it whole."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END.size - _ZIP64_BYTES))
    tail = file.read()
    if len(tail) < _END.size or tail[-_END.size :][:4] != b"PK\x05\x06":
        raise ValueError("it is not a zip file as Keras writes it, or it is cut short")
    *_, entries, directory_bytes, offset, comment_bytes = _END.unpack(tail[-_END.size :])
    if comment_bytes or offset + directory_bytes + _END.size != size or tail.startswith(_ZIP64):
        raise ValueError("its archive holds more than Keras puts there")
    if entries > len(_MOST_BYTES) or directory_bytes > _MOST_DIRECTORY_BYTES:
        raise ValueError(f"its archive has {entries:,} members, {len(_MOST_BYTES)} are Keras's")


def _check_members(archive):
    members = archive.infolist()
    names = sorted(member.filename for member in members)
    if names != sorted(_MOST_BYTES):
        raise ValueError(f"it must hold {', '.join(sorted(_MOST_BYTES))}. Got: {shown(names)}")
    for member in members:
        name, kind = member.filename, stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise ValueError(f"its {name} is not a regular file")
        if member.flag_bits & 1:
            raise ValueError(f"its {name} is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"its {name} is packed by method {member.compress_type}, not Keras's")
        if member.file_size > _MOST_BYTES[name]:
            raise ValueError(
                f"its {name} unpacks to {member.file_size:,} bytes, "
                f"at most {_MOST_BYTES[name]:,} are read"
            )
        if member.file_size > _MOST_EXPANSION * member.compress_size:
            raise ValueError(
                f"its {name} unpacks {member.compress_size:,} bytes to {member.file_size:,}"
            )


def _read_json(archive, name):
    """A member, parsed; `zipfile` reads no more of it than its directory says."""
    return parse_json(archive.read(name), name)


def parse_json(text, name):
    """JSON, parsed; `ValueError` where it is none, `name` in it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its {name} is not JSON: {error}") from error
