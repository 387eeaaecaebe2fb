/* needs: requantize clamp broadcast */
/* a + b, or a - b by a negative multiplier's sign: both scaled to a common step first. */
typedef struct {
    shape steps;
    int32_t zero_a, zero_b, multiplier_a, shift_a, multiplier_b, shift_b, sign_b;
    int32_t multiplier, shift, zero_out, low, high;
} add_layer;

static inline uint8_t add_one(const void *layer, uint8_t a, uint8_t b)
{
    const add_layer *l = (const add_layer *)layer;
    const int32_t x = requantize((a - l->zero_a) * (1 << 20), l->multiplier_a, l->shift_a);
    const int32_t y = requantize((b - l->zero_b) * (1 << 20), l->multiplier_b, l->shift_b);
    const int32_t value = requantize(x + l->sign_b * y, l->multiplier, l->shift);
    return clamp(value + l->zero_out, l->low, l->high);
}

static inline void add(const add_layer *l, const uint8_t *a, const uint8_t *b, uint8_t *out)
{
    broadcast(&l->steps, l, add_one, a, b, out);
}
