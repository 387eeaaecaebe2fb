"""Check an untrusted `.keras` file before Keras loads it.

A `.keras` file is a ZIP archive of three members. `check` reads the archive and the
configuration in a few milliseconds, with the same `zipfile` and `json` as Keras, so that both
see the same content. `load` then checks the weights, which are HDF5, and the memory that the
model would take, and has Keras load the file in safe mode.
"""

import concurrent.futures
import io
import json
import math
import os
import random
import stat
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from mnist_edge.cli import one_line
from mnist_edge.models import precision
from mnist_edge.safety import files, keras_config
from mnist_edge.safety.keras_config import shown

if TYPE_CHECKING:
    import h5py
    import keras

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
ENDING = ".keras"
OLD_ENDINGS = (".h5", ".hdf5")  # refused: only HDF5 itself could read what they hold
# VGG16, the largest classifier in common use, takes 553 MB, MobileNetV2 with its optimizer 43.
MOST_BYTES = 1_000_000_000
# By member. The configuration of NASNetLarge, the largest of Keras's applications, has 1.1 MB.
_MOST_BYTES = {CONFIG: 8_000_000, METADATA: 10_000, WEIGHTS: MOST_BYTES}
# Largest compression ratio. Keras does not compress; zipping a file again gives a ratio of about
# 3, and 20 for its configuration. DEFLATE reaches 1,032.
_MOST_EXPANSION = 100
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# End of central directory record (4.3.16 of the ZIP specification): signature, disks, entries,
# size and offset of the directory, length of the comment; and the ZIP64 locator before it.
_END = struct.Struct("<4s4H2LH")
_ZIP64 = b"PK\x06\x07"
_ZIP64_BYTES = 20
# Three entries of 46 bytes, their names, and extra fields of ZIP tools.
_MOST_DIRECTORY_BYTES = 2000
# DEFLATE, shuffle and Fletcher32, which are built into HDF5. Others are loaded as plugins.
_FILTERS = {1, 2, 3}
# Number of weights: 600 MB in float32. VGG16 has 138 million.
_MOST_WEIGHTS = 150_000_000
# Outputs of one layer per example: 134 MB in float32. EfficientNetB7 at 600 x 600 pixels has
# 17 million.
_MOST_VALUES = 2**25
# Outputs of one layer per batch: 67 MB in float32. ConvNeXtTiny keeps a dozen of them at once.
_MOST_BATCH_VALUES = 2**24
_MOST_BATCH = 500


def load(path: Path) -> "keras.Model":
    """Loads an untrusted file; the model is not compiled, and computes in float32.

    Raises:
        ValueError: It fails `check`, takes too much memory, or holds NaN or infinity. For a
            damaged file, Keras may raise any other exception.
    """
    import keras

    config = check(path)
    check_weights(path)
    _build_without_values(config)
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    _check_size(model)
    broken = [v.path for v in model.variables if not np.isfinite(np.asarray(v)).all()]
    if broken:
        raise ValueError(f"it must hold finite weights. Got: NaN or infinity in {broken[0]}")
    return precision.in_float32(model)


