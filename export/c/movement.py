"""Lower operators that only move elements."""

from .graph import Node, Unsupported
from .steps import Builder


def reshape(to: Builder, node: Node) -> None:
    """Lowers RESHAPE, SQUEEZE and EXPAND_DIMS: nothing moves."""
    data, out = node.input(0), node.output
    if data.size != out.size or data.dtype != out.dtype:
        raise Unsupported(f"gives {list(out.shape)} of {list(data.shape)}")
    to.alias(out, data)


OPERATORS = {"RESHAPE": reshape, "SQUEEZE": reshape, "EXPAND_DIMS": reshape}
