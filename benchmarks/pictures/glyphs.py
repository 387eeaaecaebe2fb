"""The digits that pictures are composed of: MNIST's own, and those of fonts of handwriting.

A glyph is ink, float32 `[height, width]`, 0 (paper) to 1, cropped to its columns.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mnist_edge import data
from mnist_edge.errors import InputError

from ..corruptions import draws

# A glyph of a digit: its height in pixels, and how much wider than usual its stroke is, -1 to 1.
Source = Callable[[int, float, float, np.random.Generator], np.ndarray]

TRAINING, VALIDATION, TEST = "training", "validation", "test"
_BOX, _FIELD = 20, 28  # of MNIST's pixels: a digit, and its image
_WIDER = 0.02  # of the height: by how much a stroke is widened or narrowed on each side, at most
_FONTS = Path("/usr/share/fonts")
PACKAGES = (
    "fonts-breip fonts-bwht fonts-dancingscript fonts-dkg-handwriting fonts-humor-sans "
    "fonts-kaushanscript fonts-kristi fonts-rufscript fonts-sjfonts fonts-yusei-magic"
)
TRAINING_PACKAGES = (
    "fonts-aoyagi-kouzan-t fonts-aoyagi-soseki fonts-averia-sans-gwf fonts-comic-neue "
    "fonts-dejavu-core fonts-dustin fonts-engadget fonts-havana fonts-isabella fonts-kalapi "
    "fonts-kiloji fonts-klaudia-berenika fonts-klee fonts-kouzan-mouhitsu fonts-leckerli-one "
    "fonts-liberation fonts-nanum-extra fonts-navilu fonts-open-sans fonts-seto fonts-sil-andika "
    "fonts-tlwg-purisa-otf fonts-tomsontalks fonts-urw-base35"
)
# Different hands for training, for building and for reporting.
FONTS = {
    TRAINING: (
        "opentype/comic-neue/ComicNeue-Italic.otf",
        "opentype/comic-neue/ComicNeue-Regular.otf",
        "opentype/havana/Havana-Regular.otf",
        "opentype/tlwg/Purisa.otf",
        "opentype/urw-base35/C059-Italic.otf",
        "opentype/urw-base35/NimbusSansNarrow-Regular.otf",
        "opentype/urw-base35/URWGothic-Book.otf",
        "opentype/urw-base35/Z003-MediumItalic.otf",
        "truetype/Navilu/Navilu.ttf",
        "truetype/andika/Andika-Regular.ttf",
        "truetype/aoyagi-kouzan-t/AoyagiKouzanT.ttf",
        "truetype/aoyagi-soseki/aoyagi-soseki.ttf",
        "truetype/averia-gwf/AveriaSansGWF-LightItalic.ttf",
        "truetype/dejavu/DejaVuSans.ttf",
        "truetype/dustin/Domestic_Manners.ttf",
        "truetype/dustin/Dustismo.ttf",
        "truetype/dustin/Junkyard.ttf",
        "truetype/dustin/PenguinAttack.ttf",
        "truetype/engadget/Engadget.ttf",
        "truetype/fonts-kalapi/Kalapi.ttf",
        "truetype/isabella/Isabella.ttf",
        "truetype/kiloji/kiloji.ttf",
        "truetype/kiloji/kiloji_d.ttf",
        "truetype/kiloji/kiloji_p.ttf",
        "truetype/klaudia-berenika/Klaudia-Oblique.ttf",
        "truetype/klee/KleeOne-Regular.ttf",
        "truetype/klee/KleeOne-SemiBold.ttf",
        "truetype/kouzan-mouhitsu/KouzanBrushFontSousyo.ttf",
        "truetype/kouzan-mouhitsu/kouzan-mouhitsu-gyosho.ttf",
        "truetype/leckerli-one/LeckerliOne-Regular.ttf",
        "truetype/liberation/LiberationMono-Regular.ttf",
        "truetype/liberation/LiberationSansNarrow-Italic.ttf",
        "truetype/nanum/NanumBarunpenR.ttf",
        "truetype/nanum/NanumBrush.ttf",
        "truetype/nanum/NanumPen.ttf",
        "truetype/open-sans/OpenSans-CondLightItalic.ttf",
        "truetype/seto/setofont.ttf",
        "truetype/tomsontalks/TomsonTalks.ttf",
    ),
    VALIDATION: (
        "truetype/breip/Breip.ttf",
        "opentype/bwht/BecauseWeConnect-Regular.otf",
        "opentype/bwht/BecauseWeMentor-Regular.otf",
        "opentype/dancingscript/DancingScript-Regular.otf",
        "opentype/kaushanscript/KaushanScript-Regular.otf",
        "truetype/sjfonts/SteveHand.ttf",
    ),
    TEST: (
        "opentype/bwht/BecauseWeBuild-Regular.otf",
        "opentype/bwht/BecauseWeCreate-Regular.otf",
        "opentype/bwht/BecauseWeLearn-Regular.otf",
        "opentype/bwht/BecauseWeOrganize-Regular.otf",
        "truetype/fifthhorseman/dkg.ttf",
        "truetype/humor-sans/Humor-Sans.ttf",
        "truetype/kristi/Kristi.ttf",
        "truetype/rufscript/Rufscript010.ttf",
        "truetype/sjfonts/Delphine.ttf",
        "truetype/yusei-magic/YuseiMagic-Regular.ttf",
    ),
}


def mnist(part: str) -> Source:
    """Returns a source of MNIST's digits: of the training, validation or test images."""
    dataset = data.load()
    if part == TEST:
        images, labels = dataset.x_test, dataset.y_test
    else:
        chosen = data.split_indices(len(dataset.y_train), seed=0)[part == VALIDATION]
        images, labels = dataset.x_train[chosen], dataset.y_train[chosen]
    of_digit = [np.flatnonzero(labels == digit) for digit in range(10)]

    def glyph(digit: int, height: float, widen: float, rng: np.random.Generator) -> np.ndarray:
        choices = of_digit[digit]
        image = images[choices[draws.integers(rng, 0, len(choices) - 1)]].astype(np.float32) / 255
        side = round(height * _FIELD / _BOX)
        large = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
        return cropped(_inked(np.asarray(large), side / _FIELD, widen * height))

    return glyph


