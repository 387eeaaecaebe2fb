"""Metadata of a TFLite file, in a ZIP archive appended to the flatbuffer.

TensorFlow's metadata tools append label files in the same way. Runtimes ignore the archive;
`unzip -p FILE.tflite metadata.json` prints the metadata.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from mnist_edge.safety import files

_MEMBER = "metadata.json"
# 65,536 classes with long names take 13 MB.
_MOST_BYTES = 2**24


def embed(content: bytes, fields: Mapping[str, object]) -> bytes:
    """Embeds metadata in an artifact's bytes."""
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive:
        # ZipInfo's default date is constant, so the same model gives the same bytes.
        text = json.dumps(fields, separators=(",", ":"))
        archive.writestr(zipfile.ZipInfo(_MEMBER), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def read(path: Path) -> dict[str, object]:
    """Reads the metadata of an untrusted file; empty if it has none.

    Raises:
        Exception: The file is damaged; the parser may raise any exception.
    """
    if not zipfile.is_zipfile(path):
        return {}
    with files.open_zip(path) as archive:
        if _MEMBER not in archive.namelist():
            return {}
        info = archive.getinfo(_MEMBER)
        if info.file_size > _MOST_BYTES:
            raise ValueError(f"{_MEMBER} unpacks to {info.file_size:,} bytes")
        with files.open_member(archive, info) as member:
            fields = json.loads(member.read())
    if not isinstance(fields, dict):
        raise ValueError(f"{_MEMBER} does not hold a JSON object")
    return fields
