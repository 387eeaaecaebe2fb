"""Pictures and arrays as a model takes them: what a user gives to `predict`.

A model that reads digits gets each digit of a picture as MNIST has them. Other models get the
whole picture, resized; or numbers from an `.npy`, `.npz` or `.csv`, unchanged.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from mnist_edge import data, drawing, images
from mnist_edge.data import csv_files, npz
from mnist_edge.errors import InputError
from mnist_edge.images import Digit, pictures
from mnist_edge.images.split import Read
from mnist_edge.safety import files

_DIGIT_SHAPES = ((28, 28, 1), (28, 28), (784,))
_TABLES = (".npy", ".npz", ".csv", ".gz")
_NPZ_NAMES = ("x", "x_test", "images")  # of the array to read, if there are several
# Usual ranges that pixels from 0 to 255 are scaled to.
_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
# Ratio of largest values above which two sets differ in scale: 1 against 255, not 200 against 255.
_OTHER_SCALE = 10


@dataclasses.dataclass(frozen=True)
class Example:
    """One input of a model.

    Attributes:
        name: The file's path; with the row's number, counted from 1, if it holds several.
        values: float32, in the model's input shape.
        image: The picture as the model sees it; None for numbers.
    """

    name: str
    values: np.ndarray
    image: Digit | None = None


@dataclasses.dataclass(frozen=True)
class InputSpec:
    """What a model takes.

    Attributes:
        where: The model's name in error messages.
        shape: Shape of one example.
        range: Smallest and largest value of the training examples; None if unknown.
        finds_digits: Whether pictures are searched for digits, instead of resized.
    """

    where: str
    shape: tuple[int, ...]
    range: tuple[float, float] | None
    finds_digits: bool

    @property
    def pixels(self) -> tuple[float, float] | None:
        """The values of black and white; None if unknown, or the examples were no pixels."""
        if self.range is None:
            return (0.0, 255.0) if self.finds_digits else None
        return pixel_range(self.range)

    def scaled(self, digit: Digit) -> Example:
        """Converts a picture's pixels, uint8 `[height, width]` or RGB, to one input."""
        if self.pixels is None:
            remedy = "" if self.range else "the bundle's folder, which has their range, or "
            raise InputError(
                f"{digit.name} can't be scaled as the training data of {self.where} were. Give "
                f"{remedy}numbers that are, {self.wanted}: an .npy, .npz or .csv."
            )
        return Example(digit.name, self.values(digit.pixels), digit)

    def values(self, pixels: np.ndarray) -> np.ndarray:
        """Converts uint8 `[height, width]` or RGB to one input; the range must be known."""
        low, high = self.pixels or (0.0, 255.0)
        values = low + pixels.astype(np.float32) * ((high - low) / 255)
        return data.as_inputs(values[None], self.shape)[0]

    @property
    def wanted(self) -> str:
        """What numbers it takes, in words: shape and range."""
        ends = f", {self.range[0]:g} to {self.range[1]:g}" if self.range else ""
        return f"[n, {', '.join(map(str, self.shape))}]{ends}"


def pixel_range(trained: tuple[float, float]) -> tuple[float, float] | None:
    """Returns the values of black and white; None if the values in training were no pixels.

    Args:
        trained: Smallest and largest value of the training examples.
    """
    low, high = trained
    return next((ends for ends in _RANGES if ends[0] <= low and high <= ends[1]), None)


def finds_digits(shape: Sequence[int], labels: Sequence[str], is_trained_here: bool) -> bool:
    """Whether pictures for a model are searched for digits.

    That is so if it takes 28 x 28 gray pixels and was trained by this project, which trains on
    digits and letters, or each of its classes has a name of one character or none is known.
    """
    is_character = all(len(name) == 1 for name in labels)
    return tuple(shape) in _DIGIT_SHAPES and (is_trained_here or is_character)


def load(
    sources: Iterable[Path | str | np.ndarray],
    spec: InputSpec,
    many: bool | None = False,
    predict: Callable[[np.ndarray], np.ndarray] | None = None,
) -> list[Example]:
    """Opens pictures or arrays for a model.

    Args:
        sources: Pictures, folders of pictures, `.npy`, `.npz` or CSV files, or arrays: for a model
            that finds digits as in `images.load`, else numbers `[n, ...]`, or one example.
        spec: What the model takes.
        many: Whether to look for several digits in a picture, as in `images.prepare`.
        predict: Maps inputs, float32 `[n, ...]`, to probabilities `[n, classes]`, to find several
            digits by; not used for classes other than the ten digits.

    Raises:
        InputError: A file is missing, damaged, or not what the model takes.
    """
    if many and not spec.finds_digits:
        raise InputError(
            f"--many looks for digits, and {spec.where} reads whole pictures or rows. Leave it out."
        )
    read = _reader(spec, predict) if predict else None
    return [example for source in sources for example in _load_one(source, spec, many, read)]


