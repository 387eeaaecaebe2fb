"""Read handwritten digits in pictures, with the packaged model or one of your own.

    python -m mnist_edge.predict photo.jpg
    python -m mnist_edge.predict scans/ --csv > answers.csv
    python -m mnist_edge.predict page.png --many --show seen.png
    python -m mnist_edge.predict photo.jpg --model artifacts/edge/tflite-int8.tflite
    python -m mnist_edge.predict test.csv --submission submission.csv

A picture may be of any size and colors, dark on light or light on dark, drawn, scanned
or photographed; it shows one digit, or several that don't touch (--many). The answer is
the digit, the model's probability for it, and the runner-up. Where an answer surprises,
--show draws what the model saw.
"""

import csv
import dataclasses
import io
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from mnist_edge import backend, bundle, cli, images, metrics, models, runtimes
from mnist_edge.cli import setting
from mnist_edge.errors import InputError
from mnist_edge.images import sheet
from mnist_edge.models import trained
from mnist_edge.safety import files, supervise

PRETRAINED = models.PRETRAINED / "edge"


@dataclasses.dataclass(frozen=True)
class PredictSettings:
    """The settings of one prediction, and every default of the command line."""

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
        None, "also draw what the model saw beside the original", metavar="FILE.png"
    )
    submission: Path | None = setting(
        None, "write Kaggle's ImageId,Label instead of printing a table", metavar="FILE.csv"
    )

    def __post_init__(self):
        chosen = [name for name in ("json", "csv", "submission") if getattr(self, name)]
        if len(chosen) > 1:
            raise InputError(
                f"one form of answer is possible. Got: --{' and --'.join(chosen)}. Choose one."
            )
        if self.submission and self.many:
            raise InputError("--submission takes one digit an image. Got: --many. Leave it out.")
        if self.show and self.show.suffix.lower() != ".png":
            raise InputError(f"--show must end in .png. Got: {self.show}.")


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the model says of one digit; the columns of every form of answer.

    Attributes:
        picture: The file; of a CSV with the row's number.
        line: Number of the line that the digit stands in; None in a CSV.
        box: Where it is in the picture: left, top, right, bottom, in pixels; None in a CSV.
        digit: Name of the likeliest class.
        probability: Of it, 0 to 1.
        runner_up: Name of the second likeliest class.
        runner_up_probability: Of that.
    """

    picture: str
    line: int | None
    box: tuple[int, int, int, int] | None
    digit: str
    probability: float
    runner_up: str
    runner_up_probability: float


def read_digits(
    pictures: Iterable[Path | str], model: Path | str = PRETRAINED, many: bool = False
) -> list[Answer]:
    """Reads the handwritten digits in pictures.

    Args:
        pictures: Files, folders of files, or CSV files in the layout of Kaggle's test.csv.
        model: A bundle's folder, or a `.keras`, `.tflite` or `.onnx` file.
        many: Whether to look for several digits in a picture.

    Raises:
        InputError: A picture or the model can't be used.
    """
    return read(PredictSettings(tuple(map(Path, pictures)), Path(model), many))[1]


def read(settings: PredictSettings) -> tuple[list[images.Digit], list[Answer], np.ndarray]:
    """What the model sees, what it says of it, and its probabilities, `[n, classes]`."""
    digits = images.load(settings.images, settings.many)
    pixels = np.stack([digit.pixels for digit in digits])[..., None].astype(np.float32)
    model = settings.model or PRETRAINED
    ask = _ask_file if runtimes.is_artifact(model) else _ask_bundle
    probabilities, labels = ask(model, pixels)
    return digits, answers(digits, probabilities, labels), probabilities


def _ask_bundle(folder: Path, pixels: np.ndarray) -> tuple[np.ndarray, Sequence[str]]:
    """A bundle's Keras model, once its hash is checked: probabilities, names of classes."""
    backend.start_keras()
    opened = trained.open_bundle(folder)
    _check_shape(folder, opened.shape)
    return trained.probabilities(opened.model, pixels, folder), opened.labels


