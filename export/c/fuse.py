"""Fuse steps: a convolution with padding and pooling, a table with what multiplies it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from . import fixed_point
from .steps import Place, Program, Step

Layer = Mapping[str, Any]


def fuse(program: Program) -> Program:
    """Returns the program with padding and 2 x 2 pooling in convolutions, products in tables."""
    steps: list[Step] = []
    for step in program.steps:
        steps.append(step)
        for count, fused in ((3, _padded), (2, _pooled), (2, _multiplied)):
            found = fused(program, *steps[-count:]) if len(steps) >= count else None
            if found:
                steps[-count:] = [found]
    return dataclasses.replace(program, steps=tuple(steps))


def _padded(program: Program, fill: Step, move: Step, conv: Step) -> Step | None:
    """Fuses a border of zeros, the rows moved into it, and a convolution without a border."""
    layer: Layer = conv.layer
    moved: Layer = move.layer
    if (
        (fill.kernel, move.kernel, conv.kernel) != ("fill", "move", "conv")
        or not fill.writes is move.writes is conv.reads[0]
        or not _is_passed_on(program, move.writes)
        or layer["batch"] > 1
        or layer["pad_h"]
        or layer["pad_w"]
        or fill.layer["value"] != layer["zero_in"]
    ):
        return None
    row, channels, run = layer["in_w"] * layer["in_c"], layer["in_c"], moved["run"]
    *others, height = moved["dims"]
    top, left = divmod(moved["out_start"], row)
    by_rows = max(others) == 1 and (moved["in_steps"][-1], moved["out_steps"][-1]) == (
        run,
        row,
    )
    if not by_rows or moved["in_start"] or left % channels or run % channels:
        return None
    inner = {"in_h": height, "in_w": run // channels, "pad_h": top, "pad_w": left // channels}
    return dataclasses.replace(conv, layer={**layer, **inner}, reads=move.reads)


def _pooled(program: Program, conv: Step, pool: Step) -> Step | None:
    """Fuses a convolution and a pooling that takes the largest of 2 x 2 neighbors."""
    layer: Layer = pool.layer
    if (
        (conv.kernel, pool.kernel) != ("conv", "max_pool")
        or pool.reads != (conv.writes,)
        or not _is_passed_on(program, conv.writes)
        or conv.layer["pool"] != 1
        or any(layer[f"{name}_{end}"] != 2 for name in ("k", "stride") for end in "hw")
        or (layer["pad_h"], layer["pad_w"], layer["low"], layer["high"]) != (0, 0, 0, 255)
    ):
        return None
    sizes = {"out_h": layer["out_h"], "out_w": layer["out_w"], "pool": 2}
    comment = f"{conv.comment}, {pool.comment}"
    return dataclasses.replace(
        conv, layer={**conv.layer, **sizes}, writes=pool.writes, comment=comment
    )


def _multiplied(program: Program, lookup: Step, product: Step) -> Step | None:
    """Fuses x * f(x), as in SiLU, into one function of x."""
    if (
        (lookup.kernel, product.kernel) != ("lookup", "multiply")
        or set(product.reads) != {lookup.reads[0], lookup.writes}
        or not _is_passed_on(program, lookup.writes)
    ):
        return None
    layer: Layer = product.layer
    zeros = layer["zero_a"], layer["zero_b"]
    first, second = zeros if product.reads[0] is lookup.reads[0] else zeros[::-1]
    table = np.asarray(lookup.layer["table"]).astype(np.int64)
    values = (np.arange(256) - first) * (table - second)
    scaled = fixed_point.requantize(values, layer["multiplier"], layer["shift"])
    found = np.clip(scaled + layer["zero_out"], layer["low"], layer["high"]).astype(np.uint8)
    fused = {**lookup.layer, "table": found}
    return dataclasses.replace(lookup, layer=fused, writes=product.writes, comment=product.comment)


def _is_passed_on(program: Program, place: Place) -> bool:
    """Whether one step reads a place, and nothing else needs it."""
    reads = sum(step.reads.count(place) for step in program.steps)
    return reads == 1 and place not in (program.output, program.logits)
