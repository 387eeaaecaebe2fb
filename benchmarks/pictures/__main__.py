"""Measure how many whole strings a model reads right on rendered pictures of digits.

    python -m benchmarks.pictures
    python -m benchmarks.pictures --part validation --sheet pictures.png --model artifacts/edge
    python -m benchmarks.pictures --ocr 20  # and 20 of each kind by Tesseract and RapidOCR

Thresholds are chosen on pictures of validation digits, figures are of test digits. Without the
fonts of handwriting, pictures of MNIST's digits alone are rendered; without scikit-learn, its scans
are left out.
"""

import dataclasses
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


def table(pictures: Sequence[Rendered], texts: Sequence[str]) -> str:
    """Formats the share of whole strings read right per kind, and of each of its sources."""
    right: dict[str, dict[str, list[bool]]] = {}
    for one, text in zip(pictures, texts, strict=True):
        right.setdefault(one.kind, {}).setdefault(one.source, []).append(text == one.text)
    rows = []
    for kind, members in right.items():
        every = [is_right for of_source in members.values() for is_right in of_source]
        parts = ", ".join(f"{source} {np.mean(some):.1%}" for source, some in members.items())
        rows.append(f"{kind:<14}{np.mean(every):>7.1%} of {len(every):>5,}: {parts}")
    return "\n".join(rows)


def few(pictures: Sequence[Rendered], count: int) -> list[Rendered]:
    """Returns so many pictures of each kind, evenly taken."""
    kinds: dict[str, list[Rendered]] = {}
    for one in pictures:
        kinds.setdefault(one.kind, []).append(one)
    return [
        members[place]
        for members in kinds.values()
        for place in np.unique(np.linspace(0, len(members) - 1, count).round().astype(int))
    ]


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
    print(table(pictures, [read(opened, one.gray) for one in pictures]))
    chosen = few(pictures, settings.ocr) if settings.ocr > 0 else []
    for name, reader in ocr.readers().items() if chosen else ():
        print(f"\n{name}\n{table(chosen, [reader(one.gray) for one in chosen])}")
    return cli.OK


if __name__ == "__main__":
    sys.exit(supervise.run(main))
