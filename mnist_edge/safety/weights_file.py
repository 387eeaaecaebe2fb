"""Look into a model's weights, which are HDF5, before Keras reads them."""

import contextlib
import io
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path

from mnist_edge.safety import keras_config, keras_file
from mnist_edge.safety.keras_config import shown

# DEFLATE, shuffle, Fletcher's checksum: built in. Others are loaded as plugins.
_FILTERS = {1, 2, 3}
_MODEL_CONFIG = "model_config"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[object]:
    """Opens the weights of a `.keras` file, or an `.h5` file; yields an `h5py.File`."""
    import h5py

    if path.suffix == keras_file.ENDING:
        with zipfile.ZipFile(path) as archive:
            content = io.BytesIO(archive.read(keras_file.WEIGHTS))
    else:
        content = path
    with h5py.File(content, "r") as file:
        yield file


def check(file: object) -> None:
    """Makes sure that a file holds all of its data itself, numbers, and not too many.

    Args:
        file: An `h5py.File`.

    Raises:
        ValueError: It does not; the reason.
    """
    import h5py

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
            if total_bytes > keras_file.MOST_BYTES:
                raise ValueError(
                    f"its weights unpack to {total_bytes:,} bytes or more, "
                    f"at most {keras_file.MOST_BYTES:,} are read"
                )


def _checked_bytes(dataset: object, name: str) -> int:
    """How many bytes a dataset takes in memory, or a part of it that is unpacked at once."""
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
    chunk = properties.get_chunk() if layout == h5py.h5d.CHUNKED else ()  # may be the larger
    return max(math.prod(dataset.shape), math.prod(chunk)) * dataset.dtype.itemsize


def check_old_config(file: object) -> None:
    """Checks the configuration that an `.h5` file holds; raises as `keras_config.check`."""
    text = file.attrs.get(_MODEL_CONFIG)
    if not isinstance(text, str | bytes) or len(text) > keras_file.MOST_CONFIG_BYTES:
        raise ValueError("it holds no configuration of a Keras model")
    keras_config.check(keras_file.parse_json(text, _MODEL_CONFIG), old_format=True)
