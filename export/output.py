"""What a model's outputs mean: the activation that each ends with, and one for logits."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_edge import data, heads, metrics
from mnist_edge.data.parts import Target
from mnist_edge.errors import InputError
from mnist_edge.heads import Head
from mnist_edge.models import ports

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
    """An output of a model.

    Attributes:
        head: What it means, and the activation that is appended for the export.
        layer: Name of the layer that computes it.
        warning: What the user should know about it, or "".
    """

    head: Head
    layer: str
    warning: str

    @property
    def words(self) -> str:
        """The output's activation in words."""
        kind, added = self.head.activation, self.head.added
        if self.head.kind == heads.VALUES:
            return f"values, {kind}" if kind != "none" else "values"
        if kind in _LOGITS:
            kind = "logits"
        elif kind == "none" and not added:
            kind = "probabilities"
        return f"{kind}, to which a {added} is added" if added else kind


@dataclasses.dataclass(frozen=True)
class Port:
    """An output of a model and what it is compared with.

    Attributes:
        name: Its name in the artifacts.
        tensor: The Keras tensor.
        target: The data's answers.
        outputs: What the model returns for examples, float32 `[n, width]`.
        truth: The data's answers for them, `[n, columns]`.
    """

    name: str
    tensor: "keras.KerasTensor"
    target: Target
    outputs: np.ndarray
    truth: np.ndarray


def read(port: Port, where: object) -> Output:
    """Reads what an output of a model means from its last layers, its answers and the data.

    Args:
        port: The output.
        where: The model's name in error messages.

    Raises:
        InputError: The output does not fit the data's answers.
    """
    ends = list(_ends(port.tensor))
    last, activation = ends[0]
    width, kind = port.outputs.shape[1], port.target.kind
    if width == 1 and kind == "classes" and _are_numbers(port, activation):
        kind = "values"
    if kind == "values":
        return _read_values(port, last.name, activation, where)
    if activation == "softmax" and width == 1:
        raise InputError(
            f"{where} must not end in a softmax over one unit, which is always 1. Got: layer "
            f"{last.name!r}. For two classes, use 2 units, or one with a sigmoid, and train again."
        )
    if kind == "labels" or width == 1:
        return _read_sigmoids(port, last.name, activation, where)
    return _read_classes(port, ends, where)


def _are_numbers(port: Port, activation: str) -> bool:
    """Whether whole numbers `[n]` are values to predict, rather than two classes."""
    return len(port.target.labels) > 2 and activation not in _INDEPENDENT


def _read_values(port: Port, layer: str, activation: str, where: object) -> Output:
    width, columns = port.outputs.shape[1], port.truth.shape[1]
    if width != columns or activation == "softmax":
        raise InputError(
            f"{where} must give {columns} numbers, as the data do. Got: {width} outputs, "
            f"{activation}, from layer {layer!r}. Give one class per example as integers, or a "
            "model that was trained on these numbers."
        )
    labels = port.target.labels if port.target.kind == "values" else ("value",)
    head = Head(port.name or heads.NAMES[heads.VALUES], heads.VALUES, labels, activation)
    return Output(head, layer, "")


def _read_sigmoids(port: Port, layer: str, activation: str, where: object) -> Output:
    """Reads an output of which each unit says whether something is true."""
    width, target = port.outputs.shape[1], port.target
    within = port.outputs.min() >= 0 and port.outputs.max() <= 1
    expected = 1 if target.kind == "classes" else len(target.labels)
    if width != expected or len(target.labels) > 2 > width or activation == "softmax":
        what = "1 for two classes" if width == 1 else f"{expected}, one per label of the data"
        raise InputError(
            f"{where} must have as many outputs as the data need, {what}. Got: {width}, "
            f"{activation}, from layer {layer!r}, and {len(target.labels)} {target.kind}. Give the "
            "data that it was trained on."
        )
    is_logits = activation not in _INDEPENDENT and not (within and activation not in _LOGITS)
    kind = heads.BINARY if width == 1 else heads.LABELS
    labels = target.labels if width > 1 else data.numbered(target.labels, 2)
    added = "sigmoid" if is_logits else ""
    head = Head(port.name or heads.NAMES[kind], kind, labels, activation, added)
    return Output(head, layer, "")


def _read_classes(port: Port, ends: Sequence[tuple[Any, str]], where: object) -> Output:
    """Reads an output of one probability, or logit, per class."""
    last, activation = ends[0]
    layer, outputs = last.name, port.outputs
    fault = metrics.probability_fault(outputs)
    within = outputs.min() >= 0 and outputs.max() <= 1
    if activation in _INDEPENDENT or (fault and within and activation not in _LOGITS):
        kind = activation if activation in _INDEPENDENT else "separate"
        raise InputError(
            f"{where} must give each example one class, by softmax or logits, as the data do. Got: "
            f"{outputs.shape[1]} {kind} outputs, each from 0 to 1, from layer {layer!r}. If the "
            "classes exclude each other, set the activation of that layer to softmax, which keeps "
            "their order, and save the model again; if examples have several labels, give them as "
            "rows of 0 and 1."
        )
    if fault and activation == "softmax":
        raise InputError(
            f"{where} must give probabilities. Got: {fault}, from the softmax in layer {layer!r}. "
            "Let it run over the classes, the last axis."
        )
    warning = ""
    if activation == "softmax" and not getattr(last, "weights", ()) and len(ends) > 1:
        before, inner = ends[1]
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
    labels = data.numbered(port.target.labels, outputs.shape[1])
    name, added = port.name or heads.NAMES[heads.CLASSES], "softmax" if fault else ""
    return Output(Head(name, heads.CLASSES, labels, activation, added), layer, warning)


def complete(model: "keras.Model", outputs: Sequence[Output]) -> "keras.Model":
    """Returns a model with activations added to logits; outputs that are no classes are named.

    Args:
        model: A model.
        outputs: Its outputs, in the order of `ports.outputs`.
    """
    is_classifier = ports.is_single(model) and outputs[0].head.kind == heads.CLASSES
    if is_classifier and not outputs[0].head.added:
        return model
    import keras

    tensors = [tensor for _, tensor in ports.outputs(model)]
    names = {layer.name for layer in getattr(model, "operations", model.layers)}
    finished = {}
    for tensor, output in zip(tensors, outputs, strict=True):
        name, added = output.head.name, output.head.added
        while name in names:
            name += "_"
        names.add(name)
        finished[output.head.name] = (
            keras.layers.Activation(added, name=name)(tensor) if added else tensor
        )
    if is_classifier:
        return keras.Model(model.inputs, *finished.values(), name=model.name)
    given = dict(ports.inputs(model)) if len(model.inputs) > 1 else model.inputs
    return keras.Model(given, finished, name=model.name)


def _ends(tensor: Any) -> Iterator[tuple[Any, str]]:
    """Yields the operations that end in an output, and their activations, the last one first."""
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
