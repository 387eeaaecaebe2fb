"""Read folders of pictures, one folder per class. Needs NumPy and Pillow."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

from mnist_edge.data.catalog import Pair
from mnist_edge.errors import InputError
from mnist_edge.safety import files

if TYPE_CHECKING:
    from PIL import Image

_SPLITS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "val", "valid", "validation"),
}
_GRAY_MODES = ("1", "L", "LA")
_DEPTHS = ("I", "F")  # first letters of modes of more than 8 bits


class Example(NamedTuple):
    """A picture and its label; `content` is None for a file that is read by its path."""

    path: Path
    label: str | int
    content: IO[bytes] | None = None


def classes(folder: Path) -> list[Path]:
    """Returns the folders of the classes in a folder, sorted by name, as Keras does."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._")


def read(folder: Path) -> tuple[Pair, Pair | None]:
    """Reads a folder of pictures.

    Args:
        folder: With one folder per class, or with `train` and `test` (or `val`) of that kind.

    Returns:
        The training and the test set, or one set and None; each as in `load`.

    Raises:
        InputError: There is no such folder of pictures, the test set has another class, or as in
            `load`.
    """
    inner = {path.name.lower(): path for path in classes(folder)}
    train, test = (
        next((inner[name] for name in names if name in inner), None) for names in _SPLITS.values()
    )
    if train is None or test is None:
        return load(list(_listed(train or folder))), None
    sets = [list(_listed(part)) for part in (train, test)]
    extra = {str(one.label) for one in sets[1]} - {str(one.label) for one in sets[0]}
    if extra:
        raise InputError(
            f"{test} must hold the classes of {train}. Got: {files.short(', '.join(extra))}. "
            "Add that class to both, or remove it."
        )
    together = load([*sets[0], *sets[1]])
    count = len(sets[0])
    (x, y) = together
    return (x[:count], y[:count]), (x[count:], y[count:])


def _listed(folder: Path) -> Iterator[Example]:
    from mnist_edge.images import pictures  # imports this package

    inner = classes(folder)
    if not inner:
        raise InputError(
            f"{folder} must hold one folder per class and does not. Give CLASS/picture.png inside."
        )
    for path in inner:
        for picture in pictures.listed(path):
            yield Example(picture, path.name)


def load(examples: Sequence[Example]) -> Pair:
    """Opens pictures of one size.

    Returns:
        uint8 `[n, height, width]` if all are gray, else `[n, height, width, 3]`, RGB; and the
        labels. Transparency is ignored.

    Raises:
        InputError: A picture is damaged, of another size or of more than 8 bits per channel, or
            they take too much memory.
    """
    from mnist_edge.images import pictures

    looks = [pictures.decode(one.path, _look, one.content) for one in examples]
    size = looks[0][0]
    for one, (other, _) in zip(examples, looks, strict=True):
        if other != size:
            raise InputError(
                f"{one.path} must have {size[0]} x {size[1]} pixels, as {examples[0].path.name}. "
                f"Got: {other[0]} x {other[1]}. Resize all pictures to one size."
            )
    mode = "L" if all(is_gray for _, is_gray in looks) else "RGB"
    shape = (len(examples), size[1], size[0], *([3] if mode == "RGB" else []))
    needed = files.data_bytes(int(np.prod(shape)))
    where = f"{examples[0].path.parent.parent}: the pictures"
    files.require_room(where, needed, remedy="Give fewer or smaller ones.")
    x = np.empty(shape, np.uint8)
    for index, one in enumerate(examples):
        x[index] = pictures.decode(
            one.path, lambda image: np.asarray(image.convert(mode)), one.content
        )
    return x, np.array([one.label for one in examples])


def _look(image: "Image.Image") -> tuple[tuple[int, int], bool]:
    """Returns the size of a picture, and whether it is gray."""
    if image.mode.startswith(_DEPTHS):
        raise ValueError("more than 8 bits per channel")
    return image.size, image.mode in _GRAY_MODES
