/* needs: requantize clamp broadcast */
/* a, or a * b if a is negative. */
typedef struct {
    shape steps;
    int32_t zero_a, zero_b, multiplier, shift, multiplier_below, shift_below, zero_out;
} prelu_layer;

static inline uint8_t prelu_one(const void *layer, uint8_t a, uint8_t b)
{
    const prelu_layer *l = (const prelu_layer *)layer;
    const int32_t x = a - l->zero_a;
    const int32_t value = x >= 0
        ? requantize(x, l->multiplier, l->shift)
        : requantize(x * (b - l->zero_b), l->multiplier_below, l->shift_below);
    return clamp(value + l->zero_out, 0, 255);
}

static inline void prelu(const prelu_layer *l, const uint8_t *a, const uint8_t *b, uint8_t *out)
{
    broadcast(&l->steps, l, prelu_one, a, b, out);
}
