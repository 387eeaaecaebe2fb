"""What a model's output means: the activation that it ends with, and a softmax for logits."""

import dataclasses
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_edge import metrics
from mnist_edge.errors import InputError

if TYPE_CHECKING:
    import keras

# Compute nothing at inference, or leave every value as it is.
_PASSING = {"Dropout", "Flatten", "GaussianDropout", "GaussianNoise", "Identity", "Reshape"}
_INDEPENDENT = {"sigmoid", "hardsigmoid", "sparsesigmoid"}
_LOGITS = {"linear", "logsoftmax"}
# A softmax over values in [0, 1] is nearly uniform.
_BOUNDED = _INDEPENDENT | {"softmax"}


@dataclasses.dataclass(frozen=True)
class Output:
    """The output of a classifier.

    Attributes:
        layer: Name of the layer that computes it.
        activation: Its activation in lower case, "softmax" or "linear"; "none" if the last
            operation is no activation, as in the average of several classifiers.
        softmax_added: Whether it is logits, so that a softmax is appended for the export.
        warning: What the user should know about it, or "".
    """

    layer: str
    activation: str
    softmax_added: bool
    warning: str

    @property
    def words(self) -> str:
        """The output's activation in words."""
        kind = "logits" if self.activation in _LOGITS else self.activation
        kind = "probabilities" if kind == "none" and not self.softmax_added else kind
        return f"{kind}, to which a softmax is added" if self.softmax_added else kind


def read(model: "keras.Model", outputs: np.ndarray, where: object) -> Output:
    """Reads what a classifier's output means from its last layers and its answers.

    Args:
        model: A classifier.
        outputs: Its answers on examples, float32 `[n, classes]`.
        where: The model's name in error messages.

    Raises:
        InputError: The outputs are not one probability distribution over classes, and a softmax
            would not make them one.
    """
    ends = _ends(model)
    last, activation = next(ends)
    layer = last.name
    fault = metrics.probability_fault(outputs)
    within = outputs.min() >= 0 and outputs.max() <= 1
    if activation in _INDEPENDENT or (fault and within and activation not in _LOGITS):
        kind = activation if activation in _INDEPENDENT else "separate"
        raise InputError(
            f"{where} must give each example one class, by softmax or logits. Got: "
            f"{outputs.shape[1]} {kind} outputs, each from 0 to 1, from layer {layer!r}. If the "
            "classes exclude each other, set the activation of that layer to softmax, which keeps "
            "their order, and save the model again; several labels per example are not supported."
        )
    if fault and activation == "softmax":
        raise InputError(
            f"{where} must give probabilities. Got: {fault}, from the softmax in layer {layer!r}. "
            "Let it run over the classes, the last axis."
        )
    warning = ""
    if activation == "softmax" and not getattr(last, "weights", ()):
        before, inner = next(ends)
        if inner in _BOUNDED:
            most = math.e / (math.e + outputs.shape[1] - 1)
            warning = (
                f"layer {layer!r} applies a softmax to the {inner} of layer {before.name!r}, so "
                f"that no probability exceeds {most:.3f}. Remove one of them"
            )
    elif fault and activation not in {*_LOGITS, "none"}:
        warning = (
            f"the output of layer {layer!r} has the activation {activation} and is taken for "
            "logits. If it was not trained so, let the model end in a softmax"
        )
    return Output(layer, activation, bool(fault), warning)


def with_softmax(model: "keras.Model") -> "keras.Model":
    """Appends a softmax, under an unused layer name."""
    import keras

    names = {layer.name for layer in getattr(model, "operations", model.layers)}
    name = "probabilities"
    while name in names:
        name += "_"
    softmax = keras.layers.Softmax(name=name)(model.outputs[0])
    return keras.Model(model.inputs, softmax, name=model.name)


def _ends(model: "keras.Model") -> Iterator[tuple[Any, str]]:
    """Yields the operations at a model's end and their activations, the last one first."""
    tensor = model.outputs[0]
    while True:
        operation, node, place = tensor._keras_history
        if getattr(operation, "outputs", None):  # a nested model
            tensor = operation.outputs[place]
            continue
        inputs = operation._inbound_nodes[node].input_tensors
        if not _passes(operation):
            yield operation, _activation(operation)
        if len(inputs) != 1:
            return
        tensor = inputs[0]


def _passes(operation: Any) -> bool:
    kind = type(operation).__name__
    return kind in _PASSING or (kind == "Activation" and _activation(operation) == "linear")


def _activation(operation: Any) -> str:
    """Returns an operation's activation, or what it is if it is itself one, else "none"."""
    import keras

    function = getattr(operation, "activation", None)
    own = getattr(function, "__name__", type(function if function else operation).__name__)
    name = own.replace("_", "").lower()
    known = {each.replace("_", "") for each in dir(keras.activations)}
    return name if function or name in known else "none"
