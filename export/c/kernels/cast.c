/* needs: float_bytes */
/* Floats to integers of 32 bits, toward 0. */
typedef struct {
    int32_t count;
} cast_layer;

static inline void cast(const cast_layer *l, const uint8_t *in, uint8_t *out)
{
    for (int32_t i = 0; i < l->count; i++) {
        const float x = load(in, i);
        const int32_t value = !(x > -2147483648.0f) ? INT32_MIN
            : x >= 2147483648.0f ? INT32_MAX : (int32_t)x;
        memcpy(out + 4 * i, &value, 4);
    }
}
