"""Read handwritten digits in pictures, or classify anything with a model of your own.

    python -m mnist_edge.predict photo.jpg
    python -m mnist_edge.predict scans/ --csv > answers.csv
    python -m mnist_edge.predict page.png --many --show seen.png
    python -m mnist_edge.predict photo.jpg --model artifacts/edge/tflite-int8.tflite
    python -m mnist_edge.predict test.csv --submission submission.csv
    python -m mnist_edge.predict cat.jpg --model artifacts/pets
    python -m mnist_edge.predict rows.npy --model artifacts/flowers

Pictures may have any size and colors. For a model that reads digits, they show one digit or
several, also in boxes or on ruled or squared paper, dark on light or light on dark, drawn, scanned
or photographed. --many or --no-many says whether there are several, where it is not seen rightly.
For other models, the whole picture is resized to the model's input, or numbers are read from an
.npy, .npz or .csv. The output is the class, its probability, and the runner-up. --show draws the
model's input for inspection.

A model of MNIST's digits says "no digit" where its confidence is below --min-confidence: the
probability, times how much the picture looks like any of MNIST's digits.
"""

import csv
import dataclasses
import io
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from mnist_edge import classifier, cli, staging
from mnist_edge.classifier import PRETRAINED, Answer
from mnist_edge.cli import setting
from mnist_edge.errors import InputError
from mnist_edge.images import pictures, sheet
from mnist_edge.safety import supervise

# Columns of JSON and CSV, and the fields of an answer that they hold.
_PROBABILITIES = {name: name for name in ("probability", "runner_up", "runner_up_probability")}
_DIGIT_COLUMNS = {"picture": "picture", "line": "line", "box": "box", "digit": "digit"}
_DIGIT_COLUMNS |= _PROBABILITIES | {"confidence": "confidence"}
_COLUMNS = {"input": "picture", "label": "label"} | _PROBABILITIES


@dataclasses.dataclass(frozen=True)
class PredictSettings:
    """Settings of `predict`."""

    images: tuple[Path, ...] = setting(
        None,
        "a picture (PNG, JPEG, ...), a folder of pictures, Kaggle's test.csv, or numbers for "
        "another model (.npy, .npz, .csv); one or more",
        nargs="+",
        metavar="INPUT",
    )
    model: Path | None = setting(
        None, "bundle's folder, or a .keras, .tflite or .onnx file (default: the packaged `robust`)"
    )
    digits: bool | None = setting(
        None, "find a digit in each picture, or resize the whole picture (default: by the model)"
    )
    many: bool | None = setting(
        None, "look for several digits in a picture, line by line (default: by what is seen)"
    )
    min_confidence: float | None = setting(
        None, '"no digit" is said below it (default: 0.4 for models of MNIST, else never)'
    )
    json: bool = setting(False, "print JSON instead of the table")
    csv: bool = setting(False, "print CSV instead of the table")
    show: Path | None = setting(
        None,
        "also draw boxes and answers, and each digit beside the model's input",
        metavar="FILE.png",
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


def as_table(results: Sequence[Answer], digits: bool = True) -> str:
    """Formats one line per answer, then a summary per picture with several digits.

    Args:
        results: The answers.
        digits: Whether they are digits found in pictures.
    """
    first, what = ("picture", "digit") if digits else ("input", "class")
    lines: list[tuple[str, ...]] = [
        (first, what, "probability", "runner-up", "its probability", "confidence")
    ]
    lines += [
        (
            *(cli.printable(a.picture), cli.printable(a.digit), f"{a.probability:.2%}"),
            *(cli.printable(a.runner_up), f"{a.runner_up_probability:.2%}"),
            "" if a.confidence is None else f"{a.confidence:.2%}",
        )
        for a in results
    ]
    if all(a.confidence is None for a in results):
        lines = [line[:-1] for line in lines]
    width, *others = (max(map(len, column)) for column in zip(*lines, strict=True))
    table = ["  ".join([line[0].ljust(width), *map(str.rjust, line[1:], others)]) for line in lines]
    return "\n".join(table + (_summaries(results) if digits else []))


def _summaries(results: Sequence[Answer]) -> list[str]:
    """Returns the digits of each picture with several, one text per picture."""
    rows: dict[str, dict[int | None, list[str]]] = {}
    for a in results:
        rows.setdefault(a.picture, {}).setdefault(a.line, []).append(a.label if a.is_digit else "?")
    return [
        f"{cli.printable(picture)} reads {' / '.join(''.join(row) for row in lines.values())}"
        for picture, lines in rows.items()
        if sum(map(len, lines.values())) > 1
    ]


def as_json(results: Sequence[Answer], digits: bool = True) -> str:
    """Formats a JSON array with one object per answer."""
    return json.dumps([_row(answer, digits) for answer in results], indent=2)


def as_csv(results: Sequence[Answer], digits: bool = True) -> str:
    """Formats CSV with a header; a box is four numbers separated by spaces.

    Unprintable characters in file names are replaced; JSON has the exact names.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_DIGIT_COLUMNS if digits else _COLUMNS)
    for answer in results:
        shown = dataclasses.replace(answer, picture=cli.printable(answer.picture))
        row = _row(shown, digits)
        if digits:
            row["box"] = " ".join(map(str, answer.box or ()))
        writer.writerow(row.values())
    return text.getvalue().rstrip("\n")


def _row(answer: Answer, digits: bool) -> dict[str, object]:
    columns = _DIGIT_COLUMNS if digits else _COLUMNS
    return {column: getattr(answer, field) for column, field in columns.items()}


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
    for path in settings.images:
        pictures.listed(path)  # a wrong name is told before Keras starts, which takes seconds
    opened = classifier.open_classifier(
        settings.model or PRETRAINED, settings.digits, settings.min_confidence
    )
    many = False if settings.submission else settings.many
    given = opened.load(settings.images, many)
    if settings.show and not all(example.image for example in given):
        raise InputError("--show draws pictures. Got: numbers. Leave it out.")
    results, digits = opened.answers(given), opened.spec.finds_digits
    if settings.submission:
        write_submission((int(a.probabilities.argmax()) for a in results), settings.submission)
        print(f"written: {cli.printable(settings.submission)}, {len(results):,} images")
    else:
        form = as_json if settings.json else as_csv if settings.csv else as_table
        print(form(results, digits))
    if settings.show:
        sheet.draw(results, settings.show)
        print(f"written: {cli.printable(settings.show)}", file=sys.stderr)
    return cli.OK


if __name__ == "__main__":
    sys.exit(supervise.run(main))
