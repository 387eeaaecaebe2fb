"""Read an artifact without running it: its graph, and its size by purpose."""

from pathlib import Path

from mnist_edge.cli import in_words
from mnist_edge.errors import InputError

from .graph import Graph
from .onnx import inspect as onnx_inspect
from .tflite import inspect as tflite_inspect

_FORMATS = {"tflite": tflite_inspect, "onnx": onnx_inspect}
# Flatbuffers and Protocol Buffers both end here.
_MOST_BYTES = 2**31


def read(path: Path) -> Graph:
    """Reads an artifact's graph without running it.

    Args:
        path: A `.tflite` or `.onnx` file.

    Returns:
        A `Graph`.

    Raises:
        InputError: The file is missing, or is neither.
    """
    readers = {f".{format}": inspect.read_graph for format, inspect in _FORMATS.items()}
    if path.suffix not in readers or not path.is_file():
        raise InputError(f"{path} must be a .tflite or .onnx file and is not.")
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(f"{path} must be a file of at most {_MOST_BYTES:,} bytes and is not.")
    try:
        return readers[path.suffix](path.read_bytes())
    except Exception as error:  # parsers of both formats raise whatever they stumble on
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> InputError:
    """The `InputError` of a file whose reading raised `error`."""
    return InputError(
        f"{path} must be a whole {path.suffix} file. Got: {in_words(error)}. Export it again."
    )


def size_breakdown(content: bytes, format: str) -> dict[str, int]:
    """Divides an artifact's size by purpose.

    Args:
        content: The artifact's bytes.
        format: "tflite" or "onnx".

    Returns:
        Bytes by purpose: `weights`, constants as they are stored; `quantisation`, scales
        and zero points; `contract`; `structure`, all the rest. Their sum is the size.
    """
    found = _FORMATS[format].size_breakdown(content)
    return found | {"structure": len(content) - sum(found.values())}
