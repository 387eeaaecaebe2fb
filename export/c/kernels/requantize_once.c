/* x * multiplier / 2**31 * 2**shift, rounded once, up at ties: dense layers do so. */
static inline int32_t requantize_once(int32_t x, int32_t multiplier, int32_t shift)
{
    const int64_t product = (int64_t)(shift > 0 ? x * ((int32_t)1 << shift) : x) * multiplier;
    if (shift < 0) {
        return (((int32_t)(product >> 31) >> (-shift - 1)) + 1) >> 1;
    }
    return (int32_t)((product + ((int64_t)1 << 30)) >> 31);
}