def batch_size(model: "keras.Model") -> int:
    """Returns the batch size for a model: 500, or less if its layers have large outputs."""
    return max(1, min(_MOST_BATCH, _MOST_BATCH_VALUES // max(1, largest_output(model))))


def refusal(path: Path | str, error: Exception | str, remedy: str) -> str:
    """Returns the error message for a refused file: the reason, and what to do."""
    return f"{path} can't be loaded: {reason(error)}. {remedy}".rstrip()


def reason(error: Exception | str) -> str:
    """Returns the first line of an exception that is not empty."""
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    first, *others = lines or [type(error).__name__]
    if first.endswith(":"):
        first = " ".join([first, *others[:1]])
    return one_line(first).rstrip(".")


# The archive and the configuration.


def check(path: Path | str) -> dict[str, Any]:
    """Checks that a file is an archive as Keras writes it, and names only Keras's classes.

    Returns the model's configuration; raises the errors of `read_config`.
    """
    config = read_config(path)
    keras_config.check(config)
    return config


def read_config(path: Path | str) -> dict[str, Any]:
    """Checks that a file is an archive as Keras writes it; returns the model's configuration.

    Raises:
        ValueError: It is something else. The message is a reason that fits after "the file
            can't be loaded: ". For damaged archives, `zipfile` and `zlib` raise other errors.
        OSError: It can't be read.
    """
    if Path(path).suffix != ENDING:
        raise ValueError(f"it must be a file whose name ends in {ENDING}")
    got = files.kind(path, follow_links=True)  # before opening, which blocks on a FIFO
    if got != "a file":
        raise ValueError(f"it must be a regular file. Got: {got}")
    size = os.path.getsize(path)
    if size > MOST_BYTES:
        raise ValueError(f"it has {size:,} bytes, at most {MOST_BYTES:,} are read")
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
    return config


def _check_directory(file: IO[bytes]) -> None:
    """Checks that the central directory is small and last, before `zipfile` reads it."""
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


def _check_members(archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    names = sorted(member.filename for member in members)
    if names != sorted(_MOST_BYTES):
        raise ValueError(f"it must hold {', '.join(sorted(_MOST_BYTES))}. Got: {shown(names)}")
    for member in members:
        name, kind = member.filename, stat.S_IFMT(member.external_attr >> 16)
        packed, unpacked = member.compress_size, member.file_size
        if kind not in (0, stat.S_IFREG):
            raise ValueError(f"its {name} is not a regular file")
        if member.flag_bits & 1:
            raise ValueError(f"its {name} is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"its {name} is packed by method {member.compress_type}, not Keras's")
        if unpacked > _MOST_BYTES[name]:
            most = f"at most {_MOST_BYTES[name]:,} are read"
            raise ValueError(f"its {name} unpacks to {unpacked:,} bytes, {most}")
        if unpacked > _MOST_EXPANSION * packed:
            raise ValueError(f"its {name} unpacks {packed:,} bytes to {unpacked:,}")


def _read_json(archive: zipfile.ZipFile, name: str) -> Any:
    """Parses a member; `zipfile` reads no more of it than the directory states."""
    try:
        return json.loads(archive.read(name))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its {name} is not JSON: {error}") from error


# The weights.


def check_weights(path: Path) -> None:
    """Checks that a file's weights are numeric arrays within the file, and not too large.

    Raises:
        ValueError: They are not; the message is the reason.
    """
    import h5py

    with zipfile.ZipFile(path) as archive:
        content = io.BytesIO(archive.read(WEIGHTS))
    with h5py.File(content, "r") as file:
        total_bytes, seen, groups = 0, set(), [file]
        while groups:
            group = groups.pop()
            for name in group:
                link = group.get(name, getlink=True)
                if not isinstance(link, h5py.HardLink):
                    raise ValueError(f"its weights hold a link to elsewhere, {shown(name)}")
                item = group[name]
                place = h5py.h5o.get_info(item.id).addr
                if place in seen:
                    raise ValueError(f"its weights hold {shown(name)} twice")
                seen.add(place)
                if isinstance(item, h5py.Group):
                    groups.append(item)
                else:
                    total_bytes += _checked_bytes(item, shown(name))
                if total_bytes > MOST_BYTES:
                    raise ValueError(
                        f"its weights unpack to {total_bytes:,} bytes or more, "
                        f"at most {MOST_BYTES:,} are read"
                    )


def _checked_bytes(dataset: "h5py.Dataset", name: str) -> int:
    """Returns the bytes of a dataset in memory, or of one of its chunks if that is larger."""
    import h5py

    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        raise ValueError(f"its weights hold {name}, which is not an array")
    properties = dataset.id.get_create_plist()
    layout = properties.get_layout()
    if properties.get_external_count() or layout == h5py.h5d.VIRTUAL:
        raise ValueError(f"its weights take {name} from another file")
    if dataset.dtype.kind not in "biuf":
        raise ValueError(f"its weights hold {name}, which are not numbers: {dataset.dtype}")
    filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
    if not filters <= _FILTERS:
        raise ValueError(f"its weights are packed by HDF5 filters {sorted(filters - _FILTERS)}")
    chunk = (
        properties.get_chunk() if layout == h5py.h5d.CHUNKED else ()
    )  # a chunk may be larger than the dataset
    return max(math.prod(dataset.shape), math.prod(chunk)) * dataset.dtype.itemsize


# The memory that the model needs: its weights and the outputs of its layers.


def _build_without_values(config: dict[str, Any]) -> None:
    """Builds a model without values of weights, to check its size before memory is taken."""
    import keras

    def build() -> None:
        with keras.StatelessScope(initialize_variables=False):
            model = keras.saving.deserialize_keras_object(_uncompiled(config), safe_mode=True)
            _check_size(model)

    # In a thread of its own: Keras lists uninitialized variables per thread, to initialize later.
    random_state = random.getstate()
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        thread.submit(build).result()
    random.setstate(random_state)


def _uncompiled(node: Any) -> Any:
    """Removes optimizers, of nested models too, from a configuration: they need weights' values."""
    if isinstance(node, dict):
        return {k: _uncompiled(v) for k, v in node.items() if k != "compile_config"}
    return [_uncompiled(each) for each in node] if isinstance(node, list) else node


def _check_size(model: "keras.Model") -> None:
    """Raises `ValueError`, with the reason, if a model is too large."""
    weights = sum(math.prod(map(int, variable.shape)) for variable in model.variables)
    if weights > _MOST_WEIGHTS:
        raise ValueError(f"it asks for {weights:,} weights, at most {_MOST_WEIGHTS:,} are allowed")
    values = largest_output(model)
    if values > _MOST_VALUES:
        most = f"at most {_MOST_VALUES:,} are allowed"
        raise ValueError(f"one of its layers outputs {values:,} values per example, {most}")


def largest_output(model: "keras.Model") -> int:
    """Returns the number of values per example in the largest output of a model's layers."""
    shapes = (tensor.shape[1:] for tensor in _tensors(model))  # the first is the batch
    return max((math.prod(int(size or 1) for size in shape) for shape in shapes), default=0)


def _tensors(model: "keras.Model") -> Iterator[Any]:
    for layer in model._flatten_layers():  # nested models included
        for operation in getattr(layer, "operations", [layer]):
            for node in operation._inbound_nodes:
                yield from node.output_tensors
