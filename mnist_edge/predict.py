"""Read handwritten digits in pictures, with the packaged model or your own.

    python -m mnist_edge.predict photo.jpg
    python -m mnist_edge.predict scans/ --csv > answers.csv
    python -m mnist_edge.predict page.png --many --show seen.png
    python -m mnist_edge.predict photo.jpg --model artifacts/edge/tflite-int8.tflite
    python -m mnist_edge.predict test.csv --submission submission.csv

Pictures may have any size and colors, dark on light or light on dark, drawn, scanned or
photographed. They show one digit, or several that don't touch (--many). The output is the
digit, its probability, and the runner-up. --show draws the model's input for inspection.
"""

import contextlib
import csv
import dataclasses
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

import numpy as np

from mnist_edge import backend, cli, data, images, metrics, models, runtimes, staging
from mnist_edge.cli import setting
from mnist_edge.errors import InputError
from mnist_edge.images import sheet
from mnist_edge.models import trained
from mnist_edge.models.trained import TrainedModel
from mnist_edge.runtimes import Predictor
from mnist_edge.safety import files, supervise

if TYPE_CHECKING:
    import keras

Picture: TypeAlias = Path | str | np.ndarray
Model: TypeAlias = Union[Path, str, TrainedModel, Predictor, "keras.Model"]
PRETRAINED = models.PRETRAINED / "edge"


@dataclasses.dataclass(frozen=True)
class PredictSettings:
    """Settings of `predict`."""

    images: tuple[Path, ...] = setting(
        None,
        "a picture (PNG, JPEG, ...), a folder of pictures, or Kaggle's test.csv; one or more",
        nargs="+",
        metavar="IMAGE",
    )
    model: Path | None = setting(
        None, "bundle's folder, or a .keras, .tflite or .onnx file (default: the packaged `edge`)"
    )
    many: bool = setting(False, "look for several digits in a picture, line by line")
    json: bool = setting(False, "print JSON instead of the table")
    csv: bool = setting(False, "print CSV instead of the table")
    show: Path | None = setting(
        None, "also draw each original beside the model's input", metavar="FILE.png"
    )
    submission: Path | None = setting(
        None, "write Kaggle's ImageId,Label instead of printing a table", metavar="FILE.csv"
    )

    def __post_init__(self) -> None:
        chosen = [name for name in ("json", "csv", "submission") if getattr(self, name)]
        if len(chosen) > 1:
            raise InputError(
                f"only one output format can be given. Got: --{' and --'.join(chosen)}. Choose one."
            )
        if self.submission and self.many:
            raise InputError("--submission takes one digit per image. Got: --many. Leave it out.")
        if self.show and self.show.suffix.lower() != ".png":
            raise InputError(f"--show must end in .png. Got: {self.show}.")


@dataclasses.dataclass(frozen=True)
class Answer:
    """The prediction for one digit. JSON and CSV have all fields but the last two.

    Attributes:
        picture: The file's path; for a CSV, with the row's number.
        line: Number of the text line that contains the digit; None for a CSV.
        box: Its position in the picture: left, top, right, bottom, in pixels; None for a CSV.
        digit: Name of the most probable class.
        probability: Its probability, 0 to 1.
        runner_up: Name of the second most probable class.
        runner_up_probability: Its probability, 0 to 1.
        image: The prepared digit; `image.pixels`, uint8 `[28, 28]`, is the model's input.
        probabilities: float32 `[classes]`.
    """

    picture: str
    line: int | None
    box: tuple[int, int, int, int] | None
    digit: str
    probability: float
    runner_up: str
    runner_up_probability: float
    image: images.Digit = dataclasses.field(repr=False)
    probabilities: np.ndarray = dataclasses.field(repr=False)


_COLUMNS = tuple(field.name for field in dataclasses.fields(Answer) if field.repr)


def read_digits(
    pictures: Picture | Iterable[Picture], model: Model = PRETRAINED, many: bool = False
) -> list[Answer]:
    """Reads the handwritten digits in pictures.

        read_digits("photo.jpg")[0].digit

    Args:
        pictures: One or more: files, folders of files, CSV files in the layout of Kaggle's
            test.csv, or arrays, uint8 `[height, width]` or `[height, width, 3 or 4]`, 0
            (black) to 255.
        model: A bundle's folder; a `.keras`, `.tflite` or `.onnx` file; the result of
            `load_model` or `open_artifact`; or a `keras.Model`.
        many: Whether to look for several digits in a picture.

    Raises:
        InputError: A picture or the model can't be used.
    """
    if isinstance(pictures, Path | str | np.ndarray):
        pictures = [pictures]
    digits = images.load(pictures, many)
    pixels = np.stack([digit.pixels for digit in digits])[..., None].astype(np.float32)
    return answers(digits, *_predict(model, pixels))


