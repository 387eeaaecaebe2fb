/* Without branches, which a processor would have to guess. */
static inline uint8_t clamp(int32_t x, int32_t low, int32_t high)
{
    const int32_t above = (x - low) & ~((x - low) >> 31), left = high - low - above;
    return (uint8_t)(low + above + (left & left >> 31));
}
