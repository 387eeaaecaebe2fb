"""Lower operators that only move elements: each is one kernel's walk through two tensors."""

import math

import numpy as np

from . import checks
from .graph import Node, Tensor, Unsupported
from .steps import Builder, Field

_RANK = 5
# One dimension of a walk: its size, and the steps in the input and in the output.
Row = tuple[int, int, int]


def strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the distance in elements between neighbors along each dimension."""
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def move(to: Builder, data: Tensor, out: Tensor, rows: list[Row], start: int, end: int) -> None:
    """Copies elements.

    Args:
        to: The steps so far.
        data: Where from.
        out: Where to.
        rows: The walk, outermost dimension first, in elements.
        start: The first element in `data`.
        end: The first element in `out`.
    """
    checks.same_scale(data, out)
    size = data.bytes // data.size
    joined: list[Row] = []
    for row in rows:
        if row[0] == 1:
            continue
        if joined and joined[-1][1:] == (row[0] * row[1], row[0] * row[2]):
            joined[-1] = (joined[-1][0] * row[0], row[1], row[2])
        else:
            joined.append(row)
    run = size
    if joined and joined[-1][1:] == (1, 1):
        run *= joined.pop()[0]
    if len(joined) > _RANK:
        raise Unsupported(f"moves elements in more than {_RANK} dimensions")
    joined = [(1, 0, 0)] * (_RANK - len(joined)) + joined
    layer: dict[str, Field] = {
        "dims": tuple(row[0] for row in joined),
        "in_steps": tuple(row[1] * size for row in joined),
        "out_steps": tuple(row[2] * size for row in joined),
        "in_start": start * size,
        "out_start": end * size,
        "run": run,
    }
    to.step("move", layer, (data,), out)


def _rows(shape: tuple[int, ...], source: tuple[int, ...], target: tuple[int, ...]) -> list[Row]:
    return list(zip(shape, source, target, strict=True))


def reshape(to: Builder, node: Node) -> None:
    """Lowers RESHAPE, SQUEEZE and EXPAND_DIMS: nothing moves."""
    data, out = node.input(0), node.output
    if data.size != out.size or data.dtype != out.dtype:
        raise Unsupported(f"gives {list(out.shape)} of {list(data.shape)}")
    to.alias(out, data)


def transpose(to: Builder, node: Node) -> None:
    """Lowers TRANSPOSE."""
    data, out = node.input(0), node.output
    order = [int(axis) for axis in node.constant(1).reshape(-1)]
    if sorted(order) != list(range(len(data.shape))):
        raise Unsupported(f"has an order of dimensions {order}")
    checks.require_shape(out, tuple(data.shape[axis] for axis in order))
    source = tuple(strides(data.shape)[axis] for axis in order)
    move(to, data, out, _rows(out.shape, source, strides(out.shape)), 0, 0)


def cut(to: Builder, node: Node) -> None:
    """Lowers SLICE."""
    data, out = node.input(0), node.output
    begin = [int(i) for i in node.constant(1).reshape(-1)]
    inside = len(begin) == len(data.shape) == len(out.shape) and all(
        first >= 0 and first + count <= size
        for first, count, size in zip(begin, out.shape, data.shape, strict=True)
    )
    if not inside:
        raise Unsupported(f"takes {list(out.shape)} at {begin} of {list(data.shape)}")
    _cut(to, data, out, begin, [1] * len(begin), out.shape)


def _cut(
    to: Builder,
    data: Tensor,
    out: Tensor,
    begin: list[int],
    steps: list[int],
    shape: tuple[int, ...],
) -> None:
    """Copies the elements of `data` from `begin` on, in steps; `shape` has all its dimensions."""
    apart = strides(data.shape)
    start = sum(first * distance for first, distance in zip(begin, apart, strict=True))
    source = tuple(step * distance for step, distance in zip(steps, apart, strict=True))
    move(to, data, out, _rows(shape, source, strides(shape)), start, 0)


def strided_slice(to: Builder, node: Node) -> None:
    """Lowers STRIDED_SLICE."""
    data, out, rank = node.input(0), node.output, len(node.input(0).shape)
    for name in ("ellipsisMask", "newAxisMask", "offset"):
        if node.options.get(name):
            raise Unsupported(f"has {name}")
    masks = [int(node.options.get(f"{name}Mask") or 0) for name in ("begin", "end", "shrinkAxis")]
    given = [[int(i) for i in node.constant(k).reshape(-1)] for k in (1, 2, 3)]
    if {len(values) for values in given} != {rank} or 0 in given[2]:
        raise Unsupported(f"has {len(given[0])} of {rank} dimensions, or a step of 0")
    begins, steps, shape = [], [], []
    for i, (size, begin, end, step) in enumerate(zip(data.shape, *given, strict=True)):
        no_begin, no_end, shrinks = (mask >> i & 1 for mask in masks)
        if shrinks:
            begin, end, step = begin, begin + 1 or size, 1
        found = range(size)[None if no_begin else begin : None if no_end else end : step]
        if not found:
            raise Unsupported(f"takes nothing of dimension {i}")
        begins.append(found[0])
        steps.append(found.step)
        shape.append(len(found))
    if math.prod(shape) != out.size:
        raise Unsupported(f"gives {list(out.shape)} in place of {shape}")
    _cut(to, data, out, begins, steps, tuple(shape))


def split(to: Builder, node: Node) -> None:
    """Lowers SPLIT and UNPACK: neighboring parts along a dimension."""
    if node.kind == "SPLIT":
        data, axis = node.input(1), int(node.constant(0).reshape(-1)[0])
    else:
        data, axis = node.input(0), int(node.options.get("axis") or 0)
    axis = _axis(axis, len(data.shape))
    count = len(node.outputs)
    if not count or data.shape[axis] % count:
        raise Unsupported(f"gives {count} parts of {data.shape[axis]} elements")
    part = (*data.shape[:axis], data.shape[axis] // count, *data.shape[axis + 1 :])
    for i, out in enumerate(node.outputs):
        if out.size != math.prod(part):
            raise Unsupported(f"gives {list(out.shape)} in place of {list(part)}")
        begin = [0] * len(part)
        begin[axis] = i * part[axis]
        _cut(to, data, out, begin, [1] * len(part), part)


def concatenation(to: Builder, node: Node) -> None:
    """Lowers CONCATENATION and PACK."""
    out = node.output
    rank = len(out.shape)
    axis = _axis(int(node.options.get("axis") or 0), rank)
    if checks.option(node, "fusedActivationFunction") if node.kind == "CONCATENATION" else 0:
        raise Unsupported("has a fused activation")
    at = 0
    for i in range(len(node.inputs)):
        data = node.input(i)
        shape = data.shape
        if node.kind == "PACK":
            shape = (*shape[:axis], 1, *shape[axis:])
        fits = (*out.shape[:axis], shape[axis] if len(shape) == rank else 0, *out.shape[axis + 1 :])
        if shape != fits or at + shape[axis] > out.shape[axis]:
            raise Unsupported(f"joins {list(data.shape)} into {list(out.shape)}")
        rows = _rows(shape, strides(shape), strides(out.shape))
        move(to, data, out, rows, 0, at * strides(out.shape)[axis])
        at += shape[axis]
    if at != out.shape[axis]:
        raise Unsupported(f"joins {at} of {out.shape[axis]} elements")


def pad(to: Builder, node: Node) -> None:
    """Lowers PAD and PADV2."""
    data, out = node.input(0), node.output
    around, rank = node.constant(1), len(data.shape)
    if around.shape != (rank, 2) or around.min() < 0 or around.max() > 2**16:
        raise Unsupported("has a padding that doesn't fit its input")
    sides = [(int(before), int(after)) for before, after in around]
    checks.require_shape(
        out, tuple(n + sum(side) for n, side in zip(data.shape, sides, strict=True))
    )
    value = out.zero
    if node.kind == "PADV2":
        checks.same_scale(node.input(2), out)
        value = int(node.input(2).values.reshape(-1)[0])
    checks.bytes_only(node, data, out)
    to.step("fill", {"value": value, "count": out.size}, (), out)
    apart = strides(out.shape)
    end = sum(before * step for (before, _), step in zip(sides, apart, strict=True))
    move(to, data, out, _rows(data.shape, strides(data.shape), apart), 0, end)


def tile(to: Builder, node: Node) -> None:
    """Lowers TILE."""
    data, out = node.input(0), node.output
    counts = tuple(int(n) for n in node.constant(1).reshape(-1))
    if len(counts) != len(data.shape) or min(counts, default=1) < 1:
        raise Unsupported(f"repeats {list(data.shape)} {list(counts)} times")
    checks.require_shape(out, tuple(np.multiply(data.shape, counts).tolist()))
    rows: list[Row] = []
    ends = zip(data.shape, counts, strides(data.shape), strides(out.shape), strict=True)
    for size, count, source, target in ends:
        rows += [(count, 0, size * target), (size, source, target)]
    move(to, data, out, rows, 0, 0)


def cast(to: Builder, node: Node) -> None:
    """Lowers CAST of floats to int32, as indices are made of an input."""
    data, out = node.input(0), node.output
    if (data.dtype, out.dtype) != ("float32", "int32") or data.size != out.size:
        raise Unsupported(f"takes {data.dtype}, gives {out.dtype}")
    to.step("cast", {"count": out.size}, (data,), out)


def gather(to: Builder, node: Node) -> None:
    """Lowers GATHER: rows of a table, as an embedding's."""
    table, numbers, out = node.input(0), node.input(1), node.output
    if node.options.get("axis") or node.options.get("batchDims") or numbers.dtype != "int32":
        raise Unsupported("takes other than rows")
    checks.same_scale(table, out)
    checks.require_shape(out, (*numbers.shape, *table.shape[1:]))
    rows = table.shape[0] if table.shape else 1
    layer: dict[str, Field] = {"rows": rows, "row_bytes": table.bytes // rows}
    to.step("gather", layer | {"count": numbers.size}, (table, numbers), out)


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise Unsupported(f"has an axis of {axis} in {rank} dimensions")
    return axis % rank


OPERATORS = {
    "RESHAPE": reshape,
    "SQUEEZE": reshape,
    "EXPAND_DIMS": reshape,
    "TRANSPOSE": transpose,
    "SLICE": cut,
    "STRIDED_SLICE": strided_slice,
    "SPLIT": split,
    "UNPACK": split,
    "CONCATENATION": concatenation,
    "PACK": concatenation,
    "PAD": pad,
    "PADV2": pad,
    "TILE": tile,
    "CAST": cast,
    "GATHER": gather,
}