def _reader(spec: InputSpec, predict: Callable[[np.ndarray], np.ndarray]) -> Read:
    """Returns a function that reads pixels, uint8 `[n, 28, 28]`."""

    def read(pixels: np.ndarray) -> np.ndarray:
        return predict(np.stack([spec.values(one) for one in pixels]))

    return read


def require_range(
    values: np.ndarray, trained: tuple[float, float] | None, where: str, is_set: bool = True
) -> None:
    """Raises `InputError` if examples are scaled unlike those of a model's training.

    Args:
        values: The examples.
        trained: Smallest and largest value of the training examples; None if unknown.
        where: Name of the examples in the error message.
        is_set: Whether they are many, so that small values are not by chance.
    """
    if trained is None:
        return
    most, found = max(map(abs, trained)), float(np.abs(values).max())
    if found > _OTHER_SCALE * most or (is_set and most > _OTHER_SCALE * found):
        raise InputError(
            f"{where} must be scaled as the model's training data, {trained[0]:g} to "
            f"{trained[1]:g}. Got: {values.min():g} to {values.max():g}. Scale it in the same way."
        )


def _load_one(
    source: Path | str | np.ndarray, spec: InputSpec, many: bool | None, read: Read | None
) -> Iterator[Example]:
    name = "array in memory" if isinstance(source, np.ndarray) else str(source)
    suffix = "" if isinstance(source, np.ndarray) else Path(source).suffix.lower()
    if spec.finds_digits and suffix not in (".npy", ".npz"):
        yield from map(spec.scaled, images.load([source], many, read))
    elif isinstance(source, np.ndarray):
        yield from _rows(source, name, spec)
    elif suffix in _TABLES:
        yield from _rows(_read_numbers(Path(source), suffix, spec), name, spec)
    else:
        for path in pictures.listed(Path(source)):
            yield spec.scaled(_whole(path, spec))


def _rows(values: np.ndarray, name: str, spec: InputSpec) -> Iterator[Example]:
    """Yields the rows of an array, in the model's shape."""
    values = values[None] if values.shape == spec.shape else values
    if values.dtype.kind not in "buif" or not values.size or not np.isfinite(values).all():
        raise InputError(
            f"{name} must be finite numbers, {spec.wanted}. "
            f"Got: {values.dtype} {list(values.shape)}."
        )
    try:
        inputs = data.as_inputs(values, spec.shape)
    except InputError:
        got = list(values.shape)
        raise InputError(f"{name} must be numbers, {spec.wanted}. Got: {got}.") from None
    require_range(values, spec.range, name, is_set=False)
    for number, row in enumerate(inputs, start=1):
        yield Example(f"{name}:{number}", row)


def _read_numbers(path: Path, suffix: str, spec: InputSpec) -> np.ndarray:
    remedy = f"Give one array, {spec.wanted}."
    if suffix == ".npy":
        return read_npy(path, remedy)
    if suffix == ".npz":
        names = npz.names(path, remedy)
        chosen = names if len(names) == 1 else [name for name in _NPZ_NAMES if name in names]
        if not chosen:
            raise InputError(
                f"{path} must hold one array, or one named x or x_test. "
                f"Got: {files.short(', '.join(names))}. {remedy}"
            )
        return npz.read(path, chosen[:1], remedy=remedy)[chosen[0]]
    return csv_files.read_features(path, math.prod(spec.shape))


def read_npy(path: Path, remedy: str) -> np.ndarray:
    """Reads an untrusted `.npy`; it stays mapped to the file.

    Raises:
        InputError: The file is missing, damaged, too large or no array of numbers.
    """
    files.require(path, remedy)
    try:
        # Mapped, so that a header that asks for more than the file holds allocates nothing.
        values = np.lib.format.open_memmap(path, mode="r")  # refuses objects
        needed = files.data_bytes(values.size, values.itemsize)
    except Exception as error:  # NumPy evaluates the header as Python: many types
        raise InputError(
            f"{path} must be an .npy array. Got: {files.short(error)}. {remedy}"
        ) from error
    files.require_room(path, needed, remedy="")
    return np.asarray(values)


def _whole(path: Path, spec: InputSpec) -> Digit:
    """Opens a picture and resizes it to a model's input, whose sides may have another ratio."""
    if not drawing.is_picture(spec.shape):
        raise InputError(
            f"{path} can't be resized to {list(spec.shape)}, which {spec.where} takes. Give "
            f"numbers, {spec.wanted}: an .npy, .npz or .csv."
        )
    height, width = spec.shape[:2]
    mode = "RGB" if spec.shape[2:] == (3,) else "L"
    pixels, original = pictures.decode(
        path, lambda image: pictures.resized(image, mode, (width, height))
    )
    return Digit(str(path), pixels, original)
