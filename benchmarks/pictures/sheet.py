"""Draws ten pictures of each kind."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .render import Rendered

_COUNT, _WIDTH, _HEIGHT, _NAME = 10, 150, 74, 120  # pictures per row; pixels


def draw(pictures: Sequence[Rendered], path: Path) -> None:
    """Draws a row per kind, evenly spaced among its pictures; writes a `.png`."""
    kinds: dict[str, list[Rendered]] = {}
    for one in pictures:
        kinds.setdefault(one.kind, []).append(one)
    sheet = Image.new("L", (_NAME + _COUNT * _WIDTH, len(kinds) * _HEIGHT), 255)
    pen, face = ImageDraw.Draw(sheet), ImageFont.load_default(size=15)
    for row, (kind, members) in enumerate(kinds.items()):
        pen.text((6, row * _HEIGHT + _HEIGHT // 2 - 9), kind, 0, font=face)
        for column, place in enumerate(
            np.linspace(0, len(members) - 1, _COUNT).round().astype(int)
        ):
            image = Image.fromarray(members[place].gray)
            image.thumbnail((_WIDTH - 6, _HEIGHT - 6))
            left = _NAME + column * _WIDTH + (_WIDTH - image.width) // 2
            sheet.paste(image, (left, row * _HEIGHT + (_HEIGHT - image.height) // 2))
    sheet.save(path, optimize=True)
