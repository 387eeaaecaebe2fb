"""Measure how many whole strings a model reads right on rendered pictures of digits.

    python -m benchmarks.pictures
    python -m benchmarks.pictures --part validation --sheet pictures.png --model artifacts/edge

Thresholds are chosen on pictures of validation digits, figures are of test digits. Without the
fonts of handwriting, pictures of MNIST's digits alone are rendered.
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mnist_edge import classifier, cli
from mnist_edge.classifier import Classifier
from mnist_edge.cli import setting
from mnist_edge.errors import InputError
from mnist_edge.safety import supervise

from . import glyphs, render, sheet
from .render import Rendered


@dataclasses.dataclass(frozen=True)
class PicturesSettings:
    """Settings of `benchmarks.pictures`."""

    model: Path | None = setting(None, "as for predict (default: the packaged `robust`)")
    part: str = setting(glyphs.TEST, "whose digits", choices=(glyphs.TEST, glyphs.VALIDATION))
    sheet: Path | None = setting(None, "also draw ten pictures of each kind", metavar="FILE.png")


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
    """Formats the share of whole strings read right per kind and source."""
    right: dict[str, dict[str, list[bool]]] = {}
    for one, text in zip(pictures, texts, strict=True):
        right.setdefault(one.kind, {}).setdefault(one.source, []).append(text == one.text)
    sources = list(dict.fromkeys(one.source for one in pictures))
    rows = [f"{'kind':<14}" + "".join(f"{source:>9}" for source in sources)]
    for kind, members in right.items():
        rows.append(f"{kind:<14}" + "".join(f"{np.mean(members[s]):>9.1%}" for s in sources))
    return "\n".join(rows)


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
    opened = classifier.open_classifier(settings.model or classifier.PRETRAINED, True)
    print(table(pictures, [read(opened, one.gray) for one in pictures]))
    return cli.OK


if __name__ == "__main__":
    sys.exit(supervise.run(main))
