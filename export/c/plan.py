"""Plan the scratch buffer: places that are not needed at the same time share bytes."""

import dataclasses
from collections.abc import Mapping

from .steps import Place, Program

ALIGNMENT = 16  # of the scratch buffer and of each place in it


@dataclasses.dataclass(frozen=True)
class Plan:
    """Where each place lies: its offset in the scratch buffer, and the buffer's size."""

    offsets: Mapping[Place, int]
    bytes: int


def plan(program: Program) -> Plan:
    """Places the largest first, each at the lowest offset that is free while it lives."""
    lives = _lives(program)
    offsets: dict[Place, int] = {}
    end = 0
    for place in sorted(lives, key=lambda place: -place.bytes):
        first, last = lives[place]
        taken = sorted(
            (offset, offset + other.bytes)
            for other, offset in offsets.items()
            if lives[other][0] <= last and first <= lives[other][1]
        )
        offset = 0
        for start, stop in taken:
            if offset + place.bytes <= start:
                break
            offset = max(offset, _aligned(stop))
        offsets[place] = offset
        end = max(end, offset + place.bytes)
    return Plan(offsets, _aligned(end) or ALIGNMENT)


def _lives(program: Program) -> dict[Place, tuple[int, int]]:
    """Returns the first and the last step that needs each place; the ends' live to the end."""
    lives: dict[Place, tuple[int, int]] = {}
    for i, step in enumerate(program.steps):
        for place in (*step.reads, step.writes, step.work):
            if isinstance(place, Place) and place is not program.input:
                lives[place] = (lives.get(place, (i, i))[0], i)
    for place in (program.output, program.logits):
        if place in lives:
            lives[place] = (lives[place][0], len(program.steps))
    return lives


def _aligned(count: int) -> int:
    return -(-count // ALIGNMENT) * ALIGNMENT
