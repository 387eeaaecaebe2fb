"""Makes the digits that join MNIST's training images if a recipe says so.

    python -m benchmarks.pictures.extra_digits

They are those of fonts, and forms that MNIST's writers seldom use, drawn as pictures show them and
normalized as `python -m mnist_edge.predict` does. Needs the fonts for training.
"""

import contextlib
import dataclasses
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mnist_edge import cli, staging
from mnist_edge.cli import setting
from mnist_edge.data import extra
from mnist_edge.errors import InputError
from mnist_edge.images import normalize

from . import forms, glyphs, strips
from .glyphs import Source

_OF_FONT, _OF_FORM = 24, 1800  # images of each digit
_TWICE = 1  # the digit whose form differs most
_HEIGHTS = (44, 84)  # of a digit, pixels
_MARGIN = 4
_COARSE = 0.35  # how often it is a scan of few pixels
_LEVEL = 17  # 16 gray levels: half the bytes


@dataclasses.dataclass(frozen=True)
class ExtraDigitsSettings:
    """Settings of `benchmarks.pictures.extra_digits`."""

    output: Path = setting(extra.FILE, "file that the images are written to")


def images(of_font: int, of_form: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws digits, the same every time.

    Args:
        of_font: How many of each digit of each font.
        of_form: How many of each digit of `forms.FORMS`; twice as many of the 1.

    Returns:
        uint8 `[n, 28, 28]`, and labels, uint8 `[n]`.
    """
    rng = np.random.default_rng(0)
    pixels, labels = [], []
    for source, digit in _drawn(of_font, of_form, rng):
        ink = source(digit, rng.uniform(*_HEIGHTS), rng.uniform(-1, 1), rng)
        picture = strips.ink(np.pad(ink, _MARGIN)[None], rng, _COARSE)
        with contextlib.suppress(InputError):  # ink that vanishes is no digit
            pixels.append(normalize.as_mnist("a digit", picture))
            labels.append(digit)
    levels = np.round(np.stack(pixels) / _LEVEL) * _LEVEL
    return levels.astype(np.uint8), np.array(labels, np.uint8)


def _drawn(of_font: int, of_form: int, rng: np.random.Generator) -> Iterator[tuple[Source, int]]:
    """Yields what to draw: one in so many as it is, the others varied."""
    for file in glyphs.FONTS[glyphs.TRAINING]:
        font = glyphs.font(file)
        for digit in range(10):
            for number in range(of_font):
                yield (glyphs.varied(font, rng) if number else font), digit
    for digit in forms.FORMS:
        for number in range(of_form * (1 + (digit == _TWICE))):
            yield (glyphs.varied(forms.draw, rng) if number % 2 else forms.draw), digit


@cli.command
def main(argv: list[str] | None = None) -> int:
    """Draws the digits and writes them; returns the exit status."""
    settings = cli.parse_settings(ExtraDigitsSettings, __doc__, argv)
    glyphs.require_training_fonts()
    x, y = images(_OF_FONT, _OF_FORM)
    content = io.BytesIO()
    np.savez_compressed(content, x=x, y=y)
    staging.write_file(settings.output, content.getvalue())
    print(f"written: {cli.printable(settings.output)}, {len(y):,} digits")
    return cli.OK


if __name__ == "__main__":
    sys.exit(main())
