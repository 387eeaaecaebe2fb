"""Pictures of digits in many styles: MNIST's test digits, and those of Pillow's own font."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from mnist_edge import data


@functools.cache
def mnist_digits():
    """The third test image of each digit, float32 `[10, 28, 28]`, 0 (paper) to 1 (ink)."""
    mnist = data.load()
    chosen = [np.flatnonzero(mnist.y_test == digit)[2] for digit in range(10)]
    return mnist.x_test[chosen].astype(np.float32) / 255


def ink(digit, side):
    """A digit of MNIST scaled to `side` pixels; 0 to 1."""
    image = Image.fromarray(mnist_digits()[digit])
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC)).clip(0, 1)


def written(digit, side):
    """As a pen of one color leaves it: ink or paper, with a smooth edge."""
    return ((ink(digit, side) - 0.5) * side / 28 + 0.5).clip(0, 1)


def placed(small, height, width, top, left):
    large = np.zeros((height, width), np.float32)
    large[top : top + small.shape[0], left : left + small.shape[1]] = small
    return large


def font(text, size, stroke_width=0):
    """Pillow's own font; 0 to 1, with a margin."""
    face = ImageFont.load_default(size=size)
    left, top, right, bottom = face.getbbox(text, stroke_width=stroke_width)
    margin = size // 4
    image = Image.new("L", (int(right - left) + 2 * margin, int(bottom - top) + 2 * margin))
    ImageDraw.Draw(image).text(
        (margin - left, margin - top), text, 255, font=face, stroke_width=stroke_width
    )
    return np.asarray(image, np.float32) / 255


def gray(luminance):
    return Image.fromarray((luminance.clip(0, 1) * 255).round().astype(np.uint8))


def colored(strength, pen, paper):
    """RGB, from the paper's color to the pen's."""
    pen, paper = np.array(pen), np.array(paper)
    mixed = paper + strength[..., None] * (pen - paper)
    return Image.fromarray(mixed.round().astype(np.uint8))


def see_through(strength, color):
    """RGBA with nothing but the ink: all of one color, the strokes in alpha."""
    image = Image.new("RGBA", strength.shape[::-1], (*color, 0))
    image.putalpha(gray(strength))
    return image


