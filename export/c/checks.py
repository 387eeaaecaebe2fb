"""What several operators require of their tensors, and the numbers that they share."""

from collections.abc import Mapping

import numpy as np

from . import fixed_point
from .graph import Node, Tensor, Unsupported

_NONE, _RELU, _RELU_N1_TO_1, _RELU6 = range(4)
_BOUNDS: Mapping[int, tuple[float | None, float | None]] = {
    _NONE: (None, None),
    _RELU: (0.0, None),
    _RELU_N1_TO_1: (-1.0, 1.0),
    _RELU6: (0.0, 6.0),
}
_LARGEST = 2**30  # twice as much fits into 32 bits


def bytes_only(node: Node, *tensors: Tensor) -> None:
    """Raises unless tensors hold bytes with one scale."""
    for tensor in tensors:
        if not tensor.is_byte:
            raise Unsupported(f"computes in {tensor.dtype}")
        _ = tensor.scale


def same_scale(a: Tensor, b: Tensor) -> None:
    """Raises unless two tensors represent the same numbers by the same integers."""
    steps = [(t.dtype, t.scales.tolist(), t.zero_point) for t in (a, b)]
    if steps[0] != steps[1] or (a.is_byte and len(a.scales) != 1):
        raise Unsupported("has other scales in its output than in its input")


def require_shape(tensor: Tensor, shape: tuple[int, ...]) -> None:
    """Raises unless a tensor has a shape."""
    if tensor.shape != shape:
        raise Unsupported(f"gives shape {list(tensor.shape)} in place of {list(shape)}")


def option(node: Node, name: str, least: int = 0, most: int = 2**16) -> int:
    """Returns an integer option; raises if it is missing or out of range."""
    value = node.options.get(name)
    if value is None or not least <= int(value) <= most:
        raise Unsupported(f"has {name} {value}")
    return int(value)


def activation(node: Node) -> dict[str, int]:
    """Returns the smallest and the largest byte of an operator's output."""
    function, out = option(node, "fusedActivationFunction"), node.output
    if function not in _BOUNDS:
        raise Unsupported(f"has a fused activation of number {function}")
    low, high = (
        end if bound is None else min(max(out.zero + _steps(bound, out), 0), 255)
        for bound, end in zip(_BOUNDS[function], (0, 255), strict=True)
    )
    return {"low": low, "high": high}


def _steps(bound: float, out: Tensor) -> int:
    """Returns a bound in steps of a tensor, rounded away from 0 at ties."""
    ratio = float(np.float32(bound) / out.scale)
    return int(np.clip(np.floor(abs(ratio) + 0.5), 0, 2**30) * np.sign(ratio))


def factor(real: float, largest: int) -> tuple[int, int]:
    """Returns the multiplier and shift of a factor.

    Args:
        real: The factor.
        largest: The largest magnitude that is multiplied.

    Raises:
        Unsupported: The product may not fit into 32 bits.
    """
    multiplier, shift = fixed_point.multiplier(real)
    if largest << max(shift, 0) > _LARGEST:
        raise Unsupported(f"sums of up to {largest:,} times {real:g} don't fit into 32 bits")
    return multiplier, shift
