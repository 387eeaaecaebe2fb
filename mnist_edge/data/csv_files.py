"""Read Kaggle's CSV: one row per image, its label and its pixels. NumPy only.

Both layouts are read: `label,pixel0,...,pixel783` (Digit Recognizer, Fashion-MNIST) and
a label and 784 values with a header (`label,1x1,...,28x28`) or without (mnist-in-csv).
"""

import contextlib
import dataclasses
import gzip
import io
import itertools
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mnist_edge.data.catalog import Pair
from mnist_edge.errors import InputError
from mnist_edge.safety import files

# Characters; this many hold a picture of 512 x 512 pixels.
_LONGEST_LINE = 2**20
_MOST_LINES = 10_000_000  # EMNIST has 814,255; of blank ones more would fit into the limit
_MEMBER = re.compile(r"(?!__MACOSX/).*\.csv", re.IGNORECASE)
_BYTES = {str(value) for value in range(256)}
_OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}


@dataclasses.dataclass(frozen=True)
class CsvFile:
    """A CSV file, packed or not.

    Attributes:
        path: A `.csv`, `.csv.gz` or `.zip`.
        member: Which file of a `.zip`; None is its only one.
    """

    path: Path
    member: str | None = None

    def __str__(self) -> str:
        return f"{self.path}: {self.member}" if self.member else str(self.path)


def members(path: Path) -> list[str]:
    """Names of the CSV files in a `.zip`, sorted.

    Raises:
        InputError: The file is no whole `.zip`, or holds no CSV file.
    """
    files.require(path)
    with _whole(CsvFile(path)), files.open_zip(path) as archive:
        names = sorted(name for name in archive.namelist() if _MEMBER.fullmatch(name))
    if not names:
        raise InputError(f"{path} must hold a .csv and does not.")
    return names


def read(file: CsvFile) -> Pair | None:
    """Reads one CSV file of labeled images.

    Returns:
        `(x, y)`: uint8 `[n, side, side]` and uint8 `[n]`; None where the file has no
        labels, as Kaggle's `test.csv`.

    Raises:
        InputError: The file is damaged, too large or holds something else; the line is named.
    """
    columns, has_header, labeled = _layout(file, _first_line(file))
    if not labeled:
        return None
    rows = _read_rows(file, columns, has_header)
    side = math.isqrt(columns - 1)
    return rows[:, 1:].reshape(-1, side, side), rows[:, 0].copy()


def read_pixels(path: Path, columns: int) -> np.ndarray:
    """Reads one CSV file of images without labels, with or without a header.

    Args:
        path: The file.
        columns: How many pixels an image has.

    Returns:
        uint8 `[n, columns]`.

    Raises:
        InputError: As `read`'s.
    """
    file = CsvFile(path)
    fields = _fields(_first_line(file))
    if len(fields) != columns:
        label = " (a label too? leave it out)" if len(fields) == columns + 1 else ""
        raise InputError(
            f"{path} must have {columns} columns, with commas between them. Got: {len(fields)}"
            f"{label}. Give Kaggle's test.csv, or a file like it."
        )
    return _read_rows(file, columns, not _is_number(fields[0]))


@contextlib.contextmanager
def _whole(file: CsvFile) -> Iterator[None]:
    """Makes one line of what a damaged file raises."""
    try:
        yield
    except InputError:
        raise
    except files.DAMAGE as error:
        own = files.ZIP if file.path.suffix.lower() == ".zip" else files.GZIP
        cause = files.cause(file.path, error, own)
        raise InputError(f"{file} must be a whole file. Got: {cause}. Fetch it again.") from error
    except MemoryError:
        raise InputError(f"{file} must fit into memory and does not. Give less data.") from None


@contextlib.contextmanager
def _opened(file: CsvFile) -> Iterator[Iterator[str]]:
    """The file's lines, whatever it is packed in."""
    path = file.path
    files.require(path)
    with _whole(file), contextlib.ExitStack() as stack:
        binary: Any  # each has `peek`, which `IO[bytes]` has not
        if path.suffix.lower() == ".zip":
            archive = stack.enter_context(files.open_zip(path))
            info = archive.getinfo(file.member or _only_member(path))
            _require_small(file, info.file_size, "in the archive's directory")
            binary = stack.enter_context(files.open_member(archive, info))
        elif path.suffix.lower() == ".gz":
            binary = stack.enter_context(gzip.open(path))
        else:
            binary = stack.enter_context(open(path, "rb"))
        pretender = files.pretender(binary.peek(files.HEAD_BYTES)[: files.HEAD_BYTES])
        if pretender:
            raise InputError(f"{file} must be a CSV. Got: {pretender}. Fetch it again.")
        # What is no UTF-8 is no number either: the line that holds it is named.
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
    """A text's lines, none too long, and no more of them than may be unpacked."""
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


def _first_line(file: CsvFile) -> str:
    with _opened(file) as lines:
        return next(lines, "")


def _fields(line: str) -> list[str]:
    return [field.strip().strip('"') for field in line.split(",")]


def _layout(file: CsvFile, line: str) -> tuple[int, bool, bool]:
    """`(columns, has_header, labeled)`, from a file's first line."""
    fields = _fields(line)
    columns, has_header = len(fields), not _is_number(fields[0])
    if has_header and "label" in map(str.lower, fields[1:]):
        raise InputError(f"{file} must have 'label' as its first column. Got: {fields[0][:40]!r}.")
    labeled = fields[0].lower() == "label" if has_header else not _is_square(columns)
    if columns < 2 or not _is_square(columns - labeled):
        others = [name for sign, name in _OTHER_DELIMITERS.items() if sign in line.strip()]
        got = others[0] if columns == 1 and others else f"{columns:,} values"
        raise InputError(
            f"{file} must have a label and the pixels of a square image per row, 785 values say, "
            f"with commas between them. Got: {got} in the first line, {line[:40].strip()!r}."
        )
    return columns, has_header, labeled


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_square(count: int) -> bool:
    return count > 0 and math.isqrt(count) ** 2 == count


def _read_rows(file: CsvFile, columns: int, has_header: bool) -> np.ndarray:
    """uint8 `[n, columns]`."""
    with _opened(file) as lines:
        rows = _parsed(itertools.islice(lines, int(has_header), None), columns)
    if rows is None:
        with _opened(file) as lines:
            raise InputError(_first_fault(file, lines, columns, has_header))
    return rows


def _parsed(lines: Iterator[str], columns: int) -> np.ndarray | None:
    """uint8 `[n, columns]`, or None where the text is something else."""
    first = next((line for line in lines if line.strip()), "")
    if first.count(",") != columns - 1:  # NumPy would go by this line, and only warn of none
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
    """What is wrong with the first line that is; NumPy counts rows by the chunk."""
    number = 0
    for number, line in enumerate(lines, start=1):
        fields = line.strip().split(",")
        if (number == 1 and has_header) or fields == [""]:
            continue
        if len(fields) != columns:
            return f"{file}: line {number} must have {columns} values. Got: {len(fields)}."
        for field in fields:
            if field.strip() not in _BYTES:
                scaled = _is_number(field) and 0 < float(field) < 1
                return (
                    f"{file}: line {number} must hold whole numbers from 0 to 255. "
                    f"Got: {field[:40]!r}." + " Multiply by 255 what lies between 0 and 1." * scaled
                )
    return f"{file} must have one row per image. Got: {number} lines and no row."
