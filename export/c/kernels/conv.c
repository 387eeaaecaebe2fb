/* needs: requantize clamp dot */
/* A convolution: the input's values under the kernel become one row, outside of the image `zero_in`.
   Weights are [out_c][k_h][k_w][in_c / groups]; the bias includes -zero_in * sum(weights). */
typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    int32_t batch, in_h, in_w, in_c, out_h, out_w, out_c, k_h, k_w;
    int32_t stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w, groups;
    int32_t zero_in, zero_out, low, high;
} conv_layer;

static inline void conv_patch(
    const conv_layer *l, const uint8_t *in, int32_t y, int32_t x, int32_t channels, uint8_t *patch)
{
    for (int32_t i = 0; i < l->k_h; i++) {
        const int32_t row = y + i * l->dilation_h;
        for (int32_t j = 0; j < l->k_w; j++) {
            const int32_t column = x + j * l->dilation_w;
            if (row < 0 || row >= l->in_h || column < 0 || column >= l->in_w) {
                memset(patch, l->zero_in, (size_t)channels);
            } else {
                memcpy(patch, in + (row * l->in_w + column) * l->in_c, (size_t)channels);
            }
            patch += channels;
        }
    }
}

static inline void conv(const conv_layer *l, const uint8_t *in, uint8_t *out, uint8_t *work)
{
    const int32_t channels = l->in_c / l->groups, filters = l->out_c / l->groups;
    const int32_t length = l->k_h * l->k_w * channels;
    for (int32_t n = 0; n < l->batch; n++, in += l->in_h * l->in_w * l->in_c) {
        for (int32_t p = 0; p < l->out_h * l->out_w; p++) {
            const int32_t y = p / l->out_w * l->stride_h - l->pad_h;
            const int32_t x = p % l->out_w * l->stride_w - l->pad_w;
            for (int32_t c = 0; c < l->out_c; c++) {
                if (c % filters == 0) {
                    conv_patch(l, in + c / filters * channels, y, x, channels, work);
                }
                const int32_t sum = l->bias[c] + dot(work, l->weights + c * length, length);
                const int32_t value = requantize(sum, l->multiplier[c], l->shift[c]);
                *out++ = clamp(value + l->zero_out, l->low, l->high);
            }
        }
    }
}
