"""What is to be exported: a bundle's model, or any Keras classifier with its data."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np

from mnist_edge import bundle, data, metrics
from mnist_edge.errors import InputError
from mnist_edge.models import trained
from mnist_edge.safety import sandbox

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
        """Validation images that every artifact is compared on, and their labels."""
        _, validation = data.split_indices(len(self.dataset.x_train), self.split_seed)
        chosen = validation[:_CHECK_COUNT]
        return data.as_inputs(self.dataset.x_train[chosen], self.shape), self.dataset.y_train[
            chosen
        ]

    def predict(self, images: np.ndarray) -> np.ndarray:
        """The model's probabilities, float32 `[n, classes]`."""
        return trained.probabilities(self.model, images, self.path)

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


def open_bundle(folder: Path, dataset_source: str | None = None) -> Source:
    """Opens the model that `mnist_edge.train` wrote into a bundle.

    Args:
        folder: The bundle.
        dataset_source: Where its data lie now; None is where they lay in training.

    Raises:
        InputError: The bundle is missing, incomplete or damaged.
    """
    opened = trained.open_bundle(folder)
    given = opened.record["data"]
    source = _source(
        Path(folder) / bundle.MODEL,
        opened.model,
        dataset_source or given["source"],
        given["split_seed"],
        opened.record["model"],
        given.get("labels", ()),
    )
    data.require_gray_levels(source.dataset)
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
    sandbox.trial(path, _ADVICE, allow_h5)
    model = trained.load_model(path, _ADVICE, allow_h5)
    trained.check_classifier(path, model)
    return _source(path, model, dataset_source, split_seed=0, name=model.name)


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


def _source(
    path: Path,
    model: object,
    dataset_source: str,
    split_seed: int,
    name: str,
    labels: tuple[str, ...] = (),
) -> Source:
    """What is exported, of a model that is a classifier."""
    dataset = data.load(dataset_source)
    classes = model.outputs[0].shape[-1]
    if dataset.classes > classes:
        raise InputError(
            f"{path} knows {classes} classes. Got: labels up to {dataset.classes - 1} in "
            f"{dataset.source}. Give the data set that it was trained on by --data."
        )
    images = data.as_inputs(dataset.x_train[:100], model.inputs[0].shape[1:])
    is_logits = bool(metrics.no_probabilities(trained.answers(model, images, path)))
    return Source(
        path=path,
        name=name,
        sha256=bundle.sha256_file(path),
        model=_with_softmax(model) if is_logits else model,
        softmax_added=is_logits,
        dataset=dataset,
        split_seed=split_seed,
        labels=data.numbered(labels or dataset.labels, classes),
    )


def _with_softmax(model: object) -> object:
    """A `keras.Model` of logits with softmax behind it, by a name that no layer has."""
    import keras

    taken = {one.name for one in getattr(model, "operations", model.layers)}
    name = "probabilities"
    while name in taken:
        name += "_"
    softmax = keras.layers.Softmax(name=name)(model.outputs[0])
    return keras.Model(model.inputs, softmax, name=model.name)
