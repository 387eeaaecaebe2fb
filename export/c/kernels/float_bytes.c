/* Floats lie among bytes, at addresses of any alignment. */
static inline float load(const uint8_t *bytes, int32_t i)
{
    float value;
    memcpy(&value, bytes + 4 * i, 4);
    return value;
}

static inline void store(uint8_t *bytes, int32_t i, float value)
{
    memcpy(bytes + 4 * i, &value, 4);
}
