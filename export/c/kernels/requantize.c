/* x * multiplier / 2**31 * 2**shift: rounded up at ties, and once more, away from 0, if shifted. */
static inline int32_t requantize(int32_t x, int32_t multiplier, int32_t shift)
{
    const int64_t scaled = shift > 0 ? (int64_t)x * ((int64_t)1 << shift) : (int64_t)x;
    const int32_t high = (int32_t)((scaled * multiplier + ((int64_t)1 << 30)) >> 31);
    if (shift >= 0) {
        return high;
    }
    return (int32_t)(((int64_t)high + ((int64_t)1 << (-shift - 1)) - (high < 0)) >> -shift);
}
