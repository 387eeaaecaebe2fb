/* needs: requantize clamp */
/* A transposed convolution; weights are [out_c][k_h][k_w][in_c]. */
typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    int32_t batch, in_h, in_w, in_c, out_h, out_w, out_c, k_h, k_w;
    int32_t stride_h, stride_w, pad_h, pad_w, zero_in, zero_out, low, high;
} transpose_conv_layer;

static inline int32_t transpose_conv_sum(
    const transpose_conv_layer *l, const uint8_t *in, int32_t y, int32_t x, int32_t c)
{
    int32_t sum = l->bias[c];
    for (int32_t i = 0; i < l->k_h; i++) {
        const int32_t row = y + l->pad_h - i;
        if (row < 0 || row % l->stride_h != 0 || row / l->stride_h >= l->in_h) {
            continue;
        }
        for (int32_t j = 0; j < l->k_w; j++) {
            const int32_t column = x + l->pad_w - j;
            if (column < 0 || column % l->stride_w != 0 || column / l->stride_w >= l->in_w) {
                continue;
            }
            const int32_t pixel = row / l->stride_h * l->in_w + column / l->stride_w;
            const int8_t *w = l->weights + ((c * l->k_h + i) * l->k_w + j) * l->in_c;
            for (int32_t k = 0; k < l->in_c; k++) {
                sum += (in[pixel * l->in_c + k] - l->zero_in) * w[k];
            }
        }
    }
    return sum;
}

static inline void transpose_conv(const transpose_conv_layer *l, const uint8_t *in, uint8_t *out)
{
    for (int32_t n = 0; n < l->batch; n++, in += l->in_h * l->in_w * l->in_c) {
        for (int32_t p = 0; p < l->out_h * l->out_w; p++) {
            for (int32_t c = 0; c < l->out_c; c++) {
                const int32_t sum = transpose_conv_sum(l, in, p / l->out_w, p % l->out_w, c);
                const int32_t value = requantize(sum, l->multiplier[c], l->shift[c]);
                *out++ = clamp(value + l->zero_out, l->low, l->high);
            }
        }
    }
}
