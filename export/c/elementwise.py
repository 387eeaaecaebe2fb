"""Lower operators on single elements, and softmax."""

import math

import numpy as np

from . import checks, fixed_point, reference
from .graph import Node, Tensor, Unsupported
from .steps import Builder, Field

_MOST_DEPTH = 4095  # the sum of as many exp(0) fits into 32 bits
_RANK = 4


def lookup(to: Builder, node: Node) -> bool:
    """Lowers an operator on the bytes of one tensor to a table of 256; False if it is another."""
    given = [tensor for tensor in node.inputs if tensor is not None]
    flowing = [tensor for tensor in given if tensor.data is None]
    scalars = all(t.size == 1 and t.is_byte for t in given if t.data is not None)
    if node.kind not in reference.ELEMENTWISE or len(flowing) != 1 or not scalars:
        return False
    (tensor,), out = flowing, node.output
    if not (tensor.is_byte and out.is_byte and tensor.size == out.size):
        return False
    checks.bytes_only(node, *given, out)
    table = reference.table(node, tensor)
    if np.array_equal(table, np.arange(256)):
        to.alias(out, tensor)
    else:
        to.step("lookup", {"table": table, "count": out.size}, (tensor,), out)
    return True


def quantize(to: Builder, node: Node) -> None:
    """Lowers QUANTIZE of floats and DEQUANTIZE."""
    data, out = node.input(0), node.output
    kernel = node.kind.lower()
    byte, other = (out, data) if kernel == "quantize" else (data, out)
    checks.bytes_only(node, byte)
    if other.dtype != "float32" or data.size != out.size:
        raise Unsupported(f"takes {data.dtype}, gives {out.dtype}")
    zero = "zero_out" if kernel == "quantize" else "zero_in"
    layer: dict[str, Field] = {"scale": float(byte.scale), zero: byte.zero, "count": out.size}
    to.step(kernel, layer, (data,), out)


