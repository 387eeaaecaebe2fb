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


def high_multiply(a: int, b: int) -> int:
    """Returns a * b / 2**31, rounded to nearest, ties up; saturates -2**31 squared."""
    if a == b == -(1 << 31):
        return (1 << 31) - 1
    return (a * b + (1 << 30)) >> 31


def rounding_shift(x: int, exponent: int) -> int:
    """Returns x / 2**exponent, rounded to nearest, ties away from 0."""
    half = (1 << exponent) >> 1
    return (x + half) >> exponent if x >= 0 else -((-x + half) >> exponent)


def wrapped(x: int) -> int:
    """Returns the int32 of the same lower 32 bits."""
    return (x + (1 << 31)) % (1 << 32) - (1 << 31)


# exp(-1/4), exp(-1/2), ... exp(-16) in Q0.31, and their exponents; gemmlowp's constants.
_EXPONENTIALS = (
    (-2, 1672461947),
    (-1, 1302514674),
    (0, 790015084),
    (1, 290630308),
    (2, 39332535),
    (3, 720401),
    (4, 242),
)
_ONE_24TH_SHIFT = 2


def exp_on_negative(a: int, integer_bits: int) -> int:
    """Returns exp(a) in Q0.31 of a number of 0 or less in fixed point, as gemmlowp does."""
    if a == 0:
        return (1 << 31) - 1
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    mask = quarter - 1
    remainder = (a & mask) - quarter  # in [-1/4, 0)
    result = _exp_near_0(remainder << integer_bits)
    rest = remainder - a
    for exponent, factor in _EXPONENTIALS:
        if exponent < integer_bits and rest & (1 << (fraction_bits + exponent)):
            result = high_multiply(result, factor)
    if integer_bits > 5 and a < -(1 << (fraction_bits + 5)):
        return 0
    return result


def _exp_near_0(a: int) -> int:
    """Returns exp of a number in [-1/4, 0) in Q0.31, by its Taylor series around -1/8."""
    constant, one_third = 1895147668, 715827883  # exp(-1/8), 1/3
    x = a + (1 << 28)
    x2 = high_multiply(x, x)
    x3 = high_multiply(x2, x)
    x4_by_4 = rounding_shift(high_multiply(x2, x2), 2)
    inner = high_multiply(x4_by_4 + x3, one_third) + x2
    series = rounding_shift(inner, 1)
    return constant + high_multiply(constant, x + series)


def softmax_table(scale: np.float32, beta: float) -> list[int]:
    """Returns exp(-i * scale * beta) in Q0.31 for i of 0, 1, ... below which all count as 0.

    Shorter than 256 if exp is so small that neither the sum nor an output's byte notices.
    """
    integer_bits = 5
    real = min(float(beta) * float(scale) * (1 << (31 - integer_bits)), float((1 << 31) - 1))
    mantissa, shift = multiplier(real)
    if shift < 0:  # the kernel requires a factor above 1
        raise ValueError("a softmax of scales too small for fixed point")
    lowest = -math.floor(((1 << integer_bits) - 1) * (1 << (31 - integer_bits)) / (1 << shift))
    table = []
    for i in range(256):
        if -i < lowest:
            break
        value = exp_on_negative(high_multiply(wrapped(-i * (1 << shift)), mantissa), integer_bits)
        if value < 1 << 11:  # the sum counts in units of 2**12, an output's step is larger
            break
        table.append(value)
    return table
