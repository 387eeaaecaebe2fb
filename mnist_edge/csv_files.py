"""Read Kaggle's CSV: a label and the pixels a row. NumPy only.

Both layouts are read: `label,pixel0,...,pixel783` (Digit Recognizer, Fashion-MNIST) and
a label and 784 values with a header (`label,1x1,...,28x28`) or without (mnist-in-csv).
"""

import contextlib
import gzip
import io
import itertools
import math
import re
import zipfile
import zlib

import numpy as np

from mnist_edge.cli import InputError

# The longest line that is taken for one of a CSV; 1,048,576 bytes hold a picture of
# 512 x 512 pixels.
_LONGEST_LINE = 2**20
_MEMBER = re.compile(r"(?!__MACOSX/).*\.csv", re.IGNORECASE)
_BYTES = {str(value) for value in range(256)}
# What a damaged archive makes `gzip` and `zipfile` raise; an OSError is a seek to nowhere.
_DAMAGE = (
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def members(path):
    """Names of the CSV files in a `.zip`, sorted.

    Raises:
        InputError: The file is no whole `.zip`, or holds no CSV file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(name for name in archive.namelist() if _MEMBER.fullmatch(name))
    except _DAMAGE as error:
        raise InputError(f"{path} must be a whole .zip. Got: {error}. Fetch it again.") from error
    if not names:
        raise InputError(f"{path} must hold a .csv and does not.")
    return names


def read(path, member=None):
    """Reads one CSV file of images.

    Args:
        path: `pathlib.Path` of a `.csv`, `.csv.gz` or `.zip`.
        member: Which file of a `.zip`; None is its only one.

    Returns:
        `(x, y)`: uint8 `[n, side, side]` and uint8 `[n]`; None where the file has no
        labels, as Kaggle's `test.csv`.

    Raises:
        InputError: The file is damaged or holds something else; the line is named.
    """
    where = f"{path}: {member}" if member else str(path)
    try:
        with _opened(path, member) as stream:
            columns, has_header, labelled = _layout(where, stream.readline(_LONGEST_LINE))
        if not labelled:
            return None
        with _opened(path, member) as stream:
            if has_header:
                stream.readline()
            rows = _read_rows(stream, columns)
        if rows is None:
            with _opened(path, member) as stream:
                raise InputError(_first_fault(where, stream, columns, has_header))
    except _DAMAGE as error:
        raise InputError(f"{where} must be a whole file. Got: {error}. Fetch it again.") from error
    side = math.isqrt(columns - 1)
    return rows[:, 1:].reshape(-1, side, side), rows[:, 0].copy()


@contextlib.contextmanager
def _opened(path, member):
    """The file's text, whatever it is packed in."""
    with contextlib.ExitStack() as stack:
        if path.suffix.lower() == ".zip":
            archive = stack.enter_context(zipfile.ZipFile(path))
            binary = stack.enter_context(archive.open(member or _only_member(path)))
        else:
            opener = gzip.open if path.suffix.lower() == ".gz" else open
            binary = stack.enter_context(opener(path, "rb"))
        # What is no UTF-8 is no number either: the line that holds it is named.
        yield stack.enter_context(io.TextIOWrapper(binary, "utf-8-sig", errors="replace"))


def _only_member(path):
    names = members(path)
    if len(names) > 1:
        raise InputError(f"{path} must hold one .csv. Got: {', '.join(names)}. Unpack it.")
    return names[0]


def _layout(where, line):
    """`(columns, has_header, labelled)`, from a file's first line."""
    fields = [field.strip().strip('"') for field in line.split(",")]
    columns, has_header = len(fields), fields[0] not in _BYTES
    if has_header and "label" in map(str.lower, fields[1:]):
        raise InputError(f"{where} must have 'label' as its first column. Got: {fields[0][:40]!r}.")
    labelled = fields[0].lower() == "label" if has_header else not _is_square(columns)
    if columns < 2 or not _is_square(columns - labelled):
        raise InputError(
            f"{where} must have a label and the pixels of a square image a row, 785 values say, "
            f"with commas between them. Got: {columns} from the first line, {line[:40].strip()!r}."
        )
    return columns, has_header, labelled


def _is_square(count):
    return count > 0 and math.isqrt(count) ** 2 == count


def _read_rows(stream, columns):
    """uint8 `[n, columns]`, or None where the text is something else."""
    first = next((line for line in stream if line.strip()), "")
    if first.count(",") != columns - 1:  # NumPy would go by this line, and only warn of none
        return None
    try:
        rows = np.loadtxt(
            itertools.chain([first], stream), delimiter=",", dtype=np.uint8, comments=None, ndmin=2
        )
    except ValueError:
        return None
    return rows if rows.shape[1] == columns else None


def _first_fault(where, stream, columns, has_header):
    """What is wrong with the first line that is; NumPy counts rows by the chunk."""
    number = 0
    for number, line in enumerate(stream, start=1):
        fields = line.strip().split(",")
        if (number == 1 and has_header) or fields == [""]:
            continue
        if len(fields) != columns:
            return f"{where}: line {number} must have {columns} values. Got: {len(fields)}."
        wrong = [field for field in fields if field.strip() not in _BYTES]
        if wrong:
            return (
                f"{where}: line {number} must hold whole numbers from 0 to 255. "
                f"Got: {wrong[0][:40]!r}."
            )
    return f"{where} must have a row an image. Got: {number} lines and no row."
