/* needs: clamp float_bytes */
/* Floats to bytes, rounded to nearest, away from 0 at ties. */
typedef struct {
    float scale;
    int32_t zero_out, count;
} quantize_layer;

static inline int32_t round_float(float x)
{
    if (!(x > -1e6f)) { /* far outside of a byte's range; NaN too */
        return -1000000;
    }
    if (x > 1e6f) {
        return 1000000;
    }
    const int32_t whole = (int32_t)x;
    const float rest = x - (float)whole;
    return whole + (rest >= 0.5f) - (rest <= -0.5f);
}

static inline void quantize(const quantize_layer *l, const uint8_t *in, uint8_t *out)
{
    for (int32_t i = 0; i < l->count; i++) {
        out[i] = clamp(round_float(load(in, i) / l->scale) + l->zero_out, 0, 255);
    }
}
