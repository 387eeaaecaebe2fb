"""Random numbers that stay the same in every version of NumPy.

NumPy guarantees the raw 64-bit stream of a bit generator, but not what a `Generator` makes of it.
"""

import numpy as np

_STEP = 2.0**-53  # of a double in [0, 1)


def uniform(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Draws float64 numbers of a shape, 0 to less than 1."""
    raw = rng.bit_generator.random_raw(int(np.prod(shape)))
    return ((raw >> np.uint64(11)) * _STEP).reshape(shape)


def short_uniform(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Draws float32 numbers of a shape, -1 to less than 1, in steps of 2^-15: four per raw draw."""
    count = int(np.prod(shape))
    raw = rng.bit_generator.random_raw(-(-count // 4)).astype("<u8")
    steps = raw.view("<u2")[:count].reshape(shape)
    return steps.astype(np.float32) / np.float32(2**15) - np.float32(1)


def integers(rng: np.random.Generator, low: int, high: int, *shape: int) -> np.ndarray:
    """Draws int64 numbers of a shape, `low` to `high`, both included."""
    return low + (uniform(rng, *shape) * (high - low + 1)).astype(np.int64)


def signs(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Draws -1 or 1, int64 of a shape."""
    return 2 * integers(rng, 0, 1, *shape) - 1


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Draws float64 numbers of a shape from the standard normal distribution, by Box and Muller."""
    radius = np.sqrt(-2 * np.log1p(-uniform(rng, *shape)))
    return radius * np.cos(2 * np.pi * uniform(rng, *shape))
