"""Find the ink in a picture: its polarity, and the paper behind it."""

import numpy as np

# Shares of the picture's shorter side.
_NEIGHBORHOOD = 0.3  # paper is the median of a neighborhood of this width
_EVEN = 0.05  # of the whole range, that an even border may vary by
_FINE = 0.12  # most strokes are narrower than this, most gaps between strokes wider
_STROKE = 0.4  # no stroke is as wide as this: the paper is what is left when strokes are filled
_EDGE = 0.04  # of the border between ink and paper, in a picture out of focus
_STEEP = 0.35  # least share of the contrast that such a border makes; shading makes less
_DARK = 0.3  # no paper is as dark as this, as a share of the range from ink to paper
_THUMBNAIL = 40  # pixels of the shorter side, enough to tell paper from strokes

_FAINTEST = 0.06  # least contrast of ink; a camera's noise on a blank sheet makes less than 0.03
_FINEST = 100  # a picture's shorter side is this many times half of a thin stroke
_NOISES = 6.0  # ink stands out of the noise by this many standard deviations


def contrast(gray: np.ndarray) -> np.ndarray | None:
    """How far each pixel stands out of the paper.

    Args:
        gray: float32 `[height, width]`, luminance, 0 (black) to 1.

    Returns:
        float32 `[height, width]`: about 0 (either sign) where there is paper, up to 1 where
        there is ink, whichever of the two is the darker. None where there is no ink.
    """
    if is_light_on_dark(gray):
        gray = gray.min() + gray.max() - gray
    # Light falls on ink and paper alike, so what is even is their ratio.
    ink = 1 - gray / np.maximum(_paper(gray), 0.02)
    noise = _noise(ink)
    smooth = min(ink.shape) // _FINEST
    smoothed = _blurred(ink, smooth)
    darkest = smoothed.max()
    least = max(_FAINTEST, _NOISES * noise / (2 * smooth + 1))
    if darkest < least or _steepest(smoothed) < _STEEP * darkest:
        return None
    if darkest < 2 * _NOISES * noise:
        ink = smoothed
    return np.minimum(ink / darkest, 1)


def is_light_on_dark(gray: np.ndarray) -> bool:
    """Whether the ink is lighter than the paper, which may be lit unevenly.

    An even border is paper, and what lies far off it is ink. Else there are two signs: ink
    is the minority, so that it lies far off its neighborhood's median; and strokes are
    narrower than the gaps between them.

    Args:
        gray: float32 `[height, width]`, luminance, 0 (black) to 1.
    """
    from scipy import ndimage

    small, _ = _thumbnail(gray)
    border = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    if np.ptp(np.percentile(border, [10, 90])) < _EVEN * np.ptp(small):
        return _skewness(small - np.median(border)) > 0
    width = 2 * _reach(_NEIGHBORHOOD, small) + 1
    minority = _skewness(small - ndimage.median_filter(small, width, mode="nearest"))
    valleys = ((_filled(small, _FINE) - small) ** 2).sum()
    ridges = ((_filled(-small, _FINE) + small) ** 2).sum()
    return minority + (ridges - valleys) / max(ridges + valleys, 1e-9) > 0


def _skewness(values: np.ndarray) -> float:
    """From -1, where all is below zero, to 1, where all is above; large values weigh more."""
    return (values * np.abs(values)).sum() / max((values * values).sum(), 1e-9)


def _paper(gray: np.ndarray) -> np.ndarray:
    """What the picture would be without its dark strokes, `[height, width]`."""
    small, step = _thumbnail(gray)
    closed = _filled(small, _STROKE)
    # A bar along the border is no valley, for what lies beyond is unknown; it is dark, though.
    closed = np.maximum(closed, small.min() + _DARK * np.ptp(small))
    rows, columns = (
        np.minimum(np.arange(length) // step, count - 1)
        for length, count in zip(gray.shape, small.shape, strict=True)
    )
    return _blurred(closed[np.ix_(rows, columns)], step)


def _thumbnail(gray: np.ndarray) -> tuple[np.ndarray, int]:
    """Means over square blocks, and the blocks' side in pixels."""
    step = max(1, min(gray.shape) // _THUMBNAIL)
    rows, columns = (length // step for length in gray.shape)
    blocks = gray[: rows * step, : columns * step].reshape(rows, step, columns, step)
    return blocks.mean((1, 3)), step


def _reach(share: float, values: np.ndarray) -> int:
    """Pixels on each side of the middle of a width that is a share of the shorter side."""
    return max(1, round(share * min(values.shape) / 2))


def _filled(values: np.ndarray, share: float) -> np.ndarray:
    """Fills each valley narrower than a share of the shorter side."""
    from scipy import ndimage

    reach = _reach(share, values)
    # Beyond the border all is as at the border, in the closing's second step too.
    padded = np.pad(values, 2 * reach, mode="edge")
    return ndimage.grey_closing(padded, 2 * reach + 1)[(slice(2 * reach, -2 * reach),) * 2]


def _blurred(values: np.ndarray, reach: int) -> np.ndarray:
    """Mean over squares of `2 * reach + 1` pixels a side."""
    from scipy import ndimage

    return ndimage.uniform_filter(values, 2 * reach + 1, mode="nearest")


def _steepest(values: np.ndarray) -> float:
    """The largest difference within the width of an edge."""
    reach = max(1, round(_EDGE * min(values.shape)))
    return max(
        np.abs(values[reach:] - values[:-reach]).max(initial=0),
        np.abs(values[:, reach:] - values[:, :-reach]).max(initial=0),
    )


def _noise(values: np.ndarray) -> float:
    """Standard deviation of the noise; 0 for a small picture, whose pixels all differ."""
    if min(values.shape) <= 32:
        return 0.0
    return float(np.median(np.abs(np.diff(values, axis=1)))) / (0.6745 * np.sqrt(2))
