static inline uint8_t clamp(int32_t x, int32_t low, int32_t high)
{
    return (uint8_t)(x < low ? low : x > high ? high : x);
}
