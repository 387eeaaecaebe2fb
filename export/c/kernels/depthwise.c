/* needs: target requantize clamp lanes */
/* A depthwise convolution; weights are [k_h][k_w][in_c * factor]. `lanes`: vectors take rows. */
typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    depthwise_number batch, in_h, in_w, in_c, out_h, out_w, factor, k_h, k_w;
    depthwise_number stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w;
    depthwise_number lanes, zero_in, zero_out, low, high;
} depthwise_layer;

enum { DEPTHWISE_BLOCK = 16 }; /* channels whose sums are kept in registers */

static inline void depthwise_pixel(
    const depthwise_layer *l, const uint8_t *in, int32_t y, int32_t x, int32_t first, int32_t count,
    int32_t *sums)
{
    const int32_t channels = l->in_c * l->factor;
    memcpy(sums, l->bias + first, (size_t)count * sizeof *sums);
    for (int32_t i = 0; i < l->k_h; i++) {
        const int32_t row = y + i * l->dilation_h;
        if (row < 0 || row >= l->in_h) {
            continue;
        }
        for (int32_t j = 0; j < l->k_w; j++) {
            const int32_t column = x + j * l->dilation_w;
            if (column < 0 || column >= l->in_w) {
                continue;
            }
            const int8_t *w = l->weights + (i * l->k_w + j) * channels + first;
            const uint8_t *pixel = in + (row * l->in_w + column) * l->in_c;
            if (l->factor == 1) {
                for (int32_t c = 0; c < count; c++) {
                    sums[c] += (pixel[first + c] - l->zero_in) * w[c];
                }
            } else {
                for (int32_t c = 0; c < count; c++) {
                    sums[c] += (pixel[(first + c) / l->factor] - l->zero_in) * w[c];
                }
            }
        }
    }
}

#if LANES >= 8
enum { DEPTHWISE_CHANNELS = 64, DEPTHWISE_TAPS = 25 }; /* at most, of a layer that vectors take */

/* A vector of neighboring bytes of a row: it may begin at any channel, so that constants are
   repeated behind the last one. */
KERNEL void depthwise_rows(const depthwise_layer *l, const uint8_t *in, uint8_t *out)
{
    enum { SIZE = DEPTHWISE_CHANNELS + LANES };
    int32_t bias[SIZE], multiplier[SIZE], weights[DEPTHWISE_TAPS][SIZE];
    int8_t shift[SIZE];
    const int32_t width = l->out_w * l->in_c;
    for (int32_t c = 0; c < l->in_c + LANES; c++) {
        const int32_t from = c % l->in_c;
        bias[c] = l->bias[from];
        multiplier[c] = l->multiplier[from];
        shift[c] = l->shift[from];
        for (int32_t i = 0; i < l->k_h * l->k_w; i++) {
            weights[i][c] = l->weights[i * l->in_c + from];
            bias[c] -= l->zero_in * weights[i][c];
        }
    }
    for (int32_t y = 0; y < l->out_h; y++) {
        for (int32_t k = 0; k < width; k += LANES) {
            const int32_t first = k + LANES < width ? k : width - LANES, channel = first % l->in_c;
            lanes sums = lanes_load(bias + channel);
            for (int32_t i = 0; i < l->k_h; i++) {
                for (int32_t j = 0; j < l->k_w; j++) {
                    const int32_t row = y * l->stride_h + i * l->dilation_h;
                    const int32_t at = (row * l->in_w + j * l->dilation_w) * l->in_c + first;
                    const lanes w = lanes_load(weights[i * l->k_w + j] + channel);
                    sums = lanes_dot(sums, lanes_bytes(in + at), w);
                }
            }
            const lanes_layer inner = {
                0, 0, multiplier + channel, shift + channel, LANES, 0, 0, 1,
                0, 0, 0, 0, 0, 1, l->zero_out, l->low, l->high};
            lanes_write(&inner, sums, 0, out + y * width + first);
        }
    }
}
#endif

KERNEL void depthwise(const depthwise_layer *l, const uint8_t *in, uint8_t *out)
{
    const int32_t channels = l->in_c * l->factor;
#if LANES >= 8
    if (l->lanes && l->out_w * l->in_c >= LANES) {
        for (int32_t n = 0; n < l->batch; n++) {
            depthwise_rows(l, in + n * l->in_h * l->in_w * l->in_c, out + n * l->out_h * l->out_w * channels);
        }
        return;
    }
#endif
    for (int32_t n = 0; n < l->batch; n++, in += l->in_h * l->in_w * l->in_c) {
        for (int32_t p = 0; p < l->out_h * l->out_w; p++) {
            const int32_t y = p / l->out_w * l->stride_h - l->pad_h;
            const int32_t x = p % l->out_w * l->stride_w - l->pad_w;
            for (int32_t first = 0; first < channels; first += DEPTHWISE_BLOCK) {
                const int32_t left = channels - first;
                const int32_t count = left < DEPTHWISE_BLOCK ? left : DEPTHWISE_BLOCK;
                int32_t sums[DEPTHWISE_BLOCK];
                depthwise_pixel(l, in, y, x, first, count, sums);
                for (int32_t c = first; c < first + count; c++) {
                    const int32_t value = requantize(sums[c - first], l->multiplier[c], l->shift[c]);
                    *out++ = clamp(value + l->zero_out, l->low, l->high);
                }
            }
        }
    }
}
