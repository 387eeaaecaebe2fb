"""Fixed-point arithmetic as TFLite's kernels do it, bit for bit."""

import math

import numpy as np


def multiplier(real: float) -> tuple[int, int]:
    """Returns `(mantissa, shift)` of a factor: about mantissa / 2**31 * 2**shift.

    The mantissa is 0, or from 2**30 to 2**31 - 1.
    """
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    mantissa = math.floor(fraction * (1 << 31) + 0.5)
    if mantissa == 1 << 31:
        mantissa, shift = mantissa // 2, shift + 1
    return (0, 0) if shift < -31 else (mantissa, shift)


def requantize(x: np.ndarray, multiplier: int, shift: int) -> np.ndarray:
    """Returns int64 x * multiplier / 2**31 * 2**shift, rounded as kernels/requantize.c does."""
    high = ((x << max(shift, 0)) * multiplier + (1 << 30)) >> 31
    return (((high - (high < 0)) >> (-shift - 1)) + 1) >> 1 if shift < 0 else high


def softmax(scale: np.float32, beta: float) -> dict[str, int]:
    """Returns what a softmax multiplies its bytes by, and up to which difference they count.

    Args:
        scale: Step of its input.
        beta: Its option; scale * beta is 2**-26, one step of the product, or more.
    """
    real = min(float(beta) * float(scale) * (1 << 26), float((1 << 31) - 1))
    mantissa, shift = multiplier(real)
    # The sum counts in units of 2**-19 > 2 * exp(-14); below exp(-6.5) < 1 / 512 a byte is 0.
    summed, shown = (min(int(most / (beta * float(scale))) + 1, 256) for most in (14, 6.5))
    # A shift by 31 leaves one byte, 0.
    return {"multiplier": mantissa, "shift": min(shift, 30), "summed": summed, "shown": shown}
