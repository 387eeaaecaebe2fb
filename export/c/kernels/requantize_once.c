/* x * multiplier / 2**31 * 2**shift, rounded once, up at ties: dense layers do so. */
static inline int32_t requantize_once(int32_t x, int32_t multiplier, int32_t shift)
{
    return (int32_t)(((int64_t)x * multiplier + ((int64_t)1 << (30 - shift))) >> (31 - shift));
}
