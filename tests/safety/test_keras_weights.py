"""Weights that are more than arrays in their own file are refused before Keras reads them."""

import h5py
import numpy as np
import pytest

from mnist_edge.safety import keras_file
from tests.safety.culprits import linked_outside, with_weights, write_archive


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


@pytest.mark.parametrize("attack", WEIGHTS_ATTACKS)
def test_weights_that_are_not_arrays_in_the_file_are_refused(honest, tmp_path, attack):
    change, reason = WEIGHTS_ATTACKS[attack]
    path = write_archive(tmp_path / "model.keras", honest)
    keras_file.check_weights(path)
    write_archive(path, with_weights(honest, tmp_path / "weights", change))
    with pytest.raises(ValueError, match=reason):
        keras_file.check_weights(path)
