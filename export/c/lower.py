"""Lower a TFLite graph to steps: one function per kind of operator, in one table."""

from . import elementwise, movement, windows
from .fuse import fuse
from .graph import Net, Tensor, Unsupported
from .steps import Builder, Program

OPERATORS = windows.OPERATORS | elementwise.OPERATORS | movement.OPERATORS
# What may follow the last softmax, and what the logits go into.
_TAILS = ("QUANTIZE", "DEQUANTIZE", "RESHAPE")
_ENDS = ("SOFTMAX", "LOGISTIC")


def lower(net: Net) -> Program:
    """Lowers a graph.

    Raises:
        Unsupported: An operator has no kernel, or not for its types or sizes; the message names
            it and the layer.
    """
    for tensor in (net.input, net.output):
        if tensor.dtype == "int32" or (tensor.is_byte and len(tensor.scales) != 1):
            raise Unsupported(f"has an input or output of {tensor.dtype} without one scale")
        if tensor.shape[:1] > (1,):
            raise Unsupported(f"takes {tensor.shape[0]} examples per call, and C takes 1")
    to = Builder(net.input)
    for node in net.nodes:
        to.node = node
        try:
            if not elementwise.lookup(to, node):
                if node.kind not in OPERATORS:
                    raise Unsupported("has no kernel in C")
                OPERATORS[node.kind](to, node)
        except Unsupported as error:
            raise Unsupported(f"operator {node.kind} of layer {node.layer} {error}") from error
    logits = _logits(net)
    places = to.input, to.place(net.output), to.place(logits)
    return fuse(Program(tuple(to.steps), *places, net.input, net.output, logits))


def _logits(net: Net) -> Tensor:
    """Returns the tensor that goes into the last softmax or sigmoid; the output if none does."""
    writer = {tensor.index: node for node in net.nodes for tensor in node.outputs}
    tensor = net.output
    while tensor.index in writer and writer[tensor.index].kind in _TAILS:
        tensor = writer[tensor.index].input(0)
    if tensor.index in writer and writer[tensor.index].kind in _ENDS:
        return writer[tensor.index].input(0)
    return net.output
