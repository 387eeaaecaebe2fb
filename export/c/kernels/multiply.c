/* needs: requantize clamp broadcast */
typedef struct {
    shape steps;
    int32_t zero_a, zero_b, multiplier, shift, zero_out, low, high;
} multiply_layer;

static inline uint8_t multiply_one(const void *layer, uint8_t a, uint8_t b)
{
    const multiply_layer *l = (const multiply_layer *)layer;
    const int32_t product = (a - l->zero_a) * (b - l->zero_b);
    return clamp(requantize(product, l->multiplier, l->shift) + l->zero_out, l->low, l->high);
}

static inline void multiply(const multiply_layer *l, const uint8_t *a, const uint8_t *b, uint8_t *out)
{
    broadcast(&l->steps, l, multiply_one, a, b, out);
}