def _ask_file(path: Path, pixels: np.ndarray) -> tuple[np.ndarray, Sequence[str]]:
    """A file in its runtime: probabilities, and numbers for names."""
    files.require(path)
    try:
        opened = runtimes.open_artifact(path)
        if opened.input:
            _check_shape(path, opened.input.shape[1:])
        found = opened.predict(pixels)
    except runtimes.RuntimeMissing as error:
        raise InputError(f"{path}: {error}. Install 'mnist-edge[runtimes]'.") from error
    except InputError:
        raise
    except Exception as error:  # a runtime raises whatever it stumbles on
        raise InputError(f"{path} can't be run: {cli.in_words(error)}. Export it again.") from error
    wrong = metrics.no_probabilities(found, metrics.STEP)
    if wrong:
        raise InputError(f"{path} must give probabilities. Got: {wrong}. Export it again.")
    return found, range(found.shape[1])


def _check_shape(path: Path, shape: Sequence[int]) -> None:
    if tuple(shape) != (28, 28, 1):
        raise InputError(
            f"{path} must take images [28, 28, 1]. Got: {list(shape)}. Give another model."
        )


def answers(digits, probabilities, labels):
    """What probabilities say, in words.

    Args:
        digits: `images.Digit`s, n of them.
        probabilities: `[n, classes]`.
        labels: Names of the classes.

    Returns:
        A list of `Answer`.
    """
    ranked = np.argsort(-probabilities, axis=1)[:, :2].tolist()
    return [
        Answer(
            picture=digit.name,
            line=digit.line,
            box=digit.box,
            digit=str(labels[first]),
            probability=float(row[first]),
            runner_up=str(labels[second]),
            runner_up_probability=float(row[second]),
        )
        for digit, row, (first, second) in zip(digits, probabilities, ranked, strict=True)
    ]


def as_table(found):
    """Answers as a table, a line a digit; ends with what each picture of several reads."""
    lines = [("picture", "digit", "probability", "runner-up", "its probability")]
    lines += [
        (
            *(cli.printable(a.picture), a.digit, f"{a.probability:.2%}"),
            *(a.runner_up, f"{a.runner_up_probability:.2%}"),
        )
        for a in found
    ]
    first, *others = (max(map(len, column)) for column in zip(*lines, strict=True))
    table = ["  ".join([line[0].ljust(first), *map(str.rjust, line[1:], others)]) for line in lines]
    return "\n".join(table + _readings(found))


def _readings(found):
    """A line each picture in which several digits were found: what it reads."""
    rows = {}
    for a in found:
        rows.setdefault(a.picture, {}).setdefault(a.line, []).append(a.digit)
    return [
        f"{cli.printable(picture)} reads {' / '.join(''.join(row) for row in lines.values())}"
        for picture, lines in rows.items()
        if sum(map(len, lines.values())) > 1
    ]


def as_json(found):
    """Answers as a JSON array, an object a digit."""
    return json.dumps([dataclasses.asdict(answer) for answer in found], indent=2)


def as_csv(found):
    """Answers as CSV with a header; a box is four numbers with spaces between.

    A file's name is in it as a terminal shows it; JSON has it exactly.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in dataclasses.fields(Answer))
    for answer in found:
        row = dataclasses.asdict(answer)
        shown = {
            "picture": cli.printable(answer.picture),
            "box": " ".join(map(str, answer.box or ())),
        }
        writer.writerow((row | shown).values())
    return text.getvalue().rstrip("\n")


def write_submission(choices, path):
    """Writes Kaggle's `ImageId,Label`, whole or not at all.

    Args:
        choices: Integers `[n]`, the class of each image in order.
        path: Of the file.
    """
    rows = [f"{i},{choice}" for i, choice in enumerate(choices, start=1)]
    bundle.write_file(path, ("\n".join(["ImageId,Label", *rows]) + "\n").encode())


@cli.command
def main(argv=None):
    """Parses `argv`, reads the pictures, prints the answers; returns the exit status."""
    settings = cli.parse_settings(PredictSettings, __doc__, argv, positional=["images"])
    digits, found, probabilities = read(settings)
    if settings.submission:
        write_submission(probabilities.argmax(1), settings.submission)
        print(f"written: {cli.printable(settings.submission)}, {len(found):,} images")
    else:
        form = as_json if settings.json else as_csv if settings.csv else as_table
        print(form(found))
    if settings.show:
        sheet.draw(digits, found, settings.show)
        print(f"written: {cli.printable(settings.show)}", file=sys.stderr)
    return cli.OK


if __name__ == "__main__":
    sys.exit(supervise.run(main))
