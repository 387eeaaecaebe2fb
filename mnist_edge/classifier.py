"""Classify pictures and arrays with any model: a bundle's, an artifact, or one in memory."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

import numpy as np

from mnist_edge import (
    backend,
    bundle,
    cli,
    data,
    examples,
    images,
    manifest,
    metrics,
    models,
    runtimes,
)
from mnist_edge.errors import InputError
from mnist_edge.examples import Example, InputSpec
from mnist_edge.images.likeness import MIN_CONFIDENCE, likeness
from mnist_edge.models import opened, trained
from mnist_edge.models.opened import BundleModel
from mnist_edge.models.trained import TrainedModel
from mnist_edge.runtimes import Predictor
from mnist_edge.safety import files

if TYPE_CHECKING:
    import keras

Picture: TypeAlias = Path | str | np.ndarray
Model: TypeAlias = Union[Path, str, TrainedModel, BundleModel, Predictor, "keras.Model"]
PRETRAINED = models.PRETRAINED / "robust"
_MNIST_SHAPE, _GRAY_LEVELS = (28, 28, 1), (0.0, 255.0)
NO_DIGIT = "no digit"


@dataclasses.dataclass(frozen=True)
class Answer:
    """The prediction for one example.

    Attributes:
        picture: The file's path; with the row's number, counted from 1, if it holds several.
        line: Number of the text line that contains the digit; None if none was looked for.
        box: Its position in the picture: left, top, right, bottom, in pixels; or None.
        label: Name of the most probable class.
        probability: Its probability, 0 to 1.
        runner_up: Name of the second most probable class.
        runner_up_probability: Its probability, 0 to 1.
        image: The picture as the model sees it, in `image.pixels`, uint8 `[height, width]` or RGB;
            None if numbers were given.
        probabilities: float32 `[classes]`.
        confidence: The probability, times how much the picture looks like a digit, 0 to 1; None if
            the model was not trained on MNIST's digits.
        is_digit: Whether the confidence is high enough, or None.
    """

    picture: str
    line: int | None
    box: tuple[int, int, int, int] | None
    label: str
    probability: float
    runner_up: str
    runner_up_probability: float
    image: images.Digit | None = dataclasses.field(repr=False)
    probabilities: np.ndarray = dataclasses.field(repr=False)
    confidence: float | None = None
    is_digit: bool = True

    @property
    def digit(self) -> str:
        """The label, of a model that reads digits, or "no digit"."""
        return self.label if self.is_digit else NO_DIGIT


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A model that is ready to classify.

    Attributes:
        spec: What it takes.
        labels: Names of the classes; empty if unknown.
        predict: Maps float32 `[n, ...]` to probabilities `[n, classes]`.
        min_confidence: Answers of a lower confidence are "no digit"; None if the model was not
            trained on MNIST's digits, so that there is no confidence.
    """

    spec: InputSpec
    labels: Sequence[str]
    predict: Callable[[np.ndarray], np.ndarray]
    min_confidence: float | None = None

    def load(self, sources: Iterable[Picture], many: bool | None = None) -> list[Example]:
        """Opens pictures or numbers; digits that touch are split by this model's answers.

        Args:
            sources: As in `examples.load`.
            many: As in `read_digits`.
        """
        reads_ten = self.spec.finds_digits and self.spec.pixels and _is_ten(self.labels)
        return examples.load(sources, self.spec, many, self.predict if reads_ten else None)

    def answers(self, given: Sequence[Example]) -> list[Answer]:
        """Classifies examples."""
        values = np.stack([example.values for example in given])
        probabilities = self.predict(values)
        found = answers(given, probabilities, data.numbered(self.labels, probabilities.shape[1]))
        least = self.min_confidence
        if least is None:
            return found
        low, high = self.spec.pixels or _GRAY_LEVELS
        confidences = likeness((values - low) * (255 / (high - low))) * probabilities.max(1)
        return [
            dataclasses.replace(one, confidence=confidence, is_digit=confidence >= least)
            for one, confidence in zip(found, confidences.tolist(), strict=True)
        ]


