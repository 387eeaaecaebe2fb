"""Is JSON from elsewhere what it should be? The first place where it is not, in words.

A `Kind` is one kind of value, and lists and dicts of kinds are JSON's lists and objects.
"""

import dataclasses
import re
from collections.abc import Callable

from mnist_edge.cli import one_line

# No file has more; and a float holds it exactly.
_LARGEST = 2**53
_SHOWN = 60  # characters of what came instead


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of value: what it is in words, and the test that tells it."""

    words: str
    test: Callable


def _is_number(value):
    return type(value) in (int, float) and -_LARGEST <= value <= _LARGEST  # NaN is not


def _is_text(value, most=4096):
    return isinstance(value, str) and len(value) <= most and (not value or value.isprintable())


def count(most=_LARGEST, least=0):
    """The kind of integers from `least` to `most`."""
    words = f"an integer of {least} or more" + (f", at most {most:,}" if most < _LARGEST else "")
    return Kind(words, lambda value: type(value) is int and least <= value <= most)


def number(most: float, least: float = 0) -> Kind:
    """The kind of numbers from `least` to `most`."""
    return Kind(
        f"a number, {least:g} to {most:,g}",
        lambda value: _is_number(value) and least <= value <= most,
    )


def one_of(*values):
    """The kind of these texts alone."""
    return Kind(" or ".join(values), lambda value: isinstance(value, str) and value in values)


def or_null(kind):
    """A kind, and null."""
    return Kind(f"{kind.words}, or null", lambda value: value is None or kind.test(value))


TEXT = Kind("printable text", _is_text)
TRUTH = Kind("true or false", lambda value: isinstance(value, bool))
COUNT = count()
POSITIVE = Kind("a number above 0", lambda value: _is_number(value) and value > 0)
NOT_NEGATIVE = Kind("a number of 0 or more", lambda value: _is_number(value) and value >= 0)
SHARE = number(1)
# Where data lie: any name that a file may have, so it is not printed as it stands.
PATH = Kind(
    "a path or a name of 1 to 4,096 characters",
    lambda value: isinstance(value, str) and 0 < len(value) <= 4096 and "\0" not in value,
)
NAME = Kind(
    "a name: letters, digits, points, hyphens",
    lambda value: _is_text(value, 64) and re.fullmatch(r"\w[\w.+-]*", value) is not None,
)
SHA256 = Kind(
    "64 hexadecimal digits",
    lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None,
)


def file_name(*endings):
    """The kind of a file's name: no folder before it, and one of the endings after it."""
    return Kind(
        f"the name of a file beside it that ends in {' or '.join(endings)}",
        lambda value: NAME.test(value) and value.endswith(endings),
    )


def mismatch(value, wanted, where=""):
    """The first place where JSON is not as wanted.

    Args:
        value: What JSON held.
        wanted: A `Kind`; a list of one of these, for a list of any length; a tuple, for a
            list of its length; or a dict, for an object that holds at least its keys. A
            key that ends in "?" may be missing.
        where: What is being looked at, for the words.

    Returns:
        str; None where all is as wanted.
    """
    if isinstance(wanted, dict):
        return _object_mismatch(value, wanted, where)
    if isinstance(wanted, Kind):
        return None if wanted.test(value) else _words(where, wanted.words, value)
    if not isinstance(value, list) or (isinstance(wanted, tuple) and len(value) != len(wanted)):
        length = f" of {len(wanted)}" if isinstance(wanted, tuple) else ""
        return _words(where, f"a list{length}", value)
    inner = wanted if isinstance(wanted, tuple) else wanted * len(value)
    found = (
        mismatch(one, kind, f"{where}[{i}]")
        for i, (one, kind) in enumerate(zip(value, inner, strict=True))
    )
    return next(filter(None, found), None)


def _object_mismatch(value, wanted, where):
    if not isinstance(value, dict):
        return _words(where, "an object", value)
    for key, kind in wanted.items():
        name = key.removesuffix("?")
        place = f"{where}.{name}" if where else name
        if name in value:
            found = mismatch(value[name], kind, place)
        else:
            found = None if key.endswith("?") else f"{place} is missing"
        if found:
            return found
    return None


def _words(where, wanted, value):
    shown = value
    if isinstance(value, list | dict):
        shown = f"{type(value).__name__} of {len(value)}"
    elif isinstance(value, int) and abs(value) > _LARGEST:
        shown = f"an integer of {value.bit_length()} bits"  # its digits take time to find
    return f"{where or 'it'} must be {wanted}. Got: {one_line(shown, _SHOWN)}"
