"""Fuse steps: a convolution keeps only the largest of the results that are pooled."""

import dataclasses

from .steps import Place, Program, Step


def fuse(program: Program) -> Program:
    """Returns the program with each 2 x 2 pooling in the convolution before it."""
    steps: list[Step] = []
    kept = (program.output, program.logits)
    for step in program.steps:
        last = steps[-1] if steps else None
        if last and last.writes not in kept and _pools(step, last) and _reads(
            program, last.writes
        ) == 1:
            sizes = {name: step.layer[name] for name in ("out_h", "out_w")}
            layer = dict(last.layer) | sizes | {"pool": 2}
            steps[-1] = dataclasses.replace(
                last, layer=layer, writes=step.writes, comment=f"{last.comment}, pooled"
            )
        else:
            steps.append(step)
    return dataclasses.replace(program, steps=tuple(steps))


def _pools(step: Step, last: Step) -> bool:
    """Whether a step takes the maxima of 2 x 2 neighbors of a convolution."""
    layer = step.layer
    return (
        (last.kernel, step.kernel) == ("conv", "max_pool")
        and step.reads == (last.writes,)
        and last.layer["pool"] == 1
        and all(layer[f"{name}_{end}"] == 2 for name in ("k", "stride") for end in "hw")
        and layer["pad_h"] == layer["pad_w"] == layer["low"] == 0
        and layer["high"] == 255
    )


def _reads(program: Program, place: Place) -> int:
    return sum(step.reads.count(place) for step in program.steps)
