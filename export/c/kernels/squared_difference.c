/* needs: requantize clamp broadcast */
/* (a - b)**2, both scaled to a common step first. */
typedef struct {
    shape steps;
    int32_t zero_a, zero_b, multiplier_a, shift_a, multiplier_b, shift_b;
    int32_t multiplier, shift, zero_out, low, high;
} squared_difference_layer;

static inline uint8_t squared_difference_one(const void *layer, uint8_t a, uint8_t b)
{
    const squared_difference_layer *l = (const squared_difference_layer *)layer;
    const int32_t x = requantize((a - l->zero_a) * (1 << 7), l->multiplier_a, l->shift_a);
    const int32_t y = requantize((b - l->zero_b) * (1 << 7), l->multiplier_b, l->shift_b);
    const int32_t value = requantize((x - y) * (x - y), l->multiplier, l->shift);
    return clamp(value + l->zero_out, l->low, l->high);
}

static inline void squared_difference(
    const squared_difference_layer *l, const uint8_t *a, const uint8_t *b, uint8_t *out)
{
    broadcast(&l->steps, l, squared_difference_one, a, b, out);
}