def _predict(model: Model, pixels: np.ndarray) -> tuple[np.ndarray, Sequence[str]]:
    """Returns probabilities, `[n, classes]`, and the names of the classes."""
    name = str(model) if isinstance(model, Path | str) else "the model"
    if isinstance(model, Path | str) and runtimes.is_artifact(model):
        files.require(model)
        with _running(name):
            model = runtimes.open_artifact(model)
    elif isinstance(model, Path | str):
        backend.start_keras()
        model = trained.open_bundle(Path(model))
    if isinstance(model, Predictor):
        return _run(model, name, pixels)
    labels = model.labels if isinstance(model, TrainedModel) else None
    model = model.model if isinstance(model, TrainedModel) else model
    trained.check_classifier(name, model)
    _check_shape(name, model.inputs[0].shape[1:])
    probabilities = trained.probabilities(model, pixels, name)
    return probabilities, labels or data.numbered((), probabilities.shape[1])


def _run(model: Predictor, name: str, pixels: np.ndarray) -> tuple[np.ndarray, Sequence[str]]:
    with _running(name):
        if model.inputs:
            _check_shape(name, model.inputs[0].shape[1:])
        probabilities = model.predict(pixels)
    wrong = metrics.probability_fault(probabilities, metrics.STEP)
    if wrong:
        raise InputError(f"{name} must output probabilities. Got: {wrong}. Export it again.")
    return probabilities, data.numbered((), probabilities.shape[1])


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


def _check_shape(name: str, shape: Sequence[int | str | None]) -> None:
    if tuple(shape) != (28, 28, 1):
        raise InputError(
            f"{name} must take images [28, 28, 1]. Got: {list(shape)}. Give another model."
        )


def answers(
    digits: Sequence[images.Digit], probabilities: np.ndarray, labels: Sequence[str]
) -> list[Answer]:
    """Builds answers from a model's probabilities.

    Args:
        digits: The n prepared digits.
        probabilities: `[n, classes]`.
        labels: Names of the classes.
    """
    ranked = np.argsort(-probabilities, axis=1)[:, :2].tolist()
    return [
        Answer(
            picture=digit.name,
            line=digit.line,
            box=digit.box,
            digit=labels[first],
            probability=float(row[first]),
            runner_up=labels[second],
            runner_up_probability=float(row[second]),
            image=digit,
            probabilities=row,
        )
        for digit, row, (first, second) in zip(digits, probabilities, ranked, strict=True)
    ]


def as_table(results: Sequence[Answer]) -> str:
    """Formats one line per digit, then a summary per picture with several digits."""
    lines = [("picture", "digit", "probability", "runner-up", "its probability")]
    lines += [
        (
            *(cli.printable(a.picture), a.digit, f"{a.probability:.2%}"),
            *(a.runner_up, f"{a.runner_up_probability:.2%}"),
        )
        for a in results
    ]
    first, *others = (max(map(len, column)) for column in zip(*lines, strict=True))
    table = ["  ".join([line[0].ljust(first), *map(str.rjust, line[1:], others)]) for line in lines]
    return "\n".join(table + _summaries(results))


def _summaries(results: Sequence[Answer]) -> list[str]:
    """Returns the digits of each picture with several, one text per picture."""
    rows: dict[str, dict[int | None, list[str]]] = {}
    for a in results:
        rows.setdefault(a.picture, {}).setdefault(a.line, []).append(a.digit)
    return [
        f"{cli.printable(picture)} reads {' / '.join(''.join(row) for row in lines.values())}"
        for picture, lines in rows.items()
        if sum(map(len, lines.values())) > 1
    ]


def as_json(results: Sequence[Answer]) -> str:
    """Formats a JSON array with one object per digit."""
    rows = [{name: getattr(answer, name) for name in _COLUMNS} for answer in results]
    return json.dumps(rows, indent=2)


def as_csv(results: Sequence[Answer]) -> str:
    """Formats CSV with a header; a box is four numbers separated by spaces.

    Unprintable characters in file names are replaced; JSON has the exact names.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for answer in results:
        box = " ".join(map(str, answer.box or ()))
        shown = dataclasses.replace(answer, picture=cli.printable(answer.picture))
        writer.writerow(box if name == "box" else getattr(shown, name) for name in _COLUMNS)
    return text.getvalue().rstrip("\n")


def write_submission(choices: Iterable[int], path: Path) -> None:
    """Atomically writes a Kaggle submission, `ImageId,Label`.

    Args:
        choices: The predicted class of each image, in order.
        path: The file.
    """
    rows = [f"{i},{choice}" for i, choice in enumerate(choices, start=1)]
    staging.write_file(path, ("\n".join(["ImageId,Label", *rows]) + "\n").encode())


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Parses `argv`, reads the pictures, prints the answers; returns the exit status."""
    settings = cli.parse_settings(PredictSettings, __doc__, argv, positional=["images"])
    results = read_digits(settings.images, settings.model or PRETRAINED, settings.many)
    if settings.submission:
        write_submission((int(a.probabilities.argmax()) for a in results), settings.submission)
        print(f"written: {cli.printable(settings.submission)}, {len(results):,} images")
    else:
        form = as_json if settings.json else as_csv if settings.csv else as_table
        print(form(results))
    if settings.show:
        sheet.draw(results, settings.show)
        print(f"written: {cli.printable(settings.show)}", file=sys.stderr)
    return cli.OK


if __name__ == "__main__":
    sys.exit(supervise.run(main))
