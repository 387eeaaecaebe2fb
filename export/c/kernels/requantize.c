/* x * multiplier / 2**31 * 2**shift: rounded up at ties, and once more, away from 0, if shifted. */
static inline int32_t requantize(int32_t x, int32_t multiplier, int32_t shift)
{
    const int64_t half = (int64_t)1 << 30;
    if (shift >= 0) {
        return (int32_t)(((int64_t)(x * ((int32_t)1 << shift)) * multiplier + half) >> 31);
    }
    const int32_t high = (int32_t)(((int64_t)x * multiplier + half) >> 31);
    return (((high - (high < 0)) >> (-shift - 1)) + 1) >> 1;
}
