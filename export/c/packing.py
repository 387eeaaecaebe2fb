"""Weights in the order of each kernel path, and the memory that each path works in."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from .text import numbers

# The widest vector of sums, and the products added to each: kernels/target.c.
_GROUPS = (4, 2)
_ROWS = 4, 32  # what PADDED rounds up to: on small targets, where compilers make vectors
_SLACK = 16 * 4 + 32  # bytes that vectors may read behind the last


@dataclasses.dataclass(frozen=True, eq=False)
class Packed:
    """The weights of a layer.

    Attributes:
        values: int8 `[filters, rows, columns]`; values of neighboring columns lie side by side.
        lanes: Whether the kernels with vectors take the layer.
    """

    values: np.ndarray
    lanes: bool

    def definition(self, name: str) -> str:
        """Returns the definition of an array, in the order that the compiler's target needs."""
        filters, length = len(self.values), self.values[0].size
        rows = ",\n".join(f"    {{{numbers(row, 8)}}}" for row in self.values.reshape(filters, -1))
        plain = f"static const int8_t {name}[{max(filters, 2)}][PADDED({length})] = {{\n{rows}\n}};"
        if not self.lanes:
            return plain
        parts: list[str] = []
        for group in _GROUPS:
            grouped = self._grouped(group)
            size = f"{grouped.size} + LANED({filters}) * {group} - {filters * group}"
            condition = "#if" if not parts else "#elif"
            parts.append(
                f"{condition} LANES > 1 && GROUP == {group}\n"
                f"static const int8_t {name}[{size}] = {{\n    {numbers(grouped, 4)}\n}};"
            )
        return "\n".join([*parts, f"#else\n{plain}\n#endif"])

    def _grouped(self, group: int) -> np.ndarray:
        """Returns the weights as `[rows, columns / group, filters, group]`."""
        filters, rows, columns = self.values.shape
        more = -columns % group
        padded = np.pad(self.values, ((0, 0), (0, 0), (0, more)))
        return padded.reshape(filters, rows, -1, group).transpose(1, 2, 0, 3)


def takes_lanes(layer: Mapping[str, Any]) -> bool:
    """Whether the kernels with vectors take a convolution or a dense layer."""
    plain = layer.get("groups", 1) == layer.get("dilation_w", 1) == 1
    return plain and bool((layer["shift"] < 0).all())


def conv_work(layer: Mapping[str, Any]) -> tuple[int, int]:
    """Returns the bytes that a convolution works in: on small targets, and on all."""
    length = layer["weights"].values[0].size
    small, large = (2 * (-(-length // row) * row) for row in _ROWS)
    if layer["lanes"]:
        height, width = (
            (layer[f"out_{end}"] * layer["pool"] - 1) * layer[f"stride_{end}"]
            + (layer[f"k_{end}"] - 1) * layer[f"dilation_{end}"]
            + 1
            for end in "hw"
        )
        large = max(large, 2 * height * width * layer["in_c"] + _SLACK)
    return small, large


def dense_work(layer: Mapping[str, Any]) -> tuple[int, int]:
    """Returns the bytes that a dense layer works in: on small targets, and on all."""
    return 0, 2 * layer["in_c"] + _SLACK if layer["lanes"] else 0


# The kernels that work in memory of their own.
WORKS = {"conv": conv_work, "dense": dense_work}
