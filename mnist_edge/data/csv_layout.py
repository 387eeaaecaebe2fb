"""Find out from the first lines of a CSV file which column holds what."""

import dataclasses
import math
import re

_SEPARATORS = ",;\t"
_OTHER_SEPARATORS = {"|": "vertical bars", " ": "spaces"}
# A column with one of these names holds the labels; the first of them that there is.
_LABELS = ("label", "labels", "class", "target", "classes", "species", "category", "y")
_INDEX = ("", "id", "index", "unnamed: 0", "imageid", "rownames")  # of a first column
# `pixel0`, `pixel_0_0`, `1x1`, `12`
_PIXEL = re.compile(r"(pixel|px|p)?[ _-]?\d+([x_-]\d+)?")


@dataclasses.dataclass(frozen=True)
class Layout:
    """What the columns of a CSV file hold.

    Attributes:
        separator: What separates the values of a line.
        columns: Number of values per line.
        has_header: Whether the first line holds no values.
        label: Column of the labels; None if there are none.
        index: Column of row numbers, to be ignored, or None.
        side: Height and width of the images if a row's values are a square image, else None.
        is_kaggle: Whether this is one of Kaggle's layouts: a numeric label, then bytes.
    """

    separator: str
    columns: int
    has_header: bool
    label: int | None
    index: int | None = None
    side: int | None = None
    is_kaggle: bool = False


def split(line: str, separator: str = ",") -> list[str]:
    """Returns the values of a line, without blanks and quotes around them."""
    return [value.strip().strip("\"'") for value in line.rstrip("\r\n").split(separator)]


def is_number(text: str) -> bool:
    """Whether a value is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_whole(text: str) -> bool:
    """Whether a value is a whole number that may be a label, also if written as 1.0 or 1e0."""
    return is_number(text) and abs(float(text)) < 2**31 and float(text).is_integer()


def _is_decimal(text: str) -> bool:
    """Whether a value is a number that is not written as a whole one."""
    return math.isfinite(float(text)) and not text.lstrip("-+").isdecimal()


def detect(first: str, second: str) -> Layout:
    """Returns the layout of a file with these first two lines.

    Raises:
        ValueError: It is none that is supported; the message says what was found.
    """
    separator = max(_SEPARATORS, key=first.count)
    names = split(first, separator)
    texts = [column for column, value in enumerate(names) if not is_number(value)]
    columns, last = len(names), len(names) - 1
    lower = [name.lower() for name in names]
    label = next((lower.index(name) for name in _LABELS if name in lower), None)
    if label is not None:
        found = _named(separator, lower, label, split(second, separator))
    elif len(texts) > 1 and texts == list(range(2, columns)) and names[1].isdecimal():
        # scikit-learn's own files start with the numbers of rows and features and the classes.
        found = Layout(separator, int(names[1]) + 1, True, int(names[1]))
    elif texts in ([0], [last]) and columns > 1:
        found = Layout(separator, columns, False, texts[0])
    elif not texts and columns > 1 and is_whole(names[last]) and _is_decimal(names[0]):
        found = Layout(separator, columns, False, last)  # a decimal is no label: the last may be
    elif is_square(columns) and columns > 1:
        found = Layout(separator, columns, bool(texts), None)
    elif not texts and is_square(columns - 1):
        found = Layout(separator, columns, False, 0, None, math.isqrt(columns - 1), True)
    else:
        others = [name for sign, name in _OTHER_SEPARATORS.items() if sign in first.strip()]
        raise ValueError(others[0] if columns == 1 and others else f"{columns:,} values")
    if found.columns - (found.index is not None) < 2:
        raise ValueError(f"{columns:,} values")
    return found


def features(first: str, columns: int) -> tuple[str, bool, list[int]]:
    """Returns the separator, whether the first line is a header, and the columns of features.

    All columns are features if they are `columns`, the number of features, whatever their names.
    """
    separator = max(_SEPARATORS, key=first.count)
    names = [name.lower() for name in split(first, separator)]
    has_header = not any(map(is_number, names))
    if len(names) == columns:
        dropped: set[int] = set()
    elif has_header:
        dropped = {column for column, name in enumerate(names) if name in _LABELS}
        dropped |= {0} if names[0] in _INDEX else set()
    else:
        dropped = {column for column, value in enumerate(names) if not is_number(value)}
    return separator, has_header, [c for c in range(len(names)) if c not in dropped]


def _named(separator: str, names: list[str], label: int, second: list[str]) -> Layout:
    """Returns the layout of a file whose header names the column `label`."""
    index = 0 if label > 0 and names[0] in _INDEX else None
    features = [name for column, name in enumerate(names) if column not in (label, index)]
    is_image = is_square(len(features)) and all(map(_PIXEL.fullmatch, features))
    text = len(second) > label and second[label] and not is_number(second[label])
    return Layout(
        separator,
        len(names),
        True,
        label,
        index,
        side=math.isqrt(len(features)) if is_image else None,
        is_kaggle=is_image and separator == "," and names[0] == "label" and not text,
    )


def is_square(count: int) -> bool:
    """Whether so many pixels can be a square image."""
    return count > 0 and math.isqrt(count) ** 2 == count