def read_digits(
    pictures: Picture | Iterable[Picture],
    model: Model = PRETRAINED,
    many: bool | None = None,
    min_confidence: float | None = None,
) -> list[Answer]:
    """Reads the handwritten digits in pictures.

        read_digits("photo.jpg")[0].digit

    Args:
        pictures: One or more: files, folders of files, CSV files in the layout of Kaggle's
            test.csv, or arrays, uint8 `[height, width]` or `[height, width, 3 or 4]`, 0
            (black) to 255.
        model: A bundle's folder; a `.keras`, `.tflite` or `.onnx` file; the result of
            `load_model` or `open_artifact`; or a `keras.Model`.
        many: Whether to look for several digits in a picture; None for what the model finds more
            probable.
        min_confidence: As in `open_classifier`.

    Raises:
        InputError: A picture or the model can't be used.
    """
    opened_model = open_classifier(model, True, min_confidence)
    return opened_model.answers(opened_model.load(_several(pictures), many))


def classify(
    inputs: Picture | Iterable[Picture], model: Model, finds_digits: bool | None = None
) -> list[Answer]:
    """Classifies whole pictures, or numbers, with any model.

        classify("photo.jpg", "artifacts/flowers")[0].label

    Args:
        inputs: One or more: pictures, folders of pictures, `.npy`, `.npz` or CSV files of numbers,
            or arrays of them, `[n, ...]` in the model's input shape and range.
        model: As in `read_digits`.
        finds_digits: Whether to look for digits in pictures, as `read_digits` does; None if the
            model is one of digits or letters.

    Raises:
        InputError: An input or the model can't be used.
    """
    opened_model = open_classifier(model, finds_digits)
    return opened_model.answers(examples.load(_several(inputs), opened_model.spec))


def _is_ten(labels: Sequence[str]) -> bool:
    """Whether classes are the ten digits, or unnamed."""
    return not labels or list(labels) == [str(digit) for digit in range(10)]


def _several(inputs: Picture | Iterable[Picture]) -> Iterable[Picture]:
    return [inputs] if isinstance(inputs, Path | str | np.ndarray) else inputs


def open_classifier(
    model: Model, finds_digits: bool | None = None, min_confidence: float | None = None
) -> Classifier:
    """Opens a model of any kind.

    Args:
        model: As in `read_digits`.
        finds_digits: Whether to look for digits in pictures; None to decide by the model.
        min_confidence: Answers of a lower confidence are "no digit", 0 to 1; None for 0.4 if the
            records of the model's bundle say that it was trained on MNIST, else no such rule.

    Raises:
        InputError: The model can't be used, or takes no 28 x 28 gray pixels and shall find digits.
    """
    where, folder = "the model", None
    if isinstance(model, Path | str):
        where, path = str(model), Path(model)
        folder = path.parent if runtimes.is_artifact(path) else path  # the bundle
        model = _open(path, where)
    shape, ends, labels, predict = _parts(model, where)
    if finds_digits is None:
        is_trained = folder is not None and opened.is_trained_here(folder)
        is_trained |= isinstance(model, TrainedModel)
        finds_digits = examples.finds_digits(shape, labels, is_trained)
    elif finds_digits and not examples.finds_digits(shape, (), True):
        raise InputError(
            f"{where} must take images [28, 28, 1] to read digits. Got: {list(shape)}. Give "
            "another model, or whole pictures or numbers to `classify`."
        )
    least = min_confidence
    if finds_digits and least is None and _source(model, folder) == data.MNIST:
        least = MIN_CONFIDENCE
    elif least is not None and not (finds_digits and 0 <= least <= 1):
        raise InputError(
            "a least confidence must be 0 to 1, for a model that reads digits. "
            f"Got: {least:g} for {where}."
        )
    return Classifier(InputSpec(where, shape, ends, finds_digits), labels, predict, least)


def _source(
    model: "TrainedModel | BundleModel | Predictor | keras.Model", folder: Path | None
) -> str:
    """Returns the data that a model was trained on, by its records; "" if there are none."""
    if isinstance(model, BundleModel):
        return model.data.source
    if isinstance(model, TrainedModel):
        return model.record.data.source
    with contextlib.suppress(InputError):
        return manifest.read(folder, "").data.source if folder else ""
    return ""