def font(file: str) -> Source:
    """Returns a source of a font's digits.

    Args:
        file: Path below Debian's folder of fonts.
    """
    name = str(_FONTS / file)
    _, top, _, bottom = ImageFont.truetype(name, 200).getbbox("0123456789")

    def glyph(digit: int, height: float, widen: float, rng: np.random.Generator) -> np.ndarray:
        face = ImageFont.truetype(name, height * 200 / (bottom - top))
        margin = round(height / 2)
        image = Image.new("L", (round(2 * height) + margin, round(height) + 2 * margin))
        up = margin - top * height / (bottom - top)
        ImageDraw.Draw(image).text((margin, up), str(digit), 255, font=face)
        return cropped(_inked(np.asarray(image, np.float32) / 255, 1, widen * height))

    return glyph


def varied(glyph: Source, rng: np.random.Generator) -> Source:
    """Returns a source in another hand: wider or narrower, slanted, each digit a little bent."""
    from scipy import ndimage

    stretch, slant, bend = rng.uniform(0.7, 1.2), rng.uniform(-0.3, 0.3), rng.uniform(0, 0.05)

    def bent(digit: int, height: float, widen: float, rng: np.random.Generator) -> np.ndarray:
        ink = glyph(digit, height, widen, rng)
        tall, wide = ink.shape
        margin, reach = round(0.12 * height), round(abs(slant) * tall)
        y, x = np.mgrid[-margin : tall + margin, -margin : round(wide * stretch) + margin + reach]
        x = (x - (reach + slant * tall) / 2 + slant * y) / stretch
        waves = (
            ndimage.zoom(wave, np.array(y.shape) / len(wave), grid_mode=True, mode="nearest")
            for wave in rng.uniform(-1, 1, (2, 4, 4))
        )
        places = [axis + bend * height * wave for axis, wave in zip((y, x), waves, strict=True)]
        return cropped(ndimage.map_coordinates(ink, places, order=1).clip(0, 1))

    return bent


def require_training_fonts() -> None:
    """Raises `InputError` if a font for training is not installed."""
    missing = missing_fonts(TRAINING)
    if missing:
        raise InputError(
            f"training needs the fonts of {TRAINING_PACKAGES}. Got: no {missing[0]}. "
            f"Run: apt install {TRAINING_PACKAGES}"
        )


def missing_fonts(*parts: str) -> list[str]:
    """Returns the fonts of these parts that are not installed."""
    return [file for part in parts for file in FONTS[part] if not (_FONTS / file).is_file()]


def _inked(ink: np.ndarray, sharpness: float, widen: float) -> np.ndarray:
    """Sharpens the edge, and makes the stroke wider or narrower."""
    from scipy import ndimage

    ink = ((ink - 0.5) * sharpness + 0.5).clip(0, 1)
    reach = round(widen * _WIDER)
    change = ndimage.grey_dilation if reach > 0 else ndimage.grey_erosion
    changed = change(ink, footprint=_disk(abs(reach))) if reach else ink
    # A fine stroke is left as it is, rather than broken.
    return changed if (changed > 0.5).sum() > 0.5 * (ink > 0.5).sum() else ink


def _disk(reach: int) -> np.ndarray:
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return x * x + y * y <= reach * reach + 1


def cropped(ink: np.ndarray) -> np.ndarray:
    """Returns the rows and columns that hold ink."""
    rows, columns = (np.flatnonzero((ink > 0.5).any(axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def text(rng: np.random.Generator, shortest: int, longest: int) -> str:
    """Draws a string of digits."""
    count = int(draws.integers(rng, shortest, longest))
    return "".join(map(str, draws.integers(rng, 0, 9, count)))


def room(left: np.ndarray, right: np.ndarray, lower: int) -> int:
    """Returns how far the box of one glyph may overlap that of another until their ink touches.

    Args:
        left: The first glyph.
        right: The second, on the same middle.
        lower: By how many pixels the middle of the second is lower.
    """
    top = (len(left) - len(right)) // 2 + lower
    rows = range(max(0, top), min(len(left), top + len(right)))
    pairs = [(left[row, ::-1] > 0.5, right[row - top] > 0.5) for row in rows]
    return min((int(a.argmax() + b.argmax()) for a, b in pairs if a.any() and b.any()), default=0)
