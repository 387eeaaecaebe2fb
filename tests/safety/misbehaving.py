"""Models that load and pass a batch of zeros, and then do what no classifier should."""

import json

import numpy as np

from mnist_edge import bundle, data, models


def _embedding(keras, image):
    """Ink is no index of a table of ten."""
    pixels = keras.layers.Flatten()(image)
    return _classes(keras, keras.layers.Flatten()(keras.layers.Embedding(10, 2)(pixels)))


def _division(keras, image):
    """Divides by the first pixel of ink, whole numbers."""
    whole = keras.ops.cast(keras.layers.Flatten()(image), "int32")
    return _classes(keras, keras.ops.cast(keras.ops.floor_divide(7, 1 - whole), "float32"))


def _counts(keras, image):
    """Counts gray levels, of which there may be ten."""
    whole = keras.ops.cast(keras.layers.Flatten()(image), "int32")
    counted = keras.ops.bincount(whole, minlength=10)
    return _classes(keras, keras.ops.reshape(keras.ops.cast(counted, "float32"), (-1, 10)))


def _squares(keras, image):
    """Ink, squared often enough, is no number."""
    x = keras.layers.Flatten()(image)
    for _ in range(6):
        x = keras.ops.square(x)
    return _classes(keras, keras.ops.subtract(x, x * 2))


def _named(keras, image):
    """Logits whose layer has the name of what export puts behind them."""
    return keras.layers.Dense(10, name="probabilities")(keras.layers.Flatten()(image))


def _picture(keras, image):
    return keras.layers.Conv2D(10, 3, padding="same")(image)


def _boolean(keras, image):
    return keras.ops.greater(_classes(keras, image), 0.5)


def _integer(keras, image):
    return keras.ops.cast(_classes(keras, image), "int32")


def _classes(keras, x):
    x = keras.layers.Flatten()(x)
    return keras.layers.Dense(10, activation="softmax")(x)


MODELS = {
    "embedding": _embedding,
    "division": _division,
    "counts": _counts,
    "squares": _squares,
    "named": _named,
    "picture": _picture,
    "boolean": _boolean,
    "integer": _integer,
}


def make(name):
    """The model of this name."""
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((28, 28, 1), name="image")
    return keras.Model(image, MODELS[name](keras, image))


def sequential():
    """A good classifier that is no functional model."""
    import keras

    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


def bundle_of(folder, model, source):
    """Writes a bundle as `mnist_edge.train` does, of any model and data; returns the folder."""
    folder.mkdir()
    model.save(folder / bundle.MODEL)
    record = json.loads((models.PRETRAINED / "edge" / bundle.TRAIN).read_text())
    dataset = data.load(source)
    record["model_sha256"] = bundle.sha256_file(folder / bundle.MODEL)
    record["data"] |= {"source": str(source), "sha256": dataset.sha256()}
    record["recipe"]["epochs"] = 1
    bundle.write_json(folder / bundle.TRAIN, record)
    return folder


def few(path, count=60, test_count=20):
    """Writes an `.npz` of the first images of MNIST; returns its path."""
    mnist = data.load()
    arrays = {}
    for split, n in (("train", count), ("test", test_count)):
        arrays |= {f"{what}_{split}": getattr(mnist, f"{what}_{split}")[:n] for what in "xy"}
    np.savez(path, **arrays)
    return str(path)