def sheet(strength):
    """RGBA: a sheet with ink on it, transparent around the sheet."""
    image = gray(1 - strength).convert("RGBA")
    alpha = Image.new("L", image.size)
    ImageDraw.Draw(alpha).rounded_rectangle((0, 0, *image.size), image.width // 5, 255)
    image.putalpha(alpha)
    return image


def sixteen_bits(luminance, top):
    return Image.fromarray((luminance * top).round().astype(np.uint16))


def axes(strength):
    """Two coordinates of each pixel, -1 to 1."""
    height, width = strength.shape
    return np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")


def photograph(strength, light, seed):
    """Dark ink on paper under uneven light, with a camera's noise."""
    noise = np.random.default_rng(seed).normal(0, 0.02, strength.shape)
    return gray((1 - 0.75 * strength) * light * 0.9 + noise)


def evenly(strength):
    return np.ones_like(strength)


def lamp(strength):
    y, x = axes(strength)
    return 1 - 0.35 * (x + 1) / 2 - 0.3 * (y + 1) / 2


def vignette(strength):
    y, x = axes(strength)
    return 1 - 0.3 * (x * x + y * y)


def shadow(strength):
    y, x = axes(strength)
    return np.where(x + 0.4 * y > 0.1, 0.55, 1.0)


def stroke(strength, reach):
    """Thicker by `reach` pixels on each side, thinner where it is negative."""
    change = ImageFilter.MaxFilter if reach > 0 else ImageFilter.MinFilter
    return np.asarray(gray(strength).filter(change(2 * abs(reach) + 1)), np.float32) / 255


def pen(digit):
    """A thin stroke of a digit that fills a third of the sheet."""
    return placed(stroke(written(digit, 280), -4), 700, 700, 150, 250)


def specked(luminance, seed):
    """With one pixel in a hundred black and one white."""
    dice = np.random.default_rng(seed).random(luminance.shape)
    return np.where(dice < 0.01, 0, np.where(dice > 0.99, 1, luminance))


def noisy(luminance, seed):
    return luminance + np.random.default_rng(seed).normal(0, 0.15, luminance.shape)


def on_its_side(strength):
    """As a telephone stores it: turned, and an EXIF entry that says so."""
    image = gray(1 - strength).transpose(Image.Transpose.ROTATE_90)
    image.getexif()[0x0112] = 6  # "turn by 90 degrees clockwise to show"
    return image


@dataclasses.dataclass(frozen=True)
class Style:
    """One way to draw a digit.

    Attributes:
        draw: From the digit to a picture.
        suffix: Of the file.
        options: Of `Image.save`.
    """

    draw: Callable
    suffix: str = ".png"
    options: dict = dataclasses.field(default_factory=dict)


STYLES = {
    "12 pixels": Style(lambda d: gray(1 - ink(d, 17)[2:-2, 2:-2][:12, :12])),
    "28 pixels": Style(lambda d: gray(ink(d, 28))),
    "64 pixels, light on dark": Style(lambda d: gray(written(d, 64))),
    "300 pixels, dark on light": Style(lambda d: gray(1 - written(d, 300))),
    "2000 pixels": Style(lambda d: gray(1 - written(d, 2000))),
    "cropped to the ink": Style(lambda d: gray(1 - written(d, 140)[20:-20, 20:-20])),
    "wide": Style(lambda d: gray(1 - placed(written(d, 100), 120, 900, 10, 700))),
    "small in a corner": Style(lambda d: gray(1 - placed(written(d, 60), 400, 600, 330, 5))),
    "blue on cream": Style(lambda d: colored(written(d, 120), (30, 50, 160), (250, 240, 215))),
    "chalk on a green board": Style(
        lambda d: colored(written(d, 120) * 0.8, (250, 250, 240), (25, 70, 50))
    ),
    "yellow on white": Style(lambda d: colored(written(d, 120), (235, 200, 0), (255, 255, 255))),
    "black ink in alpha": Style(lambda d: see_through(written(d, 100), (0, 0, 0))),
    "white ink in alpha": Style(lambda d: see_through(written(d, 100), (255, 255, 255))),
    "red ink in alpha": Style(lambda d: see_through(written(d, 100), (200, 20, 20))),
    "sheet with transparent corners": Style(lambda d: sheet(written(d, 150))),
    "palette": Style(lambda d: colored(written(d, 90), (120, 0, 60), (220, 230, 255)).quantize(8)),
    "palette with transparency": Style(
        lambda d: see_through(written(d, 90), (10, 10, 10)).quantize(16)
    ),
    "GIF": Style(lambda d: gray(1 - written(d, 90)), ".gif"),
    "1 bit": Style(lambda d: gray(1 - written(d, 80)).convert("1", dither=Image.Dither.NONE)),
    "16 bits": Style(lambda d: sixteen_bits(1 - written(d, 100), 65535)),
    "12 of 16 bits, light on dark": Style(lambda d: sixteen_bits(written(d, 100), 4095)),
    "CMYK": Style(lambda d: gray(1 - written(d, 100)).convert("CMYK"), ".jpg"),
    "JPEG, quality 15": Style(lambda d: gray(1 - written(d, 90)), ".jpg", {"quality": 15}),
    "turned by EXIF": Style(lambda d: on_its_side(written(d, 100)), ".jpg"),
    "thin": Style(lambda d: gray(1 - stroke(written(d, 280), -6))),
    "thick": Style(lambda d: gray(1 - stroke(written(d, 280), 9))),
    "pencil, faint": Style(lambda d: gray(0.93 - 0.2 * written(d, 200))),
    "lamp from a corner": Style(
        lambda d: photograph(written(d, 300), lamp(written(d, 300)), d), ".jpg"
    ),
    "vignette": Style(lambda d: photograph(written(d, 300), vignette(written(d, 300)), d), ".jpg"),
    "shadow across": Style(
        lambda d: photograph(written(d, 300), shadow(written(d, 300)), d), ".jpg"
    ),
    "board under a lamp": Style(
        lambda d: gray((0.25 + 0.6 * written(d, 300)) * lamp(written(d, 300))), ".jpg"
    ),
    "fine pen, vignette": Style(lambda d: photograph(pen(d), vignette(pen(d)), d), ".jpg"),
    "fine pen under a lamp": Style(lambda d: photograph(pen(d), lamp(pen(d)), d), ".jpg"),
    "noise": Style(lambda d: gray(noisy(0.8 - 0.7 * written(d, 200), d))),
    "specks": Style(lambda d: gray(specked(1 - written(d, 200), d))),
    "font, 20 pixels": Style(lambda d: gray(1 - font(str(d), 20))),
    "font, 60 pixels, light on dark": Style(lambda d: gray(font(str(d), 60))),
    "font, 700 pixels": Style(lambda d: gray(1 - font(str(d), 700))),
    "font, bold": Style(lambda d: gray(1 - font(str(d), 100, 5))),
}


def save(name, digit, folder):
    """Writes a picture of a digit in a style; returns its path."""
    style = STYLES[name]
    image = style.draw(digit)
    path = Path(folder) / f"{name} {digit}{style.suffix}"
    exif = {"exif": image.getexif()} if image.getexif() else {}
    image.save(path, **style.options, **exif)
    return path


def line_of_digits(text, seed):
    """Handwriting: the digits of `text` side by side, at slightly different heights."""
    dice = np.random.default_rng(seed)
    rows = text.split("\n")
    page = np.zeros((130 * len(rows), 90 * max(map(len, rows)) + 60), np.float32)
    for row, digits in enumerate(rows):
        for column, digit in enumerate(digits):
            top, left = 130 * row + dice.integers(5, 25), 90 * column + dice.integers(20, 30)
            page[top : top + 100, left : left + 100] = np.maximum(
                page[top : top + 100, left : left + 100], written(int(digit), 100)
            )
    return page
