"""Read CSV files: one row per example, with its label and pixels or other numbers.

Kaggle's layouts: `label,pixel0,...,pixel783` (Digit Recognizer, Fashion-MNIST), and a label and
784 values with a header (`label,1x1,...,28x28`) or without (mnist-in-csv). Others, such as those of
OpenML and scikit-learn: a header that names a column `label`, `class`, `target` or the like, or
no header and a label that is text. Needs only NumPy.
"""

import contextlib
import dataclasses
import gzip
import io
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mnist_edge.data import csv_layout
from mnist_edge.data.catalog import Pair
from mnist_edge.data.csv_layout import Layout, is_number
from mnist_edge.errors import InputError
from mnist_edge.safety import files

# Characters: enough for an image of 512 x 512 pixels.
_LONGEST_LINE = 2**20
_MOST_LINES = 10_000_000  # EMNIST has 814,255; bounds the time spent on blank lines
_MEMBER = re.compile(r"(?!__MACOSX/).*\.csv", re.IGNORECASE)
_BYTES = {str(value) for value in range(256)}
_LONGEST_LABEL = 200


@dataclasses.dataclass(frozen=True)
class CsvFile:
    """A CSV file, compressed or not.

    Attributes:
        path: A `.csv`, `.csv.gz` or `.zip`.
        member: Name of the file in a `.zip`; None for its only one.
    """

    path: Path
    member: str | None = None

    def __str__(self) -> str:
        return f"{self.path}: {self.member}" if self.member else str(self.path)


def members(path: Path) -> list[str]:
    """Returns the names of the CSV files in a `.zip`, sorted.

    Raises:
        InputError: The file is not a complete `.zip`, or contains no CSV file.
    """
    files.require(path)
    with _damage_reported(CsvFile(path)), files.open_zip(path) as archive:
        names = sorted(name for name in archive.namelist() if _MEMBER.fullmatch(name))
    if not names:
        raise InputError(f"{path} must hold a .csv and does not.")
    return names


def read(file: CsvFile) -> Pair | None:
    """Reads one CSV file of labeled examples.

    Returns:
        `(x, y)`: `x` is `[n, side, side]` if the columns are pixels of a square image, else
        `[n, features]`, uint8 if all values are bytes, else float32; `y` is integers or text `[n]`.
        None if the file has no labels, as Kaggle's `test.csv`.

    Raises:
        InputError: The file is damaged, too large or not such a CSV; the message has the line
            number.
    """
    layout = _layout(file)
    if layout.label is None:
        return None
    if not layout.is_kaggle:
        return _read_table(file, layout, layout.label)
    rows = _read_rows(file, layout.columns, layout.has_header)
    if not layout.has_header and np.ptp(rows[:, 0]) == 0 < np.ptp(rows[:, -1]):
        rows = np.roll(rows, 1, axis=1)  # the label is last: a column of one value is a pixel
    return rows[:, 1:].reshape(-1, layout.side or 0, layout.side or 0), rows[:, 0].copy()


def read_pixels(path: Path, columns: int) -> np.ndarray:
    """Reads one CSV file of images without labels, with or without a header.

    Args:
        path: The file.
        columns: Number of pixels per image.

    Returns:
        uint8 `[n, columns]`.

    Raises:
        InputError: As for `read`.
    """
    file = CsvFile(path)
    fields = csv_layout.split(_first_lines(file)[0])
    if len(fields) != columns:
        label = " (with labels? remove them)" if len(fields) == columns + 1 else ""
        raise InputError(
            f"{path} must have {columns} columns, separated by commas. Got: {len(fields)}"
            f"{label}. Give Kaggle's test.csv, or a file like it."
        )
    return _read_rows(file, columns, not is_number(fields[0]))


