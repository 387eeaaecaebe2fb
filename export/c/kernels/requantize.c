/* x * multiplier / 2**31 * 2**shift: rounded up at ties, and once more, away from 0, if shifted. */
static inline int32_t requantize(int32_t x, int32_t multiplier, int32_t shift)
{
    const int32_t up = shift > 0 ? x * ((int32_t)1 << shift) : x;
    const int32_t high = (int32_t)(((int64_t)up * multiplier + ((int64_t)1 << 30)) >> 31);
    return shift < 0 ? (((high - (high < 0)) >> (-shift - 1)) + 1) >> 1 : high;
}
