/* needs: requantize_once clamp dot */
/* A dense layer; weights are [out_c][in_c], the bias includes -zero_in * sum(weights). */
typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    int32_t rows, in_c, out_c, zero_out, low, high;
} dense_layer;

static inline void dense(const dense_layer *l, const uint8_t *in, uint8_t *out)
{
    for (int32_t n = 0; n < l->rows; n++, in += l->in_c) {
        for (int32_t c = 0; c < l->out_c; c++) {
            const int32_t sum = l->bias[c] + dot(in, l->weights + c * l->in_c, l->in_c);
            const int32_t value = requantize_once(sum, l->multiplier[c], l->shift[c]);
            *out++ = clamp(value + l->zero_out, l->low, l->high);
        }
    }
}
