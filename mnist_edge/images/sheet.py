"""Draw pages with boxes and answers, and digits beside model inputs. Needs Pillow."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_edge import cli, staging
from mnist_edge.images import pictures

if TYPE_CHECKING:
    from PIL.Image import Image as Canvas
    from PIL.ImageDraw import ImageDraw as Pen

    from mnist_edge.classifier import Answer

_TILE, _GAP, _CAPTION = 168, 12, 46  # pixels; a tile is 6 x 28 pixels wide
_COLUMNS = 3
_MOST = 120  # digits per sheet
_LARGEST_PAGE = 1000  # pixels per side
_PAPER, _FRAME, _TEXT = (255, 255, 255), (150, 150, 150), (20, 20, 20)
_MARK = (213, 94, 0)  # of boxes and answers on a page


def draw(answers: Sequence["Answer"], path: Path) -> None:
    """Writes a sheet of pairs, original and model input, with the predictions below.

    Pictures with several digits come first, with a box and the answer at each.

    Args:
        answers: Predictions for pictures, of which the first 120 are drawn.
        path: The PNG to write.
    """
    from PIL import Image, ImageDraw

    shown = answers[:_MOST]
    columns = min(_COLUMNS, len(shown))
    width, height = 2 * _TILE + 2 * _GAP, _TILE + _CAPTION + _GAP
    pages = _pages(shown)
    above = sum(page.height + _GAP for page in pages)
    size = (
        max([columns * width, *(page.width + _GAP for page in pages)]) + _GAP,
        -(-len(shown) // columns) * height + _GAP + above,
    )
    canvas = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(canvas)
    top = _GAP
    for page in pages:
        canvas.paste(page, (_GAP, top))
        top += page.height + _GAP
    for i, answer in enumerate(shown):
        left, top = _GAP + i % columns * width, _GAP + i // columns * height + above
        if answer.image:
            _paste(canvas, pen, answer.image.original, left, top)
            _paste(canvas, pen, answer.image.pixels, left + _TILE, top)
        _caption(pen, answer, left, top + _TILE)
    png = io.BytesIO()
    canvas.save(png, format="PNG")
    staging.write_file(path, png.getvalue())


def _pages(answers: Sequence["Answer"]) -> list["Canvas"]:
    """Draws each picture with several digits, with a box and the answer at each."""
    from PIL import Image, ImageDraw, ImageFont

    by_picture: dict[str, list[Answer]] = {}
    for answer in answers:
        if answer.box:
            by_picture.setdefault(answer.picture, []).append(answer)
    pages = []
    for name, members in by_picture.items():
        if len(members) < 2:
            continue
        opened = pictures.open_picture(Path(name))
        page = Image.fromarray(np.round(opened.gray * 255).astype(np.uint8)).convert("RGB")
        width = page.width * opened.scale
        page.thumbnail((_LARGEST_PAGE, _LARGEST_PAGE))
        pen, factor = ImageDraw.Draw(page), page.width / width
        for member in members:
            left, top, right, bottom = (edge * factor for edge in member.box or ())
            pen.rectangle((left - 1, top - 1, right, bottom), outline=_MARK, width=2)
            label = cli.printable(member.label)
            font = ImageFont.load_default(size=max(12, round((bottom - top) / 4)))
            pen.text((left + 3, top), label, _MARK, font=font)
        pages.append(page)
    return pages


def _paste(canvas: "Canvas", pen: "Pen", pixels: np.ndarray, left: int, top: int) -> None:
    """Scales a picture to fit a tile and draws it there with a frame."""
    from PIL import Image

    sides = pixels.shape[:2]
    factor = (_TILE - 2) / max(sides)
    height, width = (max(1, round(side * factor)) for side in sides)
    x, y = left + (_TILE - width) // 2, top + (_TILE - height) // 2
    enlarged = Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST)
    canvas.paste(enlarged, (x, y))
    pen.rectangle((x - 1, y - 1, x + width, y + height), outline=_FRAME)


def _caption(pen: "Pen", answer: "Answer", left: int, top: int) -> None:
    """Draws the prediction and, below it, the file name, whose start is cut off if too long."""
    from PIL import ImageFont

    name, width = cli.printable(answer.picture), 2 * _TILE
    large, small = ImageFont.load_default(size=18), ImageFont.load_default(size=12)
    text = cli.printable(
        f"{answer.digit}: {answer.probability:.2%}   "
        f"{answer.runner_up}: {answer.runner_up_probability:.2%}"
    )
    while pen.textlength(text, font=large) > width:
        text = text[:-2] + "…"
    pen.text((left, top + 4), text, _TEXT, font=large)
    while pen.textlength(name, font=small) > width:
        name = "…" + name[2:]
    pen.text((left, top + 27), name, _TEXT, font=small)
