"""How much an image looks like a digit, in C: what a macro adds to a model of digits."""

import re
from collections.abc import Sequence
from importlib import resources

import numpy as np

from mnist_edge.images import likeness

from .graph import Tensor
from .text import array, literal

MACRO = "NO_DIGIT"
_DIGITS = [str(digit) for digit in range(10)]
# The self-test also judges images of two halves, which look less like digits than whole ones.
_STEP = 28 * 14
_EXAMPLE = re.compile(r"#ifdef MODEL_NO_DIGIT\n.*?#endif\n", re.DOTALL)


def fits(given: Tensor, labels: Sequence[str]) -> bool:
    """Whether a model takes 28 x 28 gray levels as they are and gives the ten digits."""
    are_levels = given.dtype == "uint8" and not given.zero_point and given.scales.tolist() == [1.0]
    return given.shape == (1, 28, 28, 1) and are_levels and list(labels) == _DIGITS


def interface(name: str) -> str:
    """Returns the declarations."""
    upper, parts = name.upper(), likeness.PARTS
    return f"""
#ifdef {upper}_{MACRO}
/* How much the input looks like a handwritten digit, 0 to {parts}. It shows none if this times the
   largest probability is below {parts} times {upper}_MIN_CONFIDENCE. */
#define {upper}_MIN_CONFIDENCE {likeness.MIN_CONFIDENCE:g}f
int {name}_likeness(const uint8_t *input);
#endif"""


def source(name: str) -> str:
    """Returns the definition."""
    fitted = likeness.arrays()
    facts = {
        "AXES": array("int8_t", "likeness_axes", fitted["axes"]),
        "MEANS": array("int8_t", "likeness_means", fitted["means"]),
        "WEIGHTS": array("uint8_t", "likeness_weights", fitted["weights"]),
        "STEP": literal(int(fitted["step"][0])),
        **{key: literal(value) for key, value in likeness.CONSTANTS.items()},
    }
    text = (resources.files(__package__) / "likeness.c").read_text("utf-8").rstrip()
    text = re.sub(r"\b[A-Z_]+\b", lambda found: facts.get(found[0], found[0]), text)
    return text.replace("MODEL", name.upper()).replace("model_", f"{name}_")


def self_test(name: str, images: np.ndarray) -> tuple[str, str]:
    """Returns the expected values and the statements that count what differs.

    Args:
        name: Prefix of the functions.
        images: The golden inputs, uint8 `[n, 28, 28, 1]` or of as many elements.
    """
    given = np.lib.stride_tricks.sliding_window_view(images.reshape(-1), 2 * _STEP)[::_STEP]
    expected = likeness.likeness(given.reshape(-1, 28, 28)) * likeness.PARTS
    macro, values = f"#ifdef {name.upper()}_{MACRO}", expected.astype(int)
    return (
        f"\n\n{macro}\n{array('int16_t', 'golden_likeness', values)}\n#endif",
        f"""
{macro}
    for (int32_t i = 0; i < {len(values)}; i++) {{ /* halves of neighbors look less like digits */
        differing += {name}_likeness(golden_inputs + i * {_STEP}) != golden_likeness[i];
    }}
#endif""",
    )


def example(template: str, is_offered: bool) -> str:
    """Returns the example with or without what the macro adds."""
    return template if is_offered else _EXAMPLE.sub("", template)
