"""Rewrite what TFLite's calibration and integer quantizers can't handle, before they run.

Calibration crashes on loops, so recurrent layers are unrolled in the Keras model. In the float
graph, operators without an integer kernel are replaced by operators that have one.
"""

import contextlib
import math
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .edit import Graph

if TYPE_CHECKING:
    import keras

# The time to convert grows with the square: 100 steps of a GRU take 10 s.
_MOST_STEPS = 300
# Of a vector that int16 tells from zeros, if others have a length of about 1.
_LEAST_SQUARES = 1e-6
# In the quantizer's messages.
_KIND = re.compile(r"for op: '?(\w+)'?")


class NotQuantizable(Exception):
    """An operator that can't be quantized; the message has its name in the graph."""


@contextlib.contextmanager
def unrolled(model: "keras.Model") -> Iterator[bool]:
    """Unrolls a model's recurrent layers within the block; yields whether it has any.

    An input of more than 300 steps is left alone.
    """
    steps = [size or 0 for tensor in model.inputs for size in tensor.shape[1:2]]
    layers = model._flatten_layers() if max(steps, default=0) <= _MOST_STEPS else []
    rolled = [layer for layer in layers if getattr(layer, "unroll", None) is False]
    for layer in rolled:
        layer.unroll = True
    try:
        yield bool(rolled)
    finally:
        for layer in rolled:
            layer.unroll = False


def rewrite(content: bytes, activations: str) -> bytes:
    """Replaces operators that the quantizer would leave in float32, or refuse.

    Args:
        content: A TFLite file in float32.
        activations: The dtype to quantize to, "int8" or "int16".

    Returns:
        A file that computes the same; the same bytes if nothing is to be replaced.

    Raises:
        NotQuantizable: The graph has a loop.
    """
    graph = Graph(content)
    replaced = False
    for node in list(graph.nodes):
        kind = graph.kind(node)
        if kind == "WHILE":
            raise NotQuantizable(
                f"the loop {graph.name(node)} can't be calibrated: TFLite crashes on loops, and "
                f"more than {_MOST_STEPS} steps are not unrolled"
            )
        replace = _REPLACEMENTS.get((kind, activations))
        if replace:
            replace(graph, node)
            replaced = True
    return graph.content() if replaced else content


@contextlib.contextmanager
def naming(content: bytes, activations: str) -> Iterator[None]:
    """Turns a quantizer's exception that names a kind of operator into `NotQuantizable`.

    Args:
        content: The graph that the block quantizes.
        activations: The dtype that it quantizes to.
    """
    try:
        yield
    except RuntimeError as error:
        found = _KIND.search(str(error))
        graph = Graph(content)
        for node in graph.nodes:
            if found and graph.kind(node) == found[1]:
                raise NotQuantizable(
                    f"operator {found[1]} of {graph.name(node)} can't be quantized to {activations}"
                ) from error
        raise


def _negate(graph: Graph, node: Any) -> None:
    graph.replace(node, "MUL", int(node.inputs[0]), -1.0)


def _square(graph: Graph, node: Any) -> None:
    graph.replace(node, "MUL", int(node.inputs[0]), int(node.inputs[0]))


def _sum(graph: Graph, node: Any) -> None:
    # LiteRT's sum of int16 is wrong: 500 summed values gave an error of 79 % of their deviation.
    whole, summed = map(graph.shape, (node.inputs[0], node.outputs[0]))
    mean = graph.insert_copy(node, "MEAN")
    graph.replace(node, "MUL", mean, math.prod(whole) / math.prod(summed))


def _squared_difference(graph: Graph, node: Any) -> None:
    difference = graph.insert(node, "SUB", *map(int, node.inputs))
    graph.replace(node, "MUL", difference, difference)


def _unit_norm(graph: Graph, node: Any) -> None:
    x = int(node.inputs[0])
    mean, size = graph.insert_mean(node, graph.insert(node, "MUL", x, x)), graph.shape(x)[-1]
    squares = graph.insert(node, "MUL", mean, np.full(size, size, np.float32))
    # A vector of zeros would leave no bits for others.
    root = graph.insert(node, "RSQRT", graph.insert(node, "MAXIMUM", squares, _LEAST_SQUARES))
    graph.replace(node, "MUL", x, root)


def _elu(graph: Graph, node: Any) -> None:
    x = int(node.inputs[0])
    below = graph.insert(node, "EXP", graph.insert(node, "MINIMUM", x, 0.0))
    above = graph.insert(node, "MAXIMUM", x, 0.0)
    graph.replace(node, "ADD", above, graph.insert(node, "SUB", below, 1.0))


def _hard_swish(graph: Graph, node: Any) -> None:
    x = int(node.inputs[0])
    gate = graph.insert(node, "ADD", x, 3.0, fused="RELU6")
    graph.replace(node, "MUL", graph.insert(node, "MUL", gate, 1 / 6), x)


def _prelu(graph: Graph, node: Any) -> None:
    x, alpha = map(int, node.inputs)
    below = graph.insert(node, "MUL", graph.insert(node, "MINIMUM", x, 0.0), alpha)
    graph.replace(node, "ADD", graph.insert(node, "MAXIMUM", x, 0.0), below)


def _split(graph: Graph, node: Any) -> None:
    # Where a part is not read, as in the first step of an LSTM, the quantizer may leave the whole
    # operator in float32; of 10 models with other weights, 2.
    axis, whole = graph.integer(int(node.inputs[0])), int(node.inputs[1])
    begin = np.zeros(len(graph.shape(whole)), np.int32)
    for output in map(int, node.outputs):
        size = np.array(graph.shape(output), np.int32)
        if graph.is_read(output):
            graph.insert_for(node, output, "SLICE", whole, begin.copy(), size)
        begin[axis] += size[axis]
    graph.nodes.remove(node)


# By operator and dtype of the activations.
_REPLACEMENTS: dict[tuple[str, str], Callable[[Graph, Any], None]] = {
    ("NEG", "int8"): _negate,
    ("NEG", "int16"): _negate,
    ("SQUARE", "int8"): _square,
    ("SQUARE", "int16"): _square,
    ("ELU", "int8"): _elu,
    ("ELU", "int16"): _elu,
    ("SPLIT", "int8"): _split,
    ("SUM", "int16"): _sum,
    ("SQUARED_DIFFERENCE", "int16"): _squared_difference,
    ("HARD_SWISH", "int16"): _hard_swish,
    ("L2_NORMALIZATION", "int16"): _unit_norm,
    ("PRELU", "int16"): _prelu,
}
