/* needs: target requantize clamp dot_pairs conv_layer conv_lanes */
/* The input's values under the kernel become one row, outside of the image `zero_in`. */
static void conv_patch(
    const conv_layer *l, const uint8_t *in, int32_t y, int32_t x, uint8_t *patch)
{
    const int32_t channels = l->in_c / l->groups;
    for (int32_t i = 0; i < l->k_h; i++) {
        const int32_t row = y + i * l->dilation_h;
        const uint8_t *from = in + row * l->in_w * l->in_c;
        if (row >= 0 && row < l->in_h && x >= 0 && l->groups == 1 && l->dilation_w == 1 &&
            x + l->k_w <= l->in_w) {
            memcpy(patch, from + x * channels, (size_t)(l->k_w * channels));
            patch += l->k_w * channels;
            continue;
        }
        for (int32_t j = 0; j < l->k_w; j++) {
            const int32_t column = x + j * l->dilation_w;
            if (row < 0 || row >= l->in_h || column < 0 || column >= l->in_w) {
                memset(patch, l->zero_in, (size_t)channels);
            } else {
                memcpy(patch, from + column * l->in_c, (size_t)channels);
            }
            patch += channels;
        }
    }
}

/* Two patches at a time, with two filters at a time: each value is read half as often. */
static void conv_plain(const conv_layer *l, const uint8_t *in, uint8_t *out, uint8_t *work)
{
    const int32_t channels = l->in_c / l->groups, filters = l->out_c / l->groups;
    const int32_t length = PADDED(l->k_h * l->k_w * channels), pools = l->pool * l->pool;
    const int32_t count = l->out_h * l->out_w * pools;
    memset(work, 0, (size_t)(2 * length));
    for (int32_t first = 0; first < count; first += 2) {
        for (int32_t g = 0; g < l->groups; g++) {
            for (int32_t k = 0; k < 2 && first + k < count; k++) {
                const int32_t p = (first + k) / pools, i = (first + k) % pools;
                const int32_t y = p / l->out_w * l->pool + i / l->pool;
                const int32_t x = p % l->out_w * l->pool + i % l->pool;
                conv_patch(
                    l, in + g * channels, y * l->stride_h - l->pad_h, x * l->stride_w - l->pad_w,
                    work + k * length);
            }
            for (int32_t f = 0; f < filters; f += 2) {
                const int32_t c = g * filters + f;
                int32_t sums[4];
                dot_pairs(
                    work, work + length, l->weights + c * length,
                    l->weights + (f + 1 < filters ? c + 1 : c) * length, length, sums);
                for (int32_t k = 0; k < 4; k++) {
                    const int32_t own = c + k % 2, position = first + k / 2;
                    if (own < (g + 1) * filters && position < count) {
                        const int32_t value = requantize(
                            sums[k] + l->bias[own], l->multiplier[own], l->shift[own]);
                        const uint8_t byte = clamp(value + l->zero_out, l->low, l->high);
                        uint8_t *to = out + position / pools * l->out_c + own;
                        const int32_t more = byte - (position % pools ? *to : 0);
                        *to = (uint8_t)(byte - (more & more >> 31));
                    }
                }
            }
        }
    }
}

KERNEL void conv(const conv_layer *l, const uint8_t *in, uint8_t *out, uint8_t *work)
{
#if LANES > 1
    if (l->lanes) {
        conv_lanes(l, in, out, work);
        return;
    }
#endif
    for (int32_t n = 0; n < l->batch; n++, in += l->in_h * l->in_w * l->in_c) {
        conv_plain(l, in, out + n * l->out_h * l->out_w * l->out_c, work);
    }
}
