"""Weights that are more than arrays in their own file are refused before Keras reads them."""

import json

import h5py
import keras
import numpy as np
import pytest

from mnist_edge.safety import weights_file
from mnist_edge.safety.keras_file import WEIGHTS
from tests.safety.culprits import linked_outside


def external_storage(file):
    file.create_dataset("x", (4,), "float32", external=[("/etc/hostname", 0, 16)])


def virtual(file):
    layout = h5py.VirtualLayout((4,), "float32")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (4,))
    file.create_virtual_dataset("x", layout)


WEIGHTS_ATTACKS = {
    "an external link": (linked_outside, "a link to elsewhere, '0'"),
    "a soft link": (
        lambda file: file.__setitem__("x", h5py.SoftLink("/layers")),
        "a link to elsewhere, 'x'",
    ),
    "a group within itself": (lambda file: file.__setitem__("layers/x", file["layers"]), "twice"),
    "data in another file": (external_storage, "take 'x' from another file"),
    "a virtual dataset": (virtual, "take 'x' from another file"),
    "a terabyte declared, nothing stored": (
        lambda file: file.create_dataset("x", (2**40,), "float32", chunks=(1024,)),
        "unpack to 4,398,",
    ),
    "two gigabytes to unpack for ten numbers": (
        lambda file: file.create_dataset("x", (10,), "float32", maxshape=(None,), chunks=(2**29,)),
        "unpack to 2,147,",
    ),
    "objects": (
        lambda file: file.create_dataset("x", data=["text"], dtype=h5py.string_dtype()),
        "'x', which are not numbers",
    ),
    "a type in place of an array": (
        lambda file: file.__setitem__("x", np.dtype("float32")),
        "'x', which is not an array",
    ),
    "a filter that is a plugin": (
        lambda file: file.create_dataset("x", data=np.ones(64), compression="lzf"),
        r"packed by HDF5 filters \[32000\]",
    ),
}


@pytest.fixture
def weights(honest, tmp_path):
    """A file of weights, as Keras wrote it."""
    path = tmp_path / "weights"
    path.write_bytes(honest[WEIGHTS])
    return path


@pytest.mark.parametrize("attack", WEIGHTS_ATTACKS)
def test_weights_that_are_not_arrays_in_the_file_are_refused(weights, attack):
    change, reason = WEIGHTS_ATTACKS[attack]
    with h5py.File(weights, "r+") as file:
        weights_file.check(file)
        change(file)
        with pytest.raises(ValueError, match=reason):
            weights_file.check(file)


def test_a_configuration_of_the_older_format_is_looked_into(tmp_path):
    path = tmp_path / "model.h5"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(path)
    with h5py.File(path, "r+") as file:
        weights_file.check_old_config(file)
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][-1]["class_name"] = "deserialize"
        file.attrs["model_config"] = json.dumps(config)
        with pytest.raises(ValueError, match="'deserialize' of None, not a class of Keras's"):
            weights_file.check_old_config(file)
        del file.attrs["model_config"]
        with pytest.raises(ValueError, match="no configuration"):
            weights_file.check_old_config(file)
