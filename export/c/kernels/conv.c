/* needs: target copy requantize clamp dot_pairs conv_layer conv_lanes conv_winograd */
/* The input's values under the kernel become one row, outside of the image `zero_in`. */
static void conv_patch(
    const conv_layer *l, const uint8_t *in, int32_t y, int32_t x, uint8_t *patch)
{
    const int32_t channels = l->in_c / l->groups, size = l->k_w * channels;
    const int32_t inside = x >= 0 && x + l->k_w <= l->in_w && l->groups == 1 && l->dilation_w == 1;
    for (int32_t i = 0; i < l->k_h; i++, y += l->dilation_h) {
        const uint8_t *row = in + y * l->in_w * l->in_c;
        if (y < 0 || y >= l->in_h) {
            set(patch, l->zero_in, size);
            patch += size;
        } else if (inside) {
            copy(patch, row + x * channels, size);
            patch += size;
        } else {
            for (int32_t j = x; j < x + l->k_w * l->dilation_w; j += l->dilation_w) {
                if (j < 0 || j >= l->in_w) {
                    set(patch, l->zero_in, channels);
                } else {
                    copy(patch, row + j * l->in_c, channels);
                }
                patch += channels;
            }
        }
    }
}

/* Writes the byte of a sum, or keeps the one that is there if it is larger; `kept` is its mask. */
static inline void conv_keep(
    const conv_layer *l, int32_t c, int32_t sum, int32_t kept, uint8_t *out)
{
    const int32_t value = requantize(sum + l->bias[c], l->multiplier[c], l->shift[c]);
    const int32_t byte = clamp(value + l->zero_out, l->low, l->high), more = byte - (*out & kept);
    *out = (uint8_t)(byte - (more & more >> 31));
}

/* Two patches at a time, with two filters at a time: each value is read half as often. */
static void conv_plain(const conv_layer *l, const uint8_t *in, uint8_t *out, uint8_t *work)
{
    const int32_t channels = l->in_c / l->groups, filters = l->out_c / l->groups;
    const int32_t length = PADDED(l->k_h * l->k_w * channels), pools = l->pool * l->pool;
    const int32_t count = l->out_h * l->out_w * pools;
    for (int32_t first = 0; first < count; first += 2) {
        uint8_t *to[2];
        for (int32_t g = 0; g < l->groups; g++) {
            for (int32_t k = 0; k < 2 && first + k < count; k++) {
                const int32_t p = (first + k) / pools, i = (first + k) % pools;
                const int32_t y = p / l->out_w * l->pool + i / l->pool;
                const int32_t x = p % l->out_w * l->pool + i % l->pool;
                conv_patch(
                    l, in + g * channels, y * l->stride_h - l->pad_h, x * l->stride_w - l->pad_w,
                    work + k * length);
                to[k] = out + p * l->out_c;
            }
            const int32_t bytes = pools > 1 || first + 1 == count ? 2 : 4;
            const int32_t kept = first % pools ? 255 : 0;
            for (int32_t f = 0; f < filters; f += 2) {
                /* The last of an odd number comes with the one before, once more. */
                const int32_t c = g * filters + (f + 1 < filters || f == 0 ? f : f - 1);
                int32_t sums[4];
                dot_pairs(work, l->weights + c * length, length, sums);
                if (pools > 1) {
                    sums[0] = sums[0] < sums[2] ? sums[2] : sums[0];
                    sums[1] = sums[1] < sums[3] ? sums[3] : sums[1];
                }
                for (int32_t i = 0; i < bytes; i += filters > 1 ? 1 : 2) {
                    conv_keep(l, c + i % 2, sums[i], kept, to[i / 2] + c + i % 2);
                }
            }
        }
    }
}

KERNEL void conv(const conv_layer *l, const uint8_t *in, uint8_t *out, uint8_t *work)
{
#if LANES == 8
    if (l->lanes == 2) {
        conv_winograd(l, in, out, work);
        return;
    }
#endif
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
