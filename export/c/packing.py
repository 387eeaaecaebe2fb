"""Weights in the order of each kernel path, and the memory that each path works in."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from .text import numbers

# The widest vector of sums, and the products added to each: kernels/target.c.
_GROUPS = (4, 2)
_ROWS = 4, 32  # what PADDED rounds up to: on small targets, where compilers make vectors
_WINOGRAD = 2
_SLACK = 16 * 4 + 32  # bytes that vectors may read behind the last


@dataclasses.dataclass(frozen=True, eq=False)
class Packed:
    """The weights of a layer.

    Attributes:
        values: int8 `[filters, rows, columns]`; values of neighboring columns lie side by side.
        lanes: Whether the kernels with vectors take the layer; 2 if that is Winograd's on AVX2.
    """

    values: np.ndarray
    lanes: int

    def definition(self, name: str) -> str:
        """Returns the definition of an array, in the order that the compiler's target needs."""
        filters, length = len(self.values), self.values[0].size
        rows = ",\n".join(f"    {{{numbers(row, 8)}}}" for row in self.values.reshape(filters, -1))
        plain = f"static const int8_t {name}[{max(filters, 2)}][PADDED({length})] = {{\n{rows}\n}};"
        if not self.lanes:
            return plain
        orders = [(f"LANES > 1 && GROUP == {n}", "int8_t", self.values, n) for n in _GROUPS]
        if self.lanes == _WINOGRAD:
            orders.insert(0, ("LANES == 8", "int16_t", _transformed(self.values), 2))
        text = f"#else\n{plain}\n#endif"
        for condition, kind, values, group in orders[::-1]:
            grouped = _grouped(values, group)
            size = f"{grouped.size} + LANED({filters}) * {group} - {filters * group}"
            array = f"static const {kind} {name}[{size}] = {{\n    {numbers(grouped, 4)}\n}};"
            text = f"#elif {condition}\n{array}\n{text}"
        return text.replace("#elif", "#if", 1)


def _grouped(values: np.ndarray, group: int) -> np.ndarray:
    """Returns `[filters, rows, columns]` as `[rows, columns / group, filters, group]`."""
    filters, rows, columns = values.shape
    padded = np.pad(values, ((0, 0), (0, 0), (0, -columns % group)))
    return padded.reshape(filters, rows, -1, group).transpose(1, 2, 0, 3)


def _transformed(values: np.ndarray) -> np.ndarray:
    """Returns 3 x 3 weights `[filters, 3, 3 * channels]` as `[filters, 16, channels]`, times 4."""
    filters, _, columns = values.shape
    once = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])
    made = np.einsum("ai,bj,fijc->fabc", once, once, values.reshape(filters, 3, 3, columns // 3))
    return made.reshape(filters, 16, columns // 3)


def takes_lanes(layer: Mapping[str, Any]) -> int:
    """Whether the kernels with vectors take a convolution or a dense layer; 2 if Winograd's does.

    Its sums, times 4, must fit into 32 bits, and the tiles at the sides cost less than it gains.
    """
    plain = layer.get("groups", 1) == layer.get("dilation_w", 1) == 1
    if not plain or (layer["shift"] >= 0).any():
        return 0
    steps = [layer.get(f"{name}_{end}", 1) for name in ("stride", "dilation") for end in "hw"]
    if (layer.get("k_h"), layer.get("k_w"), *steps) != (3, 3, 1, 1, 1, 1):
        return 1
    tiles = -(-layer["out_h"] // 2) * -(-layer["out_w"] // 2)
    gains = 16 * tiles < 0.6 * 9 * layer["out_h"] * layer["out_w"]
    return _WINOGRAD if gains and 8 <= layer["in_c"] <= 1024 else 1


def takes_rows(layer: Mapping[str, Any]) -> bool:
    """Whether a depthwise convolution is one of whole rows: kernels/depthwise.c."""
    borders = (layer["pad_h"], layer["pad_w"], layer["factor"], layer["stride_w"]) == (0, 0, 1, 1)
    sides = (
        (layer[f"out_{e}"] - 1) * layer[f"stride_{e}"]
        + (layer[f"k_{e}"] - 1) * layer[f"dilation_{e}"]
        < layer[f"in_{e}"]
        for e in "hw"
    )
    small = layer["in_c"] <= 64 and layer["k_h"] * layer["k_w"] <= 25
    return borders and all(sides) and small and bool((layer["shift"] < 0).all())


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
    if layer["lanes"] == _WINOGRAD:
        down, tiles = ((layer[f"out_{end}"] * layer["pool"] + 1) // 2 for end in "hw")
        image = (2 * down + 2) * (2 * tiles + 2) * layer["in_c"] + 16
        values = 16 * (tiles * (layer["in_c"] + 1) + 16)
        large = max(large, 2 * (image + values) + 4 * 16 * tiles * 16 + _SLACK)
    return small, large


def dense_work(layer: Mapping[str, Any]) -> tuple[int, int]:
    """Returns the bytes that a dense layer works in: on small targets, and on all."""
    return 0, 2 * layer["in_c"] + _SLACK if layer["lanes"] else 0


# The kernels that work in memory of their own.
WORKS = {"conv": conv_work, "dense": dense_work}