def _open(path: Path, where: str) -> "BundleModel | Predictor | keras.Model":
    if not runtimes.is_artifact(path):
        backend.start_keras()
        return opened.open_bundle(path)
    files.require(path)
    if path.suffix != ".keras":
        with cli.native_logs_held(), _running(where):
            return runtimes.open_artifact(path)
    backend.start_keras()
    in_bundle = path.name == bundle.MODEL and any(
        (path.parent / name).is_file() for name in (bundle.TRAIN, bundle.MANIFEST)
    )
    if in_bundle:
        return opened.open_bundle(path.parent)
    model = trained.load_model(path, "Give the model as Keras saved it.")
    trained.check_classifier(path, model)
    return model


# Input shape, range of values if known, names of the classes, and the function that predicts.
_Parts: TypeAlias = tuple[
    tuple[int, ...],
    tuple[float, float] | None,
    Sequence[str],
    Callable[[np.ndarray], np.ndarray],
]


def _parts(model: "TrainedModel | BundleModel | Predictor | keras.Model", where: str) -> _Parts:
    if isinstance(model, BundleModel):
        return model.shape, model.input_range, model.labels, model.predict
    if isinstance(model, Predictor):
        known = model.metadata()
        ends, labels = (known.input.range, known.output.labels) if known else (None, ())
        return _fixed(model, where), ends, labels, lambda inputs: _run(model, where, inputs)
    if isinstance(model, TrainedModel):
        own, ends, labels = model.model, _GRAY_LEVELS, model.labels
    else:
        own, ends, labels = model, None, ()
    trained.check_classifier(where, own)
    shape = tuple(own.inputs[0].shape[1:])
    return shape, ends, labels, lambda inputs: trained.probabilities(own, inputs, where)


def _fixed(model: Predictor, where: str) -> tuple[int, ...]:
    """Returns the shape of one example of an artifact."""
    if not model.inputs:
        return _MNIST_SHAPE
    outputs = [list(one.shape) for one in model.outputs]
    if len(model.inputs) > 1 or len(outputs) > 1 or outputs[0][-1] == 1:
        raise InputError(
            f"{where} must have one input, and one output of exclusive classes. Got: "
            f"{len(model.inputs)} inputs, outputs {outputs}. Use mnist_edge.open_artifact."
        )
    shape = model.inputs[0].shape[1:]
    sides = tuple(side for side in shape if isinstance(side, int))
    if len(sides) < len(shape):
        raise InputError(
            f"{where} must take examples of a fixed shape. Got: {list(shape)}. "
            "Export it with a fixed input."
        )
    return sides


def _run(model: Predictor, where: str, inputs: np.ndarray) -> np.ndarray:
    with _running(where):
        probabilities = model.predict(inputs)
    wrong = metrics.probability_fault(probabilities, metrics.STEP)
    if wrong:
        raise InputError(f"{where} must output probabilities. Got: {wrong}. Export it again.")
    return probabilities


@contextlib.contextmanager
def _running(name: str) -> Iterator[None]:
    """Turns what a runtime raises into a one-line `InputError`."""
    try:
        yield
    except runtimes.RuntimeMissing as error:
        raise InputError(f"{name}: {error}. Install 'mnist-edge[runtimes]'.") from error
    except InputError:
        raise
    except Exception as error:  # runtimes raise various types
        raise InputError(f"{name} can't be run: {cli.in_words(error)}. Export it again.") from error


def answers(
    given: Sequence[Example], probabilities: np.ndarray, labels: Sequence[str]
) -> list[Answer]:
    """Builds answers from a model's probabilities.

    Args:
        given: The n examples.
        probabilities: `[n, classes]`.
        labels: Names of the classes.
    """
    ranked = np.argsort(-probabilities, axis=1)[:, :2].tolist()
    return [
        Answer(
            picture=example.name,
            line=example.image.line if example.image else None,
            box=example.image.box if example.image else None,
            label=labels[first],
            probability=float(row[first]),
            runner_up=labels[second],
            runner_up_probability=float(row[second]),
            image=example.image,
            probabilities=row,
        )
        for example, row, (first, second) in zip(given, probabilities, ranked, strict=True)
    ]
