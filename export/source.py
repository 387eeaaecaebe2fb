"""What is to be exported: a bundle's model, or any Keras classifier with its data."""

import dataclasses
import math
import shutil
from pathlib import Path

import numpy as np

from mnist_edge import bundle, data, footprint, quarantine, trained
from mnist_edge.cli import InputError

# Enough to tell a wrong graph from a right one; the benchmarks judge on the whole test
# set. Validation images, so that the test set chooses nothing.
_CHECK_COUNT = 1000
_SCALES_DOWN = 0.1  # by 255 or 127.5, in most networks
_ADVICE = (
    "Rebuild the model from Keras's own layers, without Lambda, train it, and save it by "
    "model.save('name.keras')."
)


@dataclasses.dataclass(frozen=True)
class Source:
    """A model and the data that it is exported with.

    Attributes:
        path: The `.keras` file.
        name: The model's name.
        sha256: Of the file.
        model: `keras.Model` with one input and one output, probabilities.
        softmax_added: Whether the file's model gives logits, and softmax was put behind.
        dataset: `mnist_edge.data.Dataset`.
        split_seed: Of the split into training and validation images.
        labels: Names of the classes, in order.
    """

    path: Path
    name: str
    sha256: str
    model: object
    softmax_added: bool
    dataset: data.Dataset
    split_seed: int
    labels: tuple[str, ...]

    @property
    def shape(self):
        """What the model takes an example."""
        return tuple(self.model.inputs[0].shape[1:])

    @property
    def input_range(self):
        """Smallest and largest value of the training examples."""
        x = self.dataset.x_train
        return [float(x.min()), float(x.max())]

    def check_set(self):
        """Validation images that every artefact is compared on, and their labels."""
        _, validation = data.split_indices(len(self.dataset.x_train), self.split_seed)
        chosen = validation[:_CHECK_COUNT]
        return data.as_inputs(self.dataset.x_train[chosen], self.shape), self.dataset.y_train[
            chosen
        ]

    def predict(self, images):
        """The model's probabilities, float32 `[n, classes]`."""
        return self.model.predict(images, batch_size=footprint.batch_size(self.model), verbose=0)

    def data_record(self):
        """What the manifest holds of the data, a dict."""
        train, validation = data.split_indices(len(self.dataset.x_train), self.split_seed)
        return {
            "source": self.dataset.source,
            "classes": len(self.labels),
            "labels": list(self.labels),
            "input_range": self.input_range,
            "split_seed": self.split_seed,
            "train_count": len(train),
            "validation_count": len(validation),
            "test_count": len(self.dataset.x_test),
            "sha256": self.dataset.sha256(),
        }


def open_bundle(folder, dataset_source=None):
    """Opens the model that `mnist_edge.train` wrote into a bundle.

    Args:
        folder: The bundle.
        dataset_source: Where its data lie now; None is where they lay in training.

    Returns:
        A `Source`.

    Raises:
        InputError: The bundle is missing, incomplete or damaged.
    """
    path, record, _ = trained.check(folder)
    source = _open(
        path,
        dataset_source or record["data"]["source"],
        record["data"]["split_seed"],
        record["model"],
        record["data"].get("labels", ()),
    )
    data.require_grey_levels(source.dataset)
    return source


def open_model(path, dataset_source, allow_h5=False):
    """Opens a Keras classifier that this project did not train; in a child process first.

    Args:
        path: A `.keras` file.
        dataset_source: The data that it was trained on, as `mnist_edge.data.load` takes.
        allow_h5: Whether it may be an `.h5` file.

    Returns:
        A `Source`.

    Raises:
        InputError: The file, the model or the data can't be used.
    """
    quarantine.trial(path, _ADVICE, allow_h5)
    return _open(path, dataset_source, split_seed=0, name=None, allow_h5=allow_h5)


def range_remark(source):
    """What to know of the values that a foreign model gets, a line.

    Only its author knows what it was trained on; a layer of its own that scales pixels down
    is a sign that it was not on what lies in [0, 1] already.
    """
    low, high = source.input_range
    remark = f"the model gets {low:g} to {high:g}, as {source.dataset.source} has it"
    scales = [layer.scale for layer in source.model.layers if type(layer).__name__ == "Rescaling"]
    if high <= 1 and scales and np.max(scales[0]) < _SCALES_DOWN:
        return (
            f"warning: {remark}, and then scales it down by its own layer. If it was trained on "
            "0 to 255, multiply by 255."
        )
    return f"{remark}; give data scaled as in its training"


def copy_model(source, stage):
    """Copies the model's file into a bundle's staging folder."""
    shutil.copyfile(source.path, stage / bundle.MODEL)


def _open(path, dataset_source, split_seed, name, labels=(), allow_h5=False):
    dataset = data.load(dataset_source)
    model, softmax_added = _load(path, dataset, allow_h5)
    classes = model.outputs[0].shape[-1]
    if dataset.classes > classes:
        raise InputError(
            f"{path} knows {classes} classes. Got: labels up to {dataset.classes - 1} in "
            f"{dataset.source}. Give the data set that it was trained on by --data."
        )
    return Source(
        path=path,
        name=name or model.name,
        sha256=bundle.sha256_file(path),
        model=model,
        softmax_added=softmax_added,
        dataset=dataset,
        split_seed=split_seed,
        labels=data.numbered(labels or dataset.labels, classes),
    )


def _load(path, dataset, allow_h5):
    import keras

    model = trained.load_model(path, _ADVICE, allow_h5)
    _check_shape(path, model)
    images = data.as_inputs(dataset.x_train[:100], model.inputs[0].shape[1:])
    outputs = model.predict(images, batch_size=footprint.batch_size(model), verbose=0)
    if outputs.min() >= 0 and np.allclose(outputs.sum(1), 1, atol=1e-3):
        return model, False
    probabilities = keras.layers.Softmax(name="probabilities")(model.outputs[0])
    return keras.Model(model.inputs, probabilities, name=model.name), True


def _check_shape(path, model):
    inputs, outputs = (getattr(model, name, None) or () for name in ("inputs", "outputs"))
    if len(inputs) != 1 or len(outputs) != 1:
        raise InputError(
            f"{path} must have one input and one output. Got: inputs "
            f"{[i.name for i in inputs]}, {len(outputs)} outputs."
        )
    given, taken = model.inputs[0].shape, model.outputs[0].shape
    if None in given[1:]:
        raise InputError(
            f"{path} must take examples of a fixed shape. Got: {list(given)} at input "
            f"{model.inputs[0].name!r}. Rebuild the model on a keras.Input of a fixed shape."
        )
    if len(taken) != 2 or taken[-1] < 2:
        raise InputError(
            f"{path} must be a classifier, output [batch, classes] with 2 classes or more. "
            f"Got: {list(taken)} from layer {model.layers[-1].name!r}."
        )
    if math.prod(given[1:]) > 2**24:
        raise InputError(f"{path} takes {math.prod(given[1:]):,} values an example, too many.")
