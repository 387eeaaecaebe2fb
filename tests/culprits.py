"""What a hostile model could make a child process do, and hostile models themselves."""

import json
import os
import time
import zipfile

import numpy as np

from mnist_edge.keras_file import CONFIG, METADATA, WEIGHTS


def nothing():
    """In place of Keras's start, for what needs no Keras."""


def crash(_):
    os.abort()


def leave(_):
    os._exit(3)


def hang(seconds):
    time.sleep(seconds)


def hog(count):
    return float(np.ones(count).sum())


def write(path):
    with open(path, "w") as file:
        file.write("x")


def echo(value):
    return value


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
