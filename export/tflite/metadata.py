"""Metadata of a TFLite file: a ZIP archive behind the flatbuffer.

TensorFlow's own metadata tools append label files in this way: a runtime ignores it, and
`unzip -p FILE.tflite metadata.json` shows it.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from mnist_edge.safety import files

_MEMBER = "metadata.json"
# Of 65,536 classes it is 13 MB where names are long.
_MOST_BYTES = 2**24


def embed(content: bytes, fields: Mapping[str, object]) -> bytes:
    """Puts metadata into a file."""
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive:
        # ZipInfo's default date is a constant: the same model gives the same bytes.
        text = json.dumps(fields, separators=(",", ":"))
        archive.writestr(zipfile.ZipInfo(_MEMBER), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def read(path: Path) -> dict[str, object]:
    """Reads what a file of anybody's says of itself; nothing where it carries no metadata.

    Raises:
        Exception: Whatever the parser stumbles on in a damaged file.
    """
    if not zipfile.is_zipfile(path):
        return {}
    with files.open_zip(path) as archive:
        if _MEMBER not in archive.namelist():
            return {}
        info = archive.getinfo(_MEMBER)
        if info.file_size > _MOST_BYTES:
            raise ValueError(f"a {_MEMBER} that unpacks to {info.file_size:,} bytes")
        with files.open_member(archive, info) as member:
            carried = json.loads(member.read())
    if not isinstance(carried, dict):
        raise ValueError(f"a {_MEMBER} that holds no object")
    return carried
