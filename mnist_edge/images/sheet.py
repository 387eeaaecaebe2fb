"""Draw what a model saw beside what it was given. Pillow alone."""

import io

from mnist_edge import bundle, cli

_TILE, _GAP, _CAPTION = 168, 12, 46  # pixels; a tile is six times MNIST's field
_COLUMNS = 3
_MOST = 120  # digits; a sheet of more can't be looked at
_PAPER, _FRAME, _TEXT = (255, 255, 255), (150, 150, 150), (20, 20, 20)


def draw(digits, answers, path):
    """Writes a sheet of pairs, original and pixels, with the answers below them.

    Args:
        digits: `images.Digit`s; the first 120 are drawn.
        answers: An answer each, with `digit`, `probability`, `runner_up` and
            `runner_up_probability`.
        path: Of the PNG, written whole or not at all.
    """
    from PIL import Image, ImageDraw

    pairs = list(zip(digits, answers, strict=True))[:_MOST]
    columns = min(_COLUMNS, len(pairs))
    width, height = 2 * _TILE + 2 * _GAP, _TILE + _CAPTION + _GAP
    size = (columns * width + _GAP, -(-len(pairs) // columns) * height + _GAP)
    canvas = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(canvas)
    for i, (digit, answer) in enumerate(pairs):
        left, top = _GAP + i % columns * width, _GAP + i // columns * height
        _paste(canvas, pen, digit.original, left, top)
        _paste(canvas, pen, digit.pixels, left + _TILE, top)
        _caption(pen, cli.printable(digit.name), answer, left, top + _TILE)
    png = io.BytesIO()
    canvas.save(png, format="PNG")
    bundle.write_file(path, png.getvalue())


def _paste(canvas, pen, pixels, left, top):
    """Puts a picture into a tile, as large as fits, with a frame around it."""
    from PIL import Image

    factor = (_TILE - 2) / max(pixels.shape)
    size = [max(1, round(side * factor)) for side in reversed(pixels.shape)]
    enlarged = Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)
    x, y = (start + (_TILE - side) // 2 for start, side in zip((left, top), size, strict=True))
    canvas.paste(enlarged, (x, y))
    pen.rectangle((x - 1, y - 1, x + size[0], y + size[1]), outline=_FRAME)


def _caption(pen, name, answer, left, top):
    """The answer, and below it the name, its beginning cut off where it is too long."""
    from PIL import ImageFont

    large, small = ImageFont.load_default(size=18), ImageFont.load_default(size=12)
    words = (
        f"{answer.digit}: {answer.probability:.2%}   "
        f"{answer.runner_up}: {answer.runner_up_probability:.2%}"
    )
    pen.text((left, top + 4), words, _TEXT, font=large)
    while pen.textlength(name, font=small) > 2 * _TILE:
        name = "…" + name[2:]
    pen.text((left, top + 27), name, _TEXT, font=small)