def read_features(path: Path, columns: int) -> np.ndarray:
    """Reads one CSV file of numbers, with or without a header.

    Columns of labels or of row numbers, which a header names as such, are left out, and so is
    text if there is no header.

    Args:
        path: The file, `.csv` or `.csv.gz`.
        columns: Number of values per example.

    Returns:
        float32 `[n, columns]`.

    Raises:
        InputError: The file is damaged, or not such a CSV.
    """
    file = CsvFile(path)
    separator, has_header, kept = csv_layout.features(_first_lines(file)[0], columns)
    if len(kept) != columns:
        raise InputError(
            f"{path} must have {columns:,} columns of numbers. Got: {len(kept):,}. "
            "Give the columns that the model was trained on, in their order."
        )
    with _opened(file) as lines:
        try:
            return np.loadtxt(
                itertools.islice(lines, int(has_header), None), delimiter=separator,
                usecols=kept, dtype=np.float32, comments=None, quotechar='"', ndmin=2,
            )  # fmt: skip
        except InputError:
            raise
        except ValueError as error:
            raise InputError(f"{path} must hold numbers. Got: {files.short(error)}.") from error


def _damage_reported(file: CsvFile) -> contextlib.AbstractContextManager[None]:
    own = files.ZIP if file.path.suffix.lower() == ".zip" else files.GZIP
    return files.damage_reported(file.path, "a complete file", own, where=file)


@contextlib.contextmanager
def _opened(file: CsvFile) -> Iterator[Iterator[str]]:
    """Opens a file, compressed or not, as an iterator over its lines."""
    path = file.path
    files.require(path)
    with _damage_reported(file), contextlib.ExitStack() as stack:
        binary: Any  # has `peek`, unlike `IO[bytes]`
        if path.suffix.lower() == ".zip":
            archive = stack.enter_context(files.open_zip(path))
            info = archive.getinfo(file.member or _only_member(path))
            _require_small(file, info.file_size, "in the archive's directory")
            binary = stack.enter_context(files.open_member(archive, info))
        elif path.suffix.lower() == ".gz":
            binary = stack.enter_context(gzip.open(path))
        else:
            binary = stack.enter_context(open(path, "rb"))
        actual = files.describe_format(binary.peek(files.HEAD_BYTES)[: files.HEAD_BYTES])
        if actual:
            raise InputError(f"{file} must be a CSV. Got: {actual}. Fetch it again.")
        # Bytes that are not UTF-8 are not numbers either, so the error names their line.
        text = stack.enter_context(io.TextIOWrapper(binary, "utf-8-sig", errors="replace"))
        yield _lines(file, text)


def _require_small(file: CsvFile, size: int, when: str) -> None:
    if size > files.LIMIT_BYTES:
        raise InputError(
            f"{file} must unpack to at most {files.LIMIT_BYTES:,} bytes. Got: {size:,} {when}. "
            "Give less data."
        )


def _only_member(path: Path) -> str:
    names = members(path)
    if len(names) > 1:
        raise InputError(
            f"{path} must hold one .csv. Got: {files.short(', '.join(names))}. Unpack it."
        )
    return names[0]


def _lines(file: CsvFile, stream: io.TextIOWrapper) -> Iterator[str]:
    """Yields a text's lines; limits their length, number and total size."""
    size = 0
    for number in itertools.count(1):
        line = stream.readline(_LONGEST_LINE + 1)
        size += len(line)
        if len(line) > _LONGEST_LINE:
            raise InputError(
                f"{file}: line {number} must have at most {_LONGEST_LINE:,} characters. Got: "
                "more. Give one line per row."
            )
        _require_small(file, size, f"up to line {number}")
        if number > _MOST_LINES:
            raise InputError(
                f"{file} must have at most {_MOST_LINES:,} lines. Got: more. Give less data."
            )
        if not line:
            return
        yield line


def _first_lines(file: CsvFile) -> tuple[str, str]:
    with _opened(file) as lines:
        return next(lines, ""), next(lines, "")


def _layout(file: CsvFile) -> Layout:
    first, second = _first_lines(file)
    try:
        return csv_layout.detect(first, second)
    except ValueError as error:
        raise InputError(
            f"{file} must have a label and the pixels of a square image per row, e.g. 785 values, "
            "or a header with a column label, class or target, separated by commas, semicolons or "
            f"tabs. Got: {error} in the first line, {first[:40].strip()!r}."
        ) from None