def softmax(to: Builder, node: Node) -> None:
    """Lowers SOFTMAX."""
    data, out = node.input(0), node.output
    checks.bytes_only(node, data, out)
    checks.require_shape(out, data.shape)
    if out.scale != np.float32(1 / 256) or out.zero != 0:
        raise Unsupported("has an output whose scale isn't 1 / 256")
    depth = data.shape[-1] if data.shape else 1
    beta = float(np.float32(node.options.get("beta") or 0))
    if depth > _MOST_DEPTH or not 0 < beta < 1e6:
        raise Unsupported(f"has {depth} elements in a row, and beta {beta:g}")
    if beta * float(data.scale) < 2.0**-26:
        raise Unsupported(f"has an input whose scale is {data.scale}")
    layer: dict[str, Field] = {"rows": data.size // depth, "depth": depth}
    to.step("softmax", layer | fixed_point.softmax(data.scale, beta), (data,), out)


def add(to: Builder, node: Node) -> None:
    """Lowers ADD and SUB: both inputs are scaled to twice the larger step, times 2**20."""
    if node.output.dtype == "float32":
        _in_floats(to, node)
        return
    a, b, out = _binary(node)
    common, layer = _scaled(a, b, out, 20)
    layer["multiplier"], layer["shift"] = checks.factor(
        common / ((1 << 20) * float(out.scale)), 255 << 20
    )
    layer |= {"sign_b": -1 if node.kind == "SUB" else 1, "zero_out": out.zero}
    to.step("add", layer | checks.activation(node), (a, b), out)


def _scaled(a: Tensor, b: Tensor, out: Tensor, bits: int) -> tuple[float, dict[str, Field]]:
    """Returns the common step of two inputs, times 2**bits, and how each is scaled to it."""
    common = 2 * float(max(a.scale, b.scale))
    layer: dict[str, Field] = {"steps": steps(a, b, out), "zero_a": a.zero, "zero_b": b.zero}
    for name, tensor in (("a", a), ("b", b)):
        pair = checks.factor(float(tensor.scale) / common, 255 << bits)
        layer[f"multiplier_{name}"], layer[f"shift_{name}"] = pair
    return common, layer


def squared_difference(to: Builder, node: Node) -> None:
    """Lowers SQUARED_DIFFERENCE: inputs are scaled as those of ADD, times 2**7."""
    a, b, out = _binary(node)
    common, layer = _scaled(a, b, out, 7)
    largest = (255 << 7) ** 2
    pair = checks.factor(common * common / ((1 << 14) * float(out.scale)), largest)
    layer["multiplier"], layer["shift"] = pair
    layer |= {"zero_out": out.zero, "low": 0, "high": 255}
    to.step("squared_difference", layer, (a, b), out)


def extreme(to: Builder, node: Node) -> None:
    """Lowers MINIMUM and MAXIMUM."""
    a, b, out = _binary(node)
    checks.same_scale(a, out)
    checks.same_scale(b, out)
    is_maximum = int(node.kind == "MAXIMUM")
    to.step("extreme", {"steps": steps(a, b, out), "is_maximum": is_maximum}, (a, b), out)


def prelu(to: Builder, node: Node) -> None:
    """Lowers PRELU."""
    a, b, out = _binary(node)
    layer: dict[str, Field] = {"steps": steps(a, b, out), "zero_a": a.zero, "zero_b": b.zero}
    real = float(a.scale) / float(out.scale)
    layer["multiplier"], layer["shift"] = checks.factor(real, 255)
    real = float(a.scale * b.scale) / float(out.scale)
    layer["multiplier_below"], layer["shift_below"] = checks.factor(real, 255 * 255)
    to.step("prelu", layer | {"zero_out": out.zero}, (a, b), out)


def _in_floats(to: Builder, node: Node) -> None:
    """Lowers SUB and MUL of floats, which may come before the first integers."""
    a, b, out = node.input(0), node.input(1), node.output
    if {a.dtype, b.dtype} != {"float32"} or checks.option(node, "fusedActivationFunction"):
        raise Unsupported("computes in floats")
    if node.kind == "ADD":
        raise Unsupported("adds floats")
    layer: dict[str, Field] = {"steps": steps(a, b, out), "is_product": int(node.kind == "MUL")}
    to.step("float_elementwise", layer, (a, b), out)


def multiply(to: Builder, node: Node) -> None:
    """Lowers MUL."""
    if node.output.dtype == "float32":
        _in_floats(to, node)
        return
    a, b, out = _binary(node)
    multiplier, shift = checks.factor(float(a.scale * b.scale / out.scale), 255 * 255)
    layer: dict[str, Field] = {"steps": steps(a, b, out), "zero_a": a.zero, "zero_b": b.zero}
    layer |= {"multiplier": multiplier, "shift": shift, "zero_out": out.zero}
    to.step("multiply", layer | checks.activation(node), (a, b), out)


def _binary(node: Node) -> tuple[Tensor, Tensor, Tensor]:
    a, b, out = node.input(0), node.input(1), node.output
    checks.bytes_only(node, a, b, out)
    return a, b, out


def steps(a: Tensor, b: Tensor, out: Tensor) -> dict[str, tuple[int, ...]]:
    """Returns how two tensors are walked through, with neighboring dimensions joined.

    Raises:
        Unsupported: They don't broadcast to the output's shape, or in too many dimensions.
    """
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        shape = ()
    if shape != out.shape:
        raise Unsupported(f"gives {list(out.shape)} of {list(a.shape)} and {list(b.shape)}")
    rank = len(shape)
    sizes = [(1,) * (rank - len(t.shape)) + t.shape for t in (a, b)]
    rows: list[list[int]] = []  # size, and whether a and b repeat
    for size, *own in zip(shape, *sizes, strict=True):
        if size == 1:
            continue
        repeats = [int(one == 1) for one in own]
        if rows and rows[-1][1:] == repeats:
            rows[-1][0] *= size
        else:
            rows.append([size, *repeats])
    if len(rows) > _RANK:
        raise Unsupported("broadcasts in more than 4 dimensions")
    rows = [[1, 0, 0]] * (_RANK - len(rows)) + rows
    found = {"dims": tuple(row[0] for row in rows)}
    for i, name in enumerate(("a_steps", "b_steps"), 1):
        own = [1 if row[i] else row[0] for row in rows]
        found[name] = tuple(0 if row[i] else math.prod(own[k + 1 :]) for k, row in enumerate(rows))
    return found


OPERATORS = {
    "QUANTIZE": quantize,
    "DEQUANTIZE": quantize,
    "SOFTMAX": softmax,
    "ADD": add,
    "SUB": add,
    "MUL": multiply,
    "SQUARED_DIFFERENCE": squared_difference,
    "MINIMUM": extreme,
    "MAXIMUM": extreme,
    "PRELU": prelu,
}
