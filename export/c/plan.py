"""Plan the scratch buffer: places that are not needed at the same time share bytes."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from .packing import WORKS
from .steps import Place, Program, Step

ALIGNMENT = 16  # of the scratch buffer and of each place in it
# Orders of placing that are tried: from each of the largest places backward.
_TRIED = 12
_WINDOWS = ("conv", "depthwise", "max_pool", "average_pool")


@dataclasses.dataclass(frozen=True)
class Plan:
    """Where each place lies in the scratch buffer.

    Attributes:
        offsets: Their offsets.
        work: Offset of the memory that one kernel after the other works in.
        bytes: The buffer's size on small targets.
        lanes_bytes: Its size where there may be vectors.
    """

    offsets: Mapping[Place, int]
    work: int
    bytes: int
    lanes_bytes: int


def plan(program: Program) -> Plan:
    """Places one after the other, each at the lowest offset that is free while it lives.

    Of several orders the one is taken that needs the fewest bytes. A step may write over what
    it reads, once it has read it: its input then starts as many bytes behind as `_gap` says.
    """
    lives, gaps = _lives(program), _gaps(program)
    by_size = sorted(lives, key=lambda place: -place.bytes)
    in_time = sorted(lives, key=lambda place: lives[place])
    orders = [by_size]
    for place in by_size[:_TRIED]:
        before = in_time[: in_time.index(place) + 1][::-1]
        orders.append([*before, *(other for other in by_size if other not in before)])
    offsets = min((_placed(order, lives, gaps) for order in orders), key=_end)
    works = [WORKS[step.kernel](step.layer) for step in program.steps if step.kernel in WORKS]
    plain, lanes = (max(both) for both in zip(*works, (0, 0), strict=True))
    work = _aligned(_end(offsets))
    return Plan(offsets, work, *(_aligned(work + more) or ALIGNMENT for more in (plain, lanes)))


def _placed(
    order: Sequence[Place],
    lives: Mapping[Place, tuple[int, int]],
    gaps: Mapping[tuple[Place, Place], int],
) -> dict[Place, int]:
    offsets: dict[Place, int] = {}
    end = 1 + sum(_aligned(place.bytes) for place in order)  # behind all that may be
    for place in order:
        first, last = lives[place]
        others = [o for o in offsets if lives[o][0] <= last and first <= lives[o][1]]
        starts = {0}
        for other in others:
            starts.add(_aligned(offsets[other] + other.bytes))
            starts.add(_aligned(offsets[other] + gaps.get((place, other), 0)))
        offsets[place] = min(
            start
            for start in starts
            if all(
                start + place.bytes <= offsets[other]
                or offsets[other] + other.bytes <= start
                or start - offsets[other] >= gaps.get((place, other), end)
                or offsets[other] - start >= gaps.get((other, place), end)
                for other in others
            )
        )
    return offsets


def _end(offsets: Mapping[Place, int]) -> int:
    return max((offset + place.bytes for place, offset in offsets.items()), default=0)


def _lives(program: Program) -> dict[Place, tuple[int, int]]:
    """Returns the first and the last step that needs each place; the ends' live to the end."""
    lives: dict[Place, tuple[int, int]] = {}
    for i, step in enumerate(program.steps):
        for place in (*step.reads, step.writes):
            if isinstance(place, Place) and place is not program.input:
                lives[place] = (lives.get(place, (i, i))[0], i)
    for place in (program.output, program.logits):
        if place in lives:
            lives[place] = (lives[place][0], len(program.steps))
    return lives


def _gaps(program: Program) -> dict[tuple[Place, Place], int]:
    """Returns the gap of each pair of places, one read for the last time as one is written."""
    lives = _lives(program)
    gaps = {}
    for i, step in enumerate(program.steps):
        gap = _gap(step)
        if gap is not None and len(step.reads) == 1:
            read = step.reads[0]
            if (
                isinstance(read, Place)
                and read in lives
                and lives[read][1] == i == lives[step.writes][0]
            ):
                gaps[read, step.writes] = gap
    return gaps


def _gap(step: Step) -> int | None:
    """Returns how far in front of its input a step may write; None if it may not overwrite it.

    Windows move from row to row: when a row is written, the rows above the window are not
    needed any more.
    """
    layer: Mapping[str, Any] = step.layer
    if step.kernel == "lookup":
        return 0
    if step.kernel not in _WINDOWS or layer["batch"] != 1 or layer.get("groups", 1) != 1:
        return None
    read = layer["in_w"] * layer["in_c" if "in_c" in layer else "channels"]
    written = step.writes.bytes // layer["out_h"]
    step_h = layer["stride_h"] * layer.get("pool", 1)
    return max(
        (y + 1) * written - max(0, y * step_h - layer["pad_h"]) * read
        for y in range(layer["out_h"])
    )


def _aligned(count: int) -> int:
    return -(-count // ALIGNMENT) * ALIGNMENT
