"""Measure how many whole strings a model reads right on rendered pictures of digits.

    python -m benchmarks.pictures
    python -m benchmarks.pictures --part validation --sheet pictures.png --model artifacts/edge
    python -m benchmarks.pictures --ocr 20  # and 20 of each kind by Tesseract and RapidOCR

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

from mnist_edge import classifier, cli
from mnist_edge.classifier import Classifier
from mnist_edge.cli import setting
from mnist_edge.errors import InputError
from mnist_edge.safety import supervise

from . import glyphs, ocr, render, scans, sheet
from .render import Rendered


@dataclasses.dataclass(frozen=True)
class PicturesSettings:
    """Settings of `benchmarks.pictures`."""

    model: Path | None = setting(None, "as for predict (default: the packaged `robust`)")
    part: str = setting(glyphs.TEST, "whose digits", choices=(glyphs.TEST, glyphs.VALIDATION))
    sheet: Path | None = setting(None, "also draw ten pictures of each kind", metavar="FILE.png")
    ocr: int = setting(0, "also read so many of each kind by Tesseract and RapidOCR, if installed")


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


def row(pictures: Sequence[Rendered], reader: ocr.Reader) -> str:
    """Formats the share of whole strings read right of one kind, and of each of its sources."""
    right: dict[str, list[bool]] = {}
    for one in pictures:
        right.setdefault(one.source, []).append(reader(one.gray) == one.text)
    every = [is_right for of_source in right.values() for is_right in of_source]
    parts = ", ".join(f"{source} {np.mean(some):.1%}" for source, some in right.items())
    return f"{pictures[0].kind:<14}{np.mean(every):>7.1%} of {len(every):>5,}: {parts}"


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Parses `argv`, renders, reads, prints the table; returns the exit status."""
    settings = cli.parse_settings(PicturesSettings, __doc__, argv)
    has_fonts = not glyphs.missing_fonts()
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
    kinds = by_kind(pictures)
    for members in kinds:
        print(row(members, functools.partial(read, opened)), flush=True)
    for name, reader in ocr.readers().items() if settings.ocr > 0 else ():
        print(f"\n{name}")
        for members in kinds:
            places = np.linspace(0, len(members) - 1, settings.ocr).round().astype(int)
            print(row([members[place] for place in np.unique(places)], reader), flush=True)
    return cli.OK


if __name__ == "__main__":
    sys.exit(supervise.run(main))
