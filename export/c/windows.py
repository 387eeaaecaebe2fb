"""Lower convolutions, dense layers and pooling."""

import dataclasses
import math
from typing import Any

import numpy as np

from . import checks, packing
from .graph import Node, Tensor, Unsupported
from .steps import Builder, Field

_SAME, _VALID = 0, 1
_LARGEST_BYTE = 255


def conv(to: Builder, node: Node) -> None:
    """Lowers CONV_2D: weights `[out_c, k_h, k_w, in_c / groups]`."""
    image, weights, out = node.input(0), _weights(node, 4), node.output
    out_c, k_h, k_w, channels = weights.shape
    window = _window(node, image, (k_h, k_w))
    in_c = image.shape[3]
    if in_c % channels or out_c % (in_c // channels):
        raise Unsupported(f"has weights for {channels} of {in_c} channels")
    checks.require_shape(out, (image.shape[0], window["out_h"], window["out_w"], out_c))
    layer = _weighted(node, weights, 0, padded=True)
    more = {"batch": image.shape[0], "in_c": in_c, "out_c": out_c, "groups": in_c // channels}
    layer = window | layer | more | {"pool": 1}
    to.step("conv", _packed(layer, (out_c, k_h, k_w * channels)), (image,), out)


def dense(to: Builder, node: Node) -> None:
    """Lowers FULLY_CONNECTED: weights `[out_c, in_c]`."""
    data, weights, out = node.input(0), _weights(node, 2), node.output
    if node.options.get("weightsFormat"):
        raise Unsupported("has shuffled weights")
    out_c, in_c = weights.shape
    if data.size % in_c or out.size != data.size // in_c * out_c:
        raise Unsupported(f"gives shape {list(out.shape)} from {list(data.shape)}")
    layer = _weighted(node, weights, 0, padded=True)
    del layer["zero_in"]  # in the bias
    sizes = {"rows": data.size // in_c, "in_c": in_c, "out_c": out_c}
    to.step("dense", _packed(sizes | layer, (out_c, 1, in_c)), (data,), out)


def depthwise(to: Builder, node: Node) -> None:
    """Lowers DEPTHWISE_CONV_2D: weights `[1, k_h, k_w, in_c * factor]`."""
    image, weights, out = node.input(0), _weights(node, 4), node.output
    one, k_h, k_w, out_c = weights.shape
    window = _window(node, image, (k_h, k_w))
    in_c = image.shape[3]
    if one != 1 or out_c % in_c:
        raise Unsupported(f"has weights of shape {list(weights.shape)} for {in_c} channels")
    checks.require_shape(out, (image.shape[0], window["out_h"], window["out_w"], out_c))
    layer = _weighted(node, weights, 3, padded=False)
    more = {"batch": image.shape[0], "in_c": in_c, "factor": out_c // in_c}
    found = window | layer | more
    lanes = int(packing.takes_rows(found))
    to.step("depthwise", found | {"lanes": lanes}, (image,), out)


def max_pool(to: Builder, node: Node) -> None:
    """Lowers MAX_POOL_2D."""
    _pool(to, node, "max_pool", {})


def average_pool(to: Builder, node: Node) -> None:
    """Lowers AVERAGE_POOL_2D."""
    offset = 128 if node.output.dtype == "int8" else 0
    _pool(to, node, "average_pool", {"offset": offset})


def _pool(to: Builder, node: Node, kernel: str, more: dict[str, Field]) -> None:
    image, out = node.input(0), node.output
    checks.bytes_only(node, image, out)
    checks.same_scale(image, out)
    size = checks.option(node, "filterHeight", 1), checks.option(node, "filterWidth", 1)
    window = _window(node, image, size, dilated=False)
    checks.require_shape(out, (image.shape[0], window["out_h"], window["out_w"], image.shape[3]))
    more = more | {"batch": image.shape[0], "channels": image.shape[3]}
    to.step(kernel, window | checks.activation(node) | more, (image,), out)


def _window(
    node: Node, image: Tensor, size: tuple[int, int], dilated: bool = True
) -> dict[str, int]:
    """Returns the sizes of the input, the output and the kernel, and how it moves."""
    if len(image.shape) != 4:
        raise Unsupported(f"takes {len(image.shape)} dimensions in place of 4")
    padding = checks.option(node, "padding", most=1)
    found: dict[str, int] = {}
    for end, side, kernel in zip("hw", image.shape[1:3], size, strict=True):
        stride = checks.option(node, f"stride{end.upper()}", 1)
        dilation = checks.option(node, f"dilation{end.upper()}Factor", 1) if dilated else 1
        span = (kernel - 1) * dilation + 1
        out = -(-side // stride) if padding == _SAME else (side - span) // stride + 1
        if out < 1 or span > 2**16:
            raise Unsupported(f"has a kernel of {span} on a side of {side}")
        pad = max(0, (out - 1) * stride + span - side) // 2 if padding == _SAME else 0
        sizes = {"in": side, "out": out, "k": kernel, "stride": stride, "pad": pad}
        found |= {f"{name}_{end}": value for name, value in sizes.items()}
        found |= {f"dilation_{end}": dilation} if dilated else {}
    return found


def _weights(node: Node, rank: int) -> Tensor:
    weights = node.input(1)
    checks.bytes_only(node, node.input(0), node.output)
    if weights.data is None or weights.dtype != "int8" or len(weights.shape) != rank:
        raise Unsupported(f"needs constant weights of int8 in {rank} dimensions")
    if weights.zero_point or not len(weights.scales):
        raise Unsupported("has weights with a zero point, or without scales")
    return weights


def _weighted(node: Node, weights: Tensor, axis: int, padded: bool) -> dict[str, Field]:
    """Returns the weights, biases and factors of a layer.

    Args:
        node: The operator.
        weights: Its weights.
        axis: Their dimension of the output's channels.
        padded: Whether the kernel leaves the input's zero point to the bias.

    Raises:
        Unsupported: Sums may not fit into 32 bits.
    """
    image, out, count = node.input(0), node.output, weights.shape[axis]
    assert weights.data is not None
    if len(weights.scales) > 1 and weights.axis != axis:
        raise Unsupported(f"has scales of weights along dimension {weights.axis}")
    values = np.moveaxis(weights.data, axis, 0).reshape(count, -1).astype(np.int64)
    bias = np.zeros(count, np.int64)
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        given = node.constant(2)
        if given.size != count:
            raise Unsupported(f"has {given.size} biases for {count} channels")
        bias = given.reshape(count).astype(np.int64)
    folded = bias - image.zero * values.sum(1) if padded else bias
    largest = np.abs(folded) + np.abs(bias) + _LARGEST_BYTE * np.abs(values).sum(1)
    scales = np.broadcast_to(weights.scales, count)
    pairs = [
        checks.factor(_factor(node, weights, scale), int(most))
        for scale, most in zip(scales, largest, strict=True)
    ]
    return {
        "weights": weights.data,
        "bias": folded.astype(np.int32),
        "multiplier": np.array([multiplier for multiplier, _ in pairs], np.int32),
        "shift": np.array([shift for _, shift in pairs], np.int8),
        "zero_in": image.zero,
        "zero_out": out.zero,
        **checks.activation(node),
    }


def _packed(layer: dict[str, Any], shape: tuple[int, int, int]) -> dict[str, Field]:
    """Returns a layer whose weights, of `[filters, rows, columns]`, fit each kernel path."""
    lanes = packing.takes_lanes(layer)
    packed = packing.Packed(layer["weights"].reshape(shape), lanes)
    return layer | {"weights": packed, "lanes": lanes}


def _factor(node: Node, weights: Tensor, scale: np.float32) -> float:
    """Returns what a sum is multiplied by; a dense layer of one scale rounds the product."""
    image, out = node.input(0), node.output
    if node.kind == "FULLY_CONNECTED" and len(weights.scales) == 1:
        return float(image.scale * scale) / float(out.scale)
    return float(image.scale) * float(scale) / float(out.scale)


def matrix_multiply(to: Builder, node: Node) -> None:
    """Lowers BATCH_MATMUL of matrices that are computed."""
    a, b, out = node.input(0), node.input(1), node.output
    checks.bytes_only(node, a, b, out)
    if min(len(a.shape), len(b.shape)) < 2 or a.shape[:-2] != b.shape[:-2]:
        raise Unsupported(f"multiplies {list(a.shape)} by {list(b.shape)}")
    left, right = (bool(node.options.get(name)) for name in ("adjX", "adjY"))
    rows, inner = a.shape[-2:][::-1] if left else a.shape[-2:]
    other, columns = b.shape[-2:][::-1] if right else b.shape[-2:]
    if other != inner:
        raise Unsupported(f"multiplies {list(a.shape)} by {list(b.shape)}")
    checks.require_shape(out, (*a.shape[:-2], rows, columns))
    real = float(a.scale * b.scale) / float(out.scale)
    multiplier, shift = checks.factor(real, _LARGEST_BYTE**2 * inner)
    layer: dict[str, Field] = {
        "batch": math.prod(a.shape[:-2]),
        "rows": rows,
        "columns": columns,
        "inner": inner,
        "a_row": 1 if left else inner,
        "a_inner": rows if left else 1,
        "b_column": inner if right else 1,
        "b_inner": 1 if right else columns,
        "a_batch": rows * inner,
        "b_batch": inner * columns,
        "zero_a": a.zero,
        "zero_b": b.zero,
        "multiplier": multiplier,
        "shift": shift,
        "zero_out": out.zero,
    }
    to.step("matrix_multiply", layer, (a, b), out)


def transpose_conv(to: Builder, node: Node) -> None:
    """Lowers TRANSPOSE_CONV: weights `[out_c, k_h, k_w, in_c]`, the image is the third input."""
    inputs = (node.input(2), node.input(1), *node.inputs[3:4])
    turned = dataclasses.replace(node, inputs=inputs)
    image, weights, out = turned.input(0), _weights(turned, 4), node.output
    out_c, k_h, k_w, in_c = weights.shape
    if len(image.shape) != 4 or len(out.shape) != 4 or image.shape[3] != in_c:
        raise Unsupported(f"has weights for {in_c} channels")
    sizes: dict[str, Field] = {"batch": image.shape[0], "in_c": in_c, "out_c": out_c}
    padding = checks.option(node, "padding", most=1)
    ends = zip("hw", image.shape[1:3], out.shape[1:3], (k_h, k_w), strict=True)
    for end, side, wide, kernel in ends:
        stride = checks.option(node, f"stride{end.upper()}", 1)
        # The output is the image that a convolution would have made this one of.
        back = -(-wide // stride) if padding == _SAME else (wide - kernel) // stride + 1
        if back != side:
            raise Unsupported(f"gives a side of {wide} of {side}")
        total = max(0, (side - 1) * stride + kernel - wide) if padding == _SAME else 0
        values = {"in": side, "out": wide, "k": kernel, "stride": stride, "pad": total // 2}
        sizes |= {f"{name}_{end}": value for name, value in values.items()}
    checks.require_shape(out, (image.shape[0], *out.shape[1:3], out_c))
    to.step("transpose_conv", sizes | _weighted(turned, weights, 0, False), (image,), out)


def resize_bilinear(to: Builder, node: Node) -> None:
    """Lowers RESIZE_BILINEAR."""
    image, out = node.input(0), node.output
    checks.bytes_only(node, image, out)
    checks.same_scale(image, out)
    if len(image.shape) != 4 or len(out.shape) != 4:
        raise Unsupported(f"gives {list(out.shape)} of {list(image.shape)}")
    checks.require_shape(out, (image.shape[0], *out.shape[1:3], image.shape[3]))
    sizes: dict[str, Field] = {"batch": image.shape[0], "channels": image.shape[3]}
    for end, side, wide in zip("hw", image.shape[1:3], out.shape[1:3], strict=True):
        if node.options.get("alignCorners") and wide > 1:
            step = ((side - 1) * 1024 + (wide - 1) // 2) // (wide - 1)
        else:
            step = (side * 1024 + wide // 2) // wide
        start = step // 2 - 512 if node.options.get("halfPixelCenters") else 0
        if max(side, wide) > 2**14 or step * wide > 2**30:
            raise Unsupported(f"gives a side of {wide} of {side}")
        values = {"in": side, "out": wide, "step": step, "start": start}
        sizes |= {f"{name}_{end}": value for name, value in values.items()}
    to.step("resize_bilinear", sizes | {"offset": 128 if out.dtype == "int8" else 0}, (image,), out)


def reduced(to: Builder, node: Node) -> None:
    """Lowers MEAN and REDUCE_MAX."""
    data, out = node.input(0), node.output
    checks.bytes_only(node, data, out)
    sizes = _reduced_sizes(node, data)
    count = sizes["reduced"] * sizes["also"]
    if out.size * count != data.size:
        raise Unsupported(f"gives shape {list(out.shape)} from {list(data.shape)}")
    if node.kind == "REDUCE_MAX":
        checks.same_scale(data, out)
        to.step("reduce_max", sizes, (data,), out)
        return
    real = float(data.scale) / float(out.scale)
    multiplier, shift = checks.factor(real, _LARGEST_BYTE * count)
    # The kernel divides the multiplier, after it has moved as many bits up as there is room for.
    more = min(count.bit_length() - 1, 32, 31 + shift)
    sizes |= {
        "multiplier": (multiplier << more) // count,
        "shift": shift - more,
        "zero_in": data.zero,
        "zero_out": out.zero,
    }
    to.step("mean", sizes, (data,), out)


def _reduced_sizes(node: Node, data: Tensor) -> dict[str, int]:
    """Returns the shape as that of five dimensions, of which the second and fourth are reduced."""
    rank = len(data.shape)
    axes = {int(axis) % rank for axis in node.constant(1).reshape(-1) if -rank <= axis < rank}
    groups: list[tuple[bool, int]] = [(False, 1)]
    for i, size in enumerate(data.shape):
        is_reduced = i in axes
        if size == 1:
            continue
        if groups[-1][0] == is_reduced:
            groups[-1] = (is_reduced, groups[-1][1] * size)
        else:
            groups.append((is_reduced, size))
    sizes = [size for _, size in groups] + [1] * (5 - len(groups))
    if len(sizes) > 5 or not axes:
        raise Unsupported(f"reduces dimensions {sorted(axes)} of {rank}")
    return dict(zip(("outer", "reduced", "middle", "also", "inner"), sizes, strict=True))


OPERATORS = {
    "CONV_2D": conv,
    "FULLY_CONNECTED": dense,
    "DEPTHWISE_CONV_2D": depthwise,
    "MAX_POOL_2D": max_pool,
    "AVERAGE_POOL_2D": average_pool,
    "MEAN": reduced,
    "REDUCE_MAX": reduced,
    "RESIZE_BILINEAR": resize_bilinear,
    "BATCH_MATMUL": matrix_multiply,
    "TRANSPOSE_CONV": transpose_conv,
}
