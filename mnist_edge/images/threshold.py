"""Separate ink from paper: detect the polarity, and estimate the background."""

import numpy as np

# Widths, as shares of the picture's shorter side.
_NEIGHBORHOOD = 0.3  # neighborhood whose median estimates the paper
_FINE = 0.12  # most strokes are narrower, most gaps between strokes wider
_STROKE = 0.4  # all strokes are narrower, so filling narrower valleys leaves the paper
_EDGE = 0.05  # the edge between ink and paper in an out-of-focus picture
# Shares of a range of values.
_EVEN = 0.05  # of the whole range: maximum variation of an even border
_STEEP = 0.35  # of the contrast: minimum change across such an edge; shading changes less
_DARK = 0.3  # of the range from ink to paper: all paper is lighter

_THUMBNAIL = 40  # pixels of the shorter side, enough to distinguish paper from strokes
_FAINTEST = 0.06  # minimum contrast of ink; camera noise on a blank sheet stays below 0.03
_FINEST = 100  # the shorter side is this many times half the width of a thin stroke
_NOISES = 6.0  # minimum contrast of ink, in standard deviations of the noise


def contrast(gray: np.ndarray) -> np.ndarray | None:
    """Computes the contrast of each pixel with the paper.

    Args:
        gray: float32 `[height, width]`, luminance, 0 (black) to 1.

    Returns:
        float32 `[height, width]`, about 0 (either sign) for paper and up to 1 for ink, whichever
        of the two is darker. None if there is no ink.
    """
    if is_light_on_dark(gray):
        gray = gray.min() + gray.max() - gray
    # Lighting scales ink and paper alike, so their ratio does not depend on it.
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

    If the border is even, it is paper, and values far from it are ink. Otherwise two criteria
    are combined: ink is the minority, so it differs from the median of its neighborhood; and
    strokes are narrower than the gaps between them.

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
    """Returns -1 (all values negative) to 1 (all positive), weighted by squared value."""
    return (values * np.abs(values)).sum() / max((values * values).sum(), 1e-9)


def _paper(gray: np.ndarray) -> np.ndarray:
    """Estimates the picture without its dark strokes, `[height, width]`."""
    small, step = _thumbnail(gray)
    closed = _filled(small, _STROKE)
    # A bar along the border is not filled, as it is not a valley; limit how dark paper can be.
    closed = np.maximum(closed, small.min() + _DARK * np.ptp(small))
    rows, columns = (
        np.minimum(np.arange(length) // step, count - 1)
        for length, count in zip(gray.shape, small.shape, strict=True)
    )
    return _blurred(closed[np.ix_(rows, columns)], step)


def _thumbnail(gray: np.ndarray) -> tuple[np.ndarray, int]:
    """Returns the means over square blocks, and the side of a block in pixels."""
    step = max(1, min(gray.shape) // _THUMBNAIL)
    rows, columns = (length // step for length in gray.shape)
    blocks = gray[: rows * step, : columns * step].reshape(rows, step, columns, step)
    return blocks.mean((1, 3)), step


def _reach(share: float, values: np.ndarray) -> int:
    """Returns half of `share` of the shorter side, in pixels, at least 1."""
    return max(1, round(share * min(values.shape) / 2))


def _filled(values: np.ndarray, share: float) -> np.ndarray:
    """Fills valleys narrower than `share` of the shorter side (morphological closing)."""
    from scipy import ndimage

    reach = _reach(share, values)
    # Pad so that the border values extend outward in both steps of the closing.
    padded = np.pad(values, 2 * reach, mode="edge")
    return ndimage.grey_closing(padded, 2 * reach + 1)[(slice(2 * reach, -2 * reach),) * 2]


def _blurred(values: np.ndarray, reach: int) -> np.ndarray:
    """Returns the mean over squares of `2 * reach + 1` pixels per side."""
    from scipy import ndimage

    return ndimage.uniform_filter(values, 2 * reach + 1, mode="nearest")


def _steepest(values: np.ndarray) -> float:
    """Returns the largest difference of values within the width of an edge."""
    reach = max(1, round(_EDGE * min(values.shape)))
    return max(
        np.abs(values[reach:] - values[:-reach]).max(initial=0),
        np.abs(values[:, reach:] - values[:, :-reach]).max(initial=0),
    )


def _noise(values: np.ndarray) -> float:
    """Estimates the standard deviation of noise; 0 for pictures too small to have flat areas."""
    if min(values.shape) <= 32:
        return 0.0
    return float(np.median(np.abs(np.diff(values, axis=1)))) / (0.6745 * np.sqrt(2))
