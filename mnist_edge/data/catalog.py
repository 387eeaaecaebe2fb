"""Class names: of well-known data sets, and as given by the user."""

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
    """Properties of a well-known data set that its files don't contain.

    Attributes:
        labels: Names of the classes, in order; empty if they are just numbered.
        transposed: Whether its IDX and CSV files hold each image transposed.
        first_label: The smallest label in those files.
    """

    labels: tuple[str, ...] = ()
    transposed: bool = False
    first_label: int = 0

    def undo(self, pair: Pair, split: str, where: object) -> Pair:
        """Makes images upright and labels start at 0.

        Args:
            pair: Images `[n, height, width]` and labels `[n]`; of other kinds, they are returned
                unchanged.
            split: "train" or "test".
            where: The file or folder, for error messages.

        Raises:
            InputError: A label is below `first_label`.
        """
        x, y = pair
        if y.dtype.kind not in "iu" or x.ndim != 3:
            return pair
        if y.size and y.min() < self.first_label:
            raise InputError(
                f"{where}: the labels of this set start at {self.first_label}. "
                f"Got: {y.min()} in y_{split}. Rename the files if they hold another set."
            )
        return x.transpose(0, 2, 1).copy() if self.transposed else x, y - self.first_label


def _emnist(labels: str, first_label: int = 0) -> Entry:
    return Entry(tuple(labels), transposed=True, first_label=first_label)


_FASHION = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
_CIFAR100 = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
    camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile
    cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp
    lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom
    oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
    possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake
    spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
    train trout tulip turtle wardrobe whale willow_tree wolf woman worm"""
# EMNIST's balanced and by-merge sets merge upper and lower case where they look alike; these
# lower-case letters are separate classes (Cohen et al., 2017, arXiv:1702.05373).
_MERGED = string.digits + string.ascii_uppercase + "abdefghnqrt"
# Keyed by the name's lower-case letters and digits: fashion-mnist, FashionMNIST, fashion_mnist.
CATALOG = {
    "cifar100": Entry(tuple(_CIFAR100.split())),  # before cifar10, which its name starts with
    "cifar10": Entry(tuple(_CIFAR10.split())),
    "fashionmnist": Entry(tuple(_FASHION.split(","))),
    # Hiragana, romanized, as not every font has it.
    "kmnist": Entry(("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")),
    "emnistbalanced": _emnist(_MERGED),
    "emnistbymerge": _emnist(_MERGED),
    "emnistbyclass": _emnist(string.digits + string.ascii_uppercase + string.ascii_lowercase),
    "emnistletters": _emnist(string.ascii_uppercase, first_label=1),
    "emnistdigits": _emnist(string.digits),
    "emnistmnist": _emnist(string.digits),
}


def find(*names: str) -> Entry:
    """Returns the entry of the first of `names` that contains a known name, else an empty entry."""
    for name in names:
        squashed = re.sub("[^a-z0-9]", "", name.lower())
        for key, entry in CATALOG.items():
            if key in squashed:
                return entry
    return Entry()


def find_by_file(name: str, path: Path) -> Entry:
    """Returns the entry of the data set that a file belongs to, by its own or its folder's name.

    Args:
        name: Name of the data set, or of the file inside its archive; takes precedence.
        path: The file.
    """
    folder = path.resolve().parent
    if folder.name == "raw":  # torchvision's FashionMNIST/raw
        folder = folder.parent
    return find(Path(name).name, path.name, folder.name)


def numbered(names: Sequence[str], count: int) -> tuple[str, ...]:
    """Returns the first `count` of `names`; if they are too few, the numbers from 0 instead."""
    return tuple(names[:count]) if len(names) >= count else tuple(map(str, range(count)))


def name_classes(labels: str | Sequence[str], count: int) -> tuple[str, ...]:
    """Returns the names of `count` classes; arguments and errors as in `parse_labels`."""
    names = parse_labels(labels)
    if len(names) != count:
        raise InputError(
            f"--labels must name {count} classes, one per label of the data. Got: {len(names)}, "
            f"{', '.join(names[:12])}{', …' if len(names) > 12 else ''}."
        )
    return names


def parse_labels(labels: str | Sequence[str]) -> tuple[str, ...]:
    """Parses the value of `--labels`.

    Args:
        labels: "cat,dog", the path of a file with one name per line, or a sequence of names.

    Raises:
        InputError: A name is empty or duplicated, or the file is not text.
    """
    names = labels
    if isinstance(labels, str):
        path = Path(labels)
        if "," not in labels and not path.is_file():
            raise InputError(
                "--labels must be names separated by commas, or a file with one name per "
                f"line. Got: {labels}, which is not a file."
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
    invalid = sorted(name for name, count in counts.items() if count > 1 or not name)
    if invalid:
        raise InputError(f"--labels must be distinct names, none empty. Got: {invalid[0]!r}.")
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
