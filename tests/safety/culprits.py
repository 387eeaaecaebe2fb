"""What a hostile model could make a child process do, and hostile models themselves."""

import base64
import json
import marshal
import os
import sys
import time
import zipfile

import numpy as np

from mnist_edge import bundle
from mnist_edge.errors import InputError
from mnist_edge.models.zoo import PRETRAINED
from mnist_edge.safety import isolated
from mnist_edge.safety.keras_file import CONFIG, METADATA, WEIGHTS


class Here:
    """An isolated process that is none: its requests are answered in this process."""

    def __init__(self, requests, allowance, passed_on, state=isolated.State):
        self._requests, self._state = requests, state(allowance)

    def ask(self, request, *arguments, **limits):
        arguments = isolated.unpack(isolated.pack(arguments)[isolated.FRAME_BYTES :])
        return self._requests[request](self._state, *arguments)

    def ask_for(self, kind, request, *arguments, **limits):
        return self.ask(request, *arguments)

    def is_alive(self):
        return True

    def close(self):
        pass


class _Here(isolated.Process):
    def __init__(self, requests, allowance, passed_on):
        self._requests, self._state = requests, isolated.State(allowance)

    def ask(self, request, *arguments):
        if request == "load":
            self._requests[request](self._state, *arguments)

    def close(self):
        pass


def tried_here(monkeypatch):
    """Has models tried in this process, where Keras is up; the subprocess takes seconds."""
    monkeypatch.setattr(isolated, "Process", _Here)


# In place of a subprocess's own requests; each is called with its state, and mostly a path.


def nothing(state, *arguments):
    pass


def refuse(state, *arguments):
    raise InputError("layer 'odd' can't be exported.")


def crash(state, path):
    os.abort()


def crash_for_int8(state, name):
    from export import worker  # this module must not need the exporters

    return os.abort() if name == "tflite-int8" else worker._convert(state, name)


def leave(state, *arguments):
    os._exit(3)


def hang(state, path):
    time.sleep(100)


def hog(state, path):
    return int(np.ones(10**9).sum())


def hog_from_the_second_on(state, path):
    if hasattr(state, "was_asked"):
        hog(state, path)
    state.was_asked = True
    raise InputError("layer 'odd' can't be exported.")


def hold(state, path):
    return int(np.ones(10**7).sum())


def write(state, path):
    print("a word", file=sys.stderr, flush=True)  # is no file written
    with open(path + ".written", "w") as file:
        file.write("x")


def members(path):
    """A `.keras` file's members: name to bytes."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_archive(path, content, compression=zipfile.ZIP_STORED):
    """Writes a `.keras` file of such members, in Keras's order."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name in (METADATA, CONFIG, WEIGHTS):
            archive.writestr(name, content[name])
    return path


def with_config(path, content, change):
    """Writes a `.keras` file whose configuration was changed in place by `change`."""
    config = json.loads(content[CONFIG])
    change(config)
    return write_archive(path, content | {CONFIG: json.dumps(config)})


def keras_object(module, class_name, config, **more):
    """An object as Keras writes it into a configuration."""
    head = {"module": module, "class_name": class_name, "config": config}
    return head | {"registered_name": None} | more


def function(module, name):
    """A reference to a function as Keras writes it."""
    return keras_object(module, "function", name, registered_name=name)


def code_that_touches(marker):
    """Marshalled code, as a Lambda layer's file holds it."""
    code = eval(f"lambda x: open({str(marker)!r}, 'w') and x").__code__
    return base64.b64encode(marshal.dumps(code)).decode("ascii")


def lambda_layer(marker):
    inner = {"code": code_that_touches(marker), "defaults": None, "closure": None}
    function = {"class_name": "__lambda__", "config": inner}
    return keras_object("keras.layers", "Lambda", {"name": "x", "function": function})


def refused_by_export(model, tmp_path, capsys, *flags):
    """The one line that `python -m export` prints."""
    from export import __main__ as command

    argv = [str(model), "--data", "mnist", "--output", str(tmp_path / "bundle"), *flags]
    assert command.main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert not (tmp_path / "bundle").exists()
    return line


def linked_outside(file):
    """Replaces an array in an open HDF5 file by a link out of it."""
    import h5py

    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = h5py.ExternalLink("/etc/hostname", "/x")


def swollen(file):
    """Replaces an array in an open HDF5 file by one of 1.2 GB, of which nothing is stored."""
    del file["layers/dense/vars/0"]
    file.create_dataset("layers/dense/vars/0", (300_000_000,), "float32", chunks=(10**6,))


def with_weights(content, path, change):
    """A `.keras` file's members, its weights changed in place by `change`."""
    import h5py

    path.write_bytes(content[WEIGHTS])
    with h5py.File(path, "r+") as file:
        change(file)
    return content | {WEIGHTS: path.read_bytes()}


def bundle_of(model):
    """Makes a bundle of the folder that a model's file stands in: its record vouches for it."""
    record = json.loads((PRETRAINED / "edge" / bundle.TRAIN).read_text())
    record |= {"project": bundle.PROJECT, "model_sha256": bundle.sha256_file(model)}
    bundle.write_json(model.with_name(bundle.TRAIN), record)
    return model.parent


def data_dependent(path):
    """Saves a classifier that takes gigabytes for a bright image, and next to none for zeros."""
    import keras

    image = keras.Input((28, 28, 1))
    pixels = keras.layers.Flatten()(image)
    counts = keras.ops.bincount(keras.ops.cast(keras.ops.ravel(pixels) * 5e5, "int32"))
    most = keras.ops.cast(keras.ops.max(counts), "float32")
    logits = keras.layers.Dense(10)(pixels) + most
    keras.Model(image, keras.layers.Softmax()(logits)).save(path)
    return path
