"""Leave in float32 what prepares the input, where one int8 scale for all of it would lose detail.

A quantized graph gets its input in one scale. Two kinds of input can't bear that: indices, such
as words, and features of very different ranges, such as a table's columns. The operators that
cast or scale them are taken off the float graph before it is calibrated, and put in front of the
quantized one, which then takes float32.
"""

import dataclasses

import numpy as np

from .. import scaling
from ..scaling import Scaling
from .edit import Graph


@dataclasses.dataclass(frozen=True)
class Front:
    """What is computed in float32 before a quantized graph.

    Attributes:
        offset: Subtracted from each feature, float32 `[features]`; None if the input is cast to
            int32.
        factor: What the difference is multiplied by, float32 `[features]`.
    """

    offset: np.ndarray | None = None
    factor: np.ndarray | None = None

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Returns the inputs of the quantized graph for inputs of the whole, of equal shape."""
        if self.offset is None:
            return images.astype(np.int32)
        return np.asarray((images - self.offset) * self.factor, np.float32)

    def attach(self, content: bytes) -> bytes:
        """Returns a quantized graph with this in front; the input is float32."""
        graph = Graph(content)
        inner = graph.input
        shape = graph.shape(inner)
        image = graph.add_tensor("image", shape)
        if self.offset is None or self.factor is None:
            graph.prepend(inner, "CAST", image)
        else:
            moved = graph.add_tensor("moved", shape)
            graph.prepend(inner, "MUL", moved, self.factor)
            graph.prepend(moved, "SUB", image, self.offset)
        graph.set_input(image)
        return graph.content()


def split(content: bytes, images: np.ndarray) -> tuple[Front | None, bytes]:
    """Takes off a float graph what should stay in float32.

    Args:
        content: A TFLite file in float32.
        images: Calibration images, float32 `[n, ...]`.

    Returns:
        What was taken off, and the graph that is left to quantize. None if nothing was, as with
        several inputs.
    """
    graph = Graph(content)
    if not graph.has_one_input:
        return None, content
    readers = graph.readers(graph.input)
    if len(readers) == 1 and graph.casts_to_int32(readers[0]):
        graph.nodes.remove(readers[0])
        graph.set_input(int(readers[0].outputs[0]))
        if images.min() >= 0:
            _take_wrapping(graph)
        return Front(), graph.content()
    if not scaling.loses_detail(images):
        return None, content
    given = _take_scaling(graph, images)
    if wanted := _absorb(graph, given, images):
        return Front(*wanted.offset_and_factor()), graph.content()
    return (Front(*given.offset_and_factor()), graph.content()) if given else (None, content)


def _take_wrapping(graph: Graph) -> None:
    """Takes the operators off that let negative indices count from the end.

    The quantizer to int16 does not know them.
    """
    indices = graph.input
    readers = {graph.kind(node): node for node in graph.readers(indices)}
    chosen = readers.get("SELECT") or readers.get("SELECT_V2")
    if not chosen or readers.keys() - {"SELECT", "SELECT_V2"} != {"LESS", "ADD"}:
        return
    graph.redirect(int(chosen.outputs[0]), indices)
    for node in readers.values():
        graph.nodes.remove(node)


def _take_scaling(graph: Graph, images: np.ndarray) -> Scaling:
    """Takes the operators off that scale features, such as those of `Normalization`."""
    taken = scaling.identity(images)
    while len(readers := graph.readers(graph.input)) == 1:
        (node,) = readers
        is_activated = getattr(node.builtinOptions, "fusedActivationFunction", 0)
        if len(node.inputs) != 2 or node.inputs[0] != graph.input or is_activated:
            break
        more = taken.then(graph.kind(node).lower(), graph.constant(node.inputs[1]))
        if more is None:
            break
        taken = more
        graph.nodes.remove(node)
        graph.set_input(int(node.outputs[0]))
    return taken


def _absorb(graph: Graph, given: Scaling, images: np.ndarray) -> Scaling | None:
    """Rescales the dense layer that reads the input; returns the input's scaling, if any."""
    readers = graph.readers(graph.input)
    if len(readers) != 1 or graph.kind(readers[0]) != "FULLY_CONNECTED":
        return None
    (dense,) = readers
    weights = graph.constant(dense.inputs[1])
    has_bias = len(dense.inputs) > 2 and dense.inputs[2] >= 0
    bias = graph.constant(dense.inputs[2]) if has_bias else 0.0
    if weights is None or bias is None or weights.shape[-1] != images.shape[-1]:
        return None
    wanted = scaling.balanced(images, given, weights.T)
    weights, bias = scaling.absorb(given, wanted, weights.T, bias)
    dense.inputs = [graph.input, graph.add_constant(weights.T), graph.add_constant(bias)]
    return wanted