def _read_table(file: CsvFile, layout: Layout, label: int) -> Pair:
    """Reads labels and numbers in any order of columns."""
    labels: list[str] = []
    with _opened(file) as lines:
        numbers = _without_labels(file, lines, layout, label, labels)
        try:
            first = next(numbers, None)
            x = None if first is None else np.loadtxt(
                itertools.chain([first], numbers),
                delimiter=layout.separator, dtype=np.float32, comments=None, quotechar='"', ndmin=2,
            )  # fmt: skip
        except InputError:
            raise
        except ValueError:  # NumPy does not report the line
            x = None
    if x is None or len(x) != len(labels):
        with _opened(file) as lines:
            raise InputError(_first_table_fault(file, lines, layout, label))
    if x.size and (x == np.trunc(x)).all() and x.min() >= 0 and x.max() <= 255:
        x = x.astype(np.uint8)
    if layout.side:
        x = x.reshape(-1, layout.side, layout.side)
    if all(map(csv_layout.is_whole, set(labels))):
        return x, np.array([int(float(text)) for text in labels])
    return x, np.array(labels)


def _without_labels(
    file: CsvFile, lines: Iterator[str], layout: Layout, label: int, labels: list[str]
) -> Iterator[str]:
    """Yields each row without its label and index; appends the label to `labels`."""
    for line in itertools.islice(lines, int(layout.has_header), None):
        if not line.strip():
            continue
        values = line.rstrip("\r\n").split(layout.separator)
        if len(values) != layout.columns or len(values[label]) > _LONGEST_LABEL:
            raise ValueError
        files.require_room(file, files.data_bytes(len(labels) * layout.columns, 4), "more")
        labels.append(values[label].strip().strip("\"'"))
        dropped = (label, layout.index)
        yield layout.separator.join(v for column, v in enumerate(values) if column not in dropped)


def _first_table_fault(file: CsvFile, lines: Iterable[str], layout: Layout, label: int) -> str:
    """Returns a message about the first invalid line of a table."""
    number = 0
    for number, line in enumerate(lines, start=1):
        if (number == 1 and layout.has_header) or not line.strip():
            continue
        values = csv_layout.split(line, layout.separator)
        if len(values) != layout.columns:
            got = f"{len(values):,}"
            return f"{file}: line {number} must have {layout.columns:,} values. Got: {got}."
        if len(line.split(layout.separator)[label]) > _LONGEST_LABEL:
            most = f"{_LONGEST_LABEL} characters"
            return f"{file}: line {number} must have a label of at most {most}. Got: more."
        for column, value in enumerate(values):
            if column not in (label, layout.index) and not is_number(value):
                got = f"{value[:40]!r} in column {column + 1}"
                return (
                    f"{file}: line {number} must hold numbers and one label. Got: {got}. Remove "
                    "that column, or write its values as numbers."
                )
    return f"{file} must have one row per example. Got: {number} lines without a row."


def _read_rows(file: CsvFile, columns: int, has_header: bool) -> np.ndarray:
    """Reads the rows of a CSV file, uint8 `[n, columns]`."""
    with _opened(file) as lines:
        rows = _parsed(itertools.islice(lines, int(has_header), None), columns)
    if rows is None:
        with _opened(file) as lines:
            raise InputError(_first_fault(file, lines, columns, has_header))
    return rows


def _parsed(lines: Iterator[str], columns: int) -> np.ndarray | None:
    """Parses lines to uint8 `[n, columns]`; None if they are not such rows."""
    first = next((line for line in lines if line.strip()), "")
    # NumPy takes the number of columns from this line, and only warns if there is none.
    if first.count(",") != columns - 1:
        return None
    try:
        rows = np.loadtxt(
            itertools.chain([first], lines), delimiter=",", dtype=np.uint8, comments=None, ndmin=2
        )
    except InputError:
        raise
    except ValueError:
        return None
    return rows if rows.shape[1] == columns else None


def _first_fault(file: CsvFile, lines: Iterable[str], columns: int, has_header: bool) -> str:
    """Returns a message about the first invalid line, as NumPy does not report its number."""
    number = 0
    for number, line in enumerate(lines, start=1):
        fields = line.strip().split(",")
        if (number == 1 and has_header) or fields == [""]:
            continue
        if len(fields) != columns:
            return f"{file}: line {number} must have {columns} values. Got: {len(fields)}."
        for field in fields:
            if field.strip() not in _BYTES:
                scaled = is_number(field) and 0 < float(field) < 1
                return (
                    f"{file}: line {number} must hold whole numbers from 0 to 255. "
                    f"Got: {field[:40]!r}." + " Multiply values between 0 and 1 by 255." * scaled
                )
    return f"{file} must have one row per image. Got: {number} lines without a row."
