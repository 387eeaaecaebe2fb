"""Data sets known by their names: what their classes are called, and EMNIST's oddities."""

import collections
import dataclasses
import re
import string
from pathlib import Path

from mnist_edge.errors import InputError

# EMNIST's balanced and by-merge sets join a letter's two cases where they look alike;
# these small letters stay classes of their own (Cohen et al., 2017, arXiv:1702.05373).
_SEPARATE_SMALL = "abdefghnqrt"


_LONGEST_LABEL = 200
_LABELS_BYTES = 2**22  # 65,536 names of 64 bytes


@dataclasses.dataclass(frozen=True)
class Known:
    """What is known of a data set beyond its files.

    Attributes:
        labels: Names of the classes, in order; empty where they are just numbered.
        transposed: Whether its IDX and CSV files hold each image transposed.
        first_label: The smallest label in those files.
    """

    labels: tuple[str, ...] = ()
    transposed: bool = False
    first_label: int = 0


UNKNOWN = Known()

# By letters and digits of the name alone: fashion-mnist, FashionMNIST, fashion_mnist.
KNOWN = {
    "fashionmnist": Known(
        (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        )
    ),
    # Hiragana in Latin letters, which every font has.
    "kmnist": Known(("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")),
    "emnistbalanced": Known(
        tuple(string.digits + string.ascii_uppercase + _SEPARATE_SMALL), transposed=True
    ),
    "emnistbymerge": Known(
        tuple(string.digits + string.ascii_uppercase + _SEPARATE_SMALL), transposed=True
    ),
    "emnistbyclass": Known(
        tuple(string.digits + string.ascii_uppercase + string.ascii_lowercase), transposed=True
    ),
    "emnistletters": Known(tuple(string.ascii_uppercase), transposed=True, first_label=1),
    "emnistdigits": Known(tuple(string.digits), transposed=True),
    "emnistmnist": Known(tuple(string.digits), transposed=True),
}


@dataclasses.dataclass(frozen=True)
class Raw:
    """What a reader gives.

    Attributes:
        arrays: dict of `x_train`, `y_train`, `x_test`, `y_test`, not yet checked.
        known: `Known`, what the set's name tells.
        remark: What the user should be told of how it was read, or "".
    """

    arrays: dict
    known: Known = UNKNOWN
    remark: str = ""


def of_file(name, path):
    """What a file's name, or else its folder's, tells of the data set it belongs to.

    Args:
        name: The set's name, or the file's in its archive; it speaks first.
        path: `pathlib.Path` of the file.

    Returns:
        A `Known`; `UNKNOWN` where neither name is known.
    """
    folder = path.resolve().parent
    if folder.name == "raw":  # torchvision's FashionMNIST/raw
        folder = folder.parent
    return recognize(Path(name).name, path.name, folder.name)


def recognize(*names):
    """The `Known` that the first of `names` to name one names, or `UNKNOWN`."""
    for name in names:
        squashed = re.sub("[^a-z0-9]", "", name.lower())
        for key, known in KNOWN.items():
            if key in squashed:
                return known
    return UNKNOWN


def undo_oddities(arrays, known, where):
    """Undoes what a data set's publisher did: transposed images, labels from 1.

    Args:
        arrays: dict of `x_train`, `x_test`, uint8 `[n, height, width]`, and `y_train`,
            `y_test`, uint8 `[n]`.
        known: The set's `Known`.
        where: What an error's line starts with.

    Returns:
        A dict of the same arrays, upright, with labels from 0.

    Raises:
        InputError: A label is below the first.
    """
    undone = {}
    for split in ("train", "test"):
        x, y = arrays[f"x_{split}"], arrays[f"y_{split}"]
        if y.size and y.min() < known.first_label:
            raise InputError(
                f"{where}: the labels of this set start at {known.first_label}. "
                f"Got: {y.min()} in y_{split}. Rename the files if they hold another set."
            )
        undone[f"x_{split}"] = x.transpose(0, 2, 1).copy() if known.transposed else x
        undone[f"y_{split}"] = y - known.first_label
    return undone


def parse_labels(labels):
    """Class names from what `--labels` takes.

    Args:
        labels: "cat,dog", or the path of a file with a name a line, or a sequence of names.

    Returns:
        tuple of str.

    Raises:
        InputError: A name is empty or stands twice, or the file is not text.
    """
    names = labels
    if isinstance(labels, str):
        path = Path(labels)
        if "," not in labels and not path.is_file():
            raise InputError(
                f"--labels must be names with commas between them, or a file with a name a "
                f"line. Got: {labels}, which is no file."
            )
        names = _read_lines(path) if path.is_file() else labels.split(",")
    names = tuple(str(name).strip() for name in names)
    odd = [name for name in names if not name.isprintable() or len(name) > _LONGEST_LABEL]
    if odd:
        raise InputError(
            f"--labels must be printable names of at most {_LONGEST_LABEL} characters. "
            f"Got: {odd[0][:_LONGEST_LABEL]!a}."
        )
    counts = collections.Counter(names)
    twice = sorted(name for name, count in counts.items() if count > 1 or not name)
    if twice:
        raise InputError(f"--labels must be different names, none empty. Got twice: {twice[0]!r}.")
    return names


def _read_lines(path):
    size = path.stat().st_size
    if size > _LABELS_BYTES:
        raise InputError(
            f"{path} must hold a name a line, at most {_LABELS_BYTES:,} bytes. Got: {size:,}."
        )
    try:
        return path.read_text(encoding="utf-8-sig").strip().splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} must be a text file in UTF-8. Got: {error}.") from error
