"""Names of classes: those of data sets known by their own name, and those that a user gives."""

import collections
import dataclasses
import re
import string
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mnist_edge.errors import InputError

Pair = tuple[np.ndarray, np.ndarray]  # images and their labels
_LONGEST_LABEL = 200
_LABELS_BYTES = 2**22  # 65,536 names of 64 bytes


@dataclasses.dataclass(frozen=True)
class Entry:
    """What is known of a data set beyond its files.

    Attributes:
        labels: Names of the classes, in order; empty where they are just numbered.
        transposed: Whether its IDX and CSV files hold each image transposed.
        first_label: The smallest label in those files.
    """

    labels: tuple[str, ...] = ()
    transposed: bool = False
    first_label: int = 0

    def undo(self, pair: Pair, split: str, where: object) -> Pair:
        """Undoes what the set's publisher did: transposed images, labels from 1.

        Args:
            pair: uint8 `[n, height, width]` and uint8 `[n]`.
            split: "train" or "test".
            where: What an error's line starts with.

        Raises:
            InputError: A label is below the first.
        """
        x, y = pair
        if y.size and y.min() < self.first_label:
            raise InputError(
                f"{where}: the labels of this set start at {self.first_label}. "
                f"Got: {y.min()} in y_{split}. Rename the files if they hold another set."
            )
        return x.transpose(0, 2, 1).copy() if self.transposed else x, y - self.first_label


def _emnist(labels: str, first_label: int = 0) -> Entry:
    return Entry(tuple(labels), transposed=True, first_label=first_label)


_FASHION = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
# EMNIST's balanced and by-merge sets join a letter's two cases where they look alike;
# these small letters stay classes of their own (Cohen et al., 2017, arXiv:1702.05373).
_MERGED = string.digits + string.ascii_uppercase + "abdefghnqrt"
# By letters and digits of the name alone: fashion-mnist, FashionMNIST, fashion_mnist.
CATALOG = {
    "fashionmnist": Entry(tuple(_FASHION.split(","))),
    # Hiragana in Latin letters, which every font has.
    "kmnist": Entry(("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")),
    "emnistbalanced": _emnist(_MERGED),
    "emnistbymerge": _emnist(_MERGED),
    "emnistbyclass": _emnist(string.digits + string.ascii_uppercase + string.ascii_lowercase),
    "emnistletters": _emnist(string.ascii_uppercase, first_label=1),
    "emnistdigits": _emnist(string.digits),
    "emnistmnist": _emnist(string.digits),
}


def find(*names: str) -> Entry:
    """The entry of the first of `names` that names a data set; an empty one where none does."""
    for name in names:
        squashed = re.sub("[^a-z0-9]", "", name.lower())
        for key, entry in CATALOG.items():
            if key in squashed:
                return entry
    return Entry()


def find_by_file(name: str, path: Path) -> Entry:
    """The entry of the data set that a file belongs to, by its name or else its folder's.

    Args:
        name: The set's name, or the file's in its archive; it speaks first.
        path: The file.
    """
    folder = path.resolve().parent
    if folder.name == "raw":  # torchvision's FashionMNIST/raw
        folder = folder.parent
    return find(Path(name).name, path.name, folder.name)


def numbered(names: Sequence[str], count: int) -> tuple[str, ...]:
    """`count` names of classes: the first of `names`, or the numbers where they are too few."""
    return tuple(names[:count]) if len(names) >= count else tuple(map(str, range(count)))


def name_classes(labels: str | Sequence[str], count: int) -> tuple[str, ...]:
    """Names of `count` classes from what `--labels` takes; errors as `parse_labels`'s."""
    names = parse_labels(labels)
    if len(names) != count:
        raise InputError(
            f"--labels must name {count} classes, one per label of the data. Got: {len(names)}, "
            f"{', '.join(names[:12])}{', …' if len(names) > 12 else ''}."
        )
    return names


def parse_labels(labels: str | Sequence[str]) -> tuple[str, ...]:
    """Class names from what `--labels` takes.

    Args:
        labels: "cat,dog", or the path of a file with one name per line, or the names.

    Raises:
        InputError: A name is empty or stands twice, or the file is not text.
    """
    names = labels
    if isinstance(labels, str):
        path = Path(labels)
        if "," not in labels and not path.is_file():
            raise InputError(
                "--labels must be names with commas between them, or a file with one name per "
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


def _read_lines(path: Path) -> list[str]:
    size = path.stat().st_size
    if size > _LABELS_BYTES:
        raise InputError(
            f"{path} must hold one name per line, at most {_LABELS_BYTES:,} bytes. Got: {size:,}."
        )
    try:
        return path.read_text(encoding="utf-8-sig").strip().splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} must be a text file in UTF-8. Got: {error}.") from error
