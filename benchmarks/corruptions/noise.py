"""Noise: single photons, dead and stuck pixels, drops of mud."""

import numpy as np

from . import draws
from .blur import gaussian

_PHOTONS = 3  # that a white pixel receives on average
_IMPULSES = 0.17  # share of pixels that become black or white
# The mud: noise of this mean and deviation, blurred by the first sigma, covers what is above the
# level; its edge is blurred by the second sigma and cut where it covers less than the share.
_MUD_MEAN, _MUD_DEVIATION, _MUD_LEVEL = 0.65, 0.3, 0.65
_MUD_SIGMA, _EDGE_SIGMA, _LEAST_COVER = 1.0, 1.5, 0.8
_MUD_GRAY = 63.0


def shot(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Poisson noise: a pixel counts photons, on average 3 where it is white."""
    drawn = draws.uniform(rng, *images.shape)
    expected = images * (_PHOTONS / 255)
    counted = np.zeros(images.shape)
    share = np.exp(-expected)  # of exactly 0 photons
    total = share.copy()
    for photons in range(1, _PHOTONS + 1):  # more than white is white
        counted += drawn >= total
        share = share * expected / photons
        total += share
    return counted * (255 / _PHOTONS)


def impulse(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Salt and pepper: of the pixels, 17 % become white or black at random."""
    drawn = draws.uniform(rng, *images.shape)
    peppered = np.where(drawn < _IMPULSES / 2, 0.0, images)
    return np.where(drawn >= 1 - _IMPULSES / 2, 255.0, peppered)


def spatter(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Drops of mud of 63 gray levels cover what is below them."""
    thickness = gaussian(_MUD_MEAN + _MUD_DEVIATION * draws.normal(rng, *images.shape), _MUD_SIGMA)
    cover = gaussian((thickness > _MUD_LEVEL).astype(float), _EDGE_SIGMA)
    cover[cover < _LEAST_COVER] = 0
    return images * (1 - cover) + _MUD_GRAY * cover
