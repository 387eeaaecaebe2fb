"""Metadata of a TFLite file, in a ZIP archive appended to the flatbuffer.

TensorFlow's metadata tools append label files in the same way. Runtimes ignore the archive;
`unzip -p FILE.tflite metadata.json` prints the metadata.
"""

import io
import json
import zipfile
from collections.abc import Mapping

from mnist_edge.artifact_metadata import TFLITE_MEMBER
from mnist_edge.artifact_metadata import read_tflite as read

__all__ = ["embed", "read"]


def embed(content: bytes, fields: Mapping[str, object]) -> bytes:
    """Embeds metadata in an artifact's bytes."""
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive:
        # ZipInfo's default date is constant, so the same model gives the same bytes.
        text = json.dumps(fields, separators=(",", ":"))
        archive.writestr(zipfile.ZipInfo(TFLITE_MEMBER), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
