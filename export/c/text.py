"""Numbers and arrays as C text."""

import re

import numpy as np

_WIDTH = 100


def literal(value: int | float) -> str:
    """Returns a number in C; a float is that of 32 bits."""
    if isinstance(value, int | np.integer):
        return str(int(value)) if int(value) > -(2**31) else "(-2147483647 - 1)"
    text = f"{float(np.float32(value)):.9g}"
    return (text if re.search(r"[.e]", text) else f"{text}.0") + "f"


def numbers(values: np.ndarray, indent: int = 4) -> str:
    """Returns numbers in lines, without the indent of the first."""
    lines, line = [], " " * (indent - 1)
    for word in map(literal, values.reshape(-1).tolist()):
        if len(line) + len(word) + 2 > _WIDTH:
            lines.append(line)
            line = " " * (indent - 1)
        line += f" {word},"
    return "\n".join([*lines, line]).lstrip()


def array(kind: str, name: str, values: np.ndarray, size: str = "") -> str:
    """Returns the definition of an array, of a given size if it is longer than its values."""
    return f"static const {kind} {name}[{size or values.size}] = {{\n    {numbers(values)}\n}};"
