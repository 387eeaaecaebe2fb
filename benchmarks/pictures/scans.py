"""scikit-learn's 1,797 scans of digits, 8 x 8 pixels, each as a picture in one of four styles."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from .render import Rendered

_SIDE, _MARGIN = 160, 40  # pixels of an enlarged scan, and of the paper around it
STYLES = ("as it is", "light on dark", "enlarged", "enlarged, on paper")


def pictures() -> Iterator[Rendered]:
    """Yields each scan, in the styles by turns; its source is the style."""
    from sklearn.datasets import load_digits

    scans = load_digits()
    for number, (scan, digit) in enumerate(zip(scans.images, scans.target, strict=True)):
        style = STYLES[number % len(STYLES)]
        ink = np.round(scan * (255 / 16)).astype(np.uint8)
        if style.startswith("enlarged"):
            enlarged = Image.fromarray(ink).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
            ink = np.asarray(enlarged)
        if style.endswith("paper"):
            ink = np.pad((0.6 * ink).astype(np.uint8), _MARGIN) + np.uint8(25)
        gray = ink if style == "light on dark" else 255 - ink
        yield Rendered("scikit-learn", style, str(digit), gray)
