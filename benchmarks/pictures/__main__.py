"""Measure how many whole strings a model reads right on rendered pictures of digits.

    python -m benchmarks.pictures
    python -m benchmarks.pictures --part validation --sheet pictures.png --model artifacts/edge
    python -m benchmarks.pictures --ocr 20  # and 20 of each kind beside Tesseract and RapidOCR

With a bundle, or a file in one, the figures are also written to its `pictures.json`, for its card.
Thresholds are chosen on pictures of validation digits, figures are of test digits. Without the
fonts of handwriting, pictures of MNIST's digits alone are rendered; without scikit-learn, its scans
are left out.
"""

import dataclasses
import functools
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mnist_edge import bundle, classifier, cli, runtimes, schema, staging
from mnist_edge.classifier import Classifier
from mnist_edge.cli import setting
from mnist_edge.errors import InputError
from mnist_edge.safety import supervise

from . import glyphs, ocr, render, scans, sheet
from .records import FILE, KindResult, PicturesReport
from .render import Rendered


@dataclasses.dataclass(frozen=True)
class PicturesSettings:
    """Settings of `benchmarks.pictures`."""

    model: Path | None = setting(None, "as for predict (default: the packaged `robust`)")
    part: str = setting(glyphs.TEST, "whose digits", choices=(glyphs.TEST, glyphs.VALIDATION))
    sheet: Path | None = setting(None, "also draw ten pictures of each kind", metavar="FILE.png")
    ocr: int = setting(0, "read so many of each kind again, beside Tesseract and RapidOCR")


def read(opened: Classifier, gray: np.ndarray) -> str:
    """Returns the digits that are found, lines separated by slashes; "" if there are none."""
    try:
        answers = opened.answers(opened.load([gray]))
    except InputError:
        return ""
    lines: dict[int | None, str] = {}
    for answer in answers:
        lines[answer.line] = lines.get(answer.line, "") + answer.label
    return "/".join(lines.values())


def by_kind(pictures: Sequence[Rendered]) -> list[list[Rendered]]:
    """Groups pictures by their kind."""
    kinds: dict[str, list[Rendered]] = {}
    for one in pictures:
        kinds.setdefault(one.kind, []).append(one)
    return list(kinds.values())


def row(pictures: Sequence[Rendered], reader: ocr.Reader) -> tuple[KindResult, str]:
    """Reads pictures of one kind; returns the result, and as a line with that of each source."""
    right: dict[str, list[bool]] = {}
    for one in pictures:
        right.setdefault(one.source, []).append(reader(one.gray) == one.text)
    count = sum(sum(some) for some in right.values())
    result = KindResult(kind=pictures[0].kind, right=count, count=len(pictures))
    parts = ", ".join(f"{source} {np.mean(some):.1%}" for source, some in right.items())
    return result, f"{result.kind:<14}{result.share:>7.1%} of {result.count:>5,}: {parts}"


def read_by_file(model: Path) -> Path | None:
    """Returns the file in a bundle that reads pictures for `--model`; None outside of bundles."""
    path = model if runtimes.is_artifact(model) else model / bundle.MODEL
    names = (bundle.TRAIN, bundle.MANIFEST)
    return path if any((path.parent / name).is_file() for name in names) else None


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Parses `argv`, renders, reads, prints the table; returns the exit status."""
    settings = cli.parse_settings(PicturesSettings, __doc__, argv)
    has_fonts = not glyphs.missing_fonts(glyphs.VALIDATION, glyphs.TEST)
    if not has_fonts:
        print(f"fonts skipped: not installed. apt install {glyphs.PACKAGES}", file=sys.stderr)
    pictures = list(render.render(settings.part, fonts=has_fonts))
    if settings.sheet:
        sheet.draw(pictures, settings.sheet)
    if importlib.util.find_spec("sklearn"):
        pictures += scans.pictures()
    else:
        print("scans skipped: scikit-learn is not installed. Install it.", file=sys.stderr)
    opened = classifier.open_classifier(settings.model or classifier.PRETRAINED, True)
    own = functools.partial(read, opened)
    kinds = by_kind(pictures)
    results = []
    for members in kinds:
        result, line = row(members, own)
        print(line, flush=True)
        results.append(result)
    file = read_by_file(settings.model) if settings.model else None
    if file:
        report = PicturesReport(
            file=file.name,
            sha256=bundle.sha256_file(file),
            part=settings.part,
            results=tuple(results),
        )
        with staging.staged(file.parent) as stage:
            schema.write(stage / FILE, report)
        print(f"written: {cli.printable(file.parent / FILE)}")
    if settings.ocr <= 0:
        return cli.OK
    compared: dict[str, ocr.Reader] = {"The model": own, **ocr.readers()}
    for name, reader in compared.items():
        print(f"\n{name}")
        for members in kinds:
            places = np.linspace(0, len(members) - 1, settings.ocr).round().astype(int)
            print(row([members[place] for place in np.unique(places)], reader)[1], flush=True)
    return cli.OK


if __name__ == "__main__":
    sys.exit(supervise.run(main))
