/* needs: lanes conv_layer */
#if LANES > 1
/* Copies the part of the image that is read, with its border. */
KERNEL void conv_stage(
    const conv_layer *l, const uint8_t *in, int32_t height, int32_t width, staged *to)
{
    const int32_t left = l->pad_w < width ? l->pad_w : width;
    const int32_t run = l->in_w < width - left ? l->in_w : width - left;
    for (int32_t y = -l->pad_h; y < height - l->pad_h; y++) {
        const int32_t inside = y >= 0 && y < l->in_h ? run : 0;
        const int32_t before = inside ? left * l->in_c : 0;
        for (int32_t i = 0; i < before; i++) {
            *to++ = (staged)l->zero_in;
        }
        if (inside) {
            const uint8_t *row = in + y * l->in_w * l->in_c;
            for (int32_t i = 0; i < run * l->in_c; i++) {
                *to++ = row[i];
            }
        }
        for (int32_t i = before + inside * l->in_c; i < width * l->in_c; i++) {
            *to++ = (staged)l->zero_in;
        }
    }
    for (int32_t i = 0; i < GROUP; i++) {
        *to++ = 0; /* where the last group ends */
    }
}

KERNEL void conv_lanes(const conv_layer *l, const uint8_t *in, uint8_t *out, uint8_t *work)
{
    const int32_t height = (l->out_h * l->pool - 1) * l->stride_h + (l->k_h - 1) * l->dilation_h + 1;
    const int32_t width = (l->out_w * l->pool - 1) * l->stride_w + l->k_w, row = width * l->in_c;
    const lanes_layer inner = {
        l->weights, l->bias, l->multiplier, l->shift, l->out_c, l->k_h, l->k_w * l->in_c, l->pool,
        l->dilation_h * row, l->stride_h * row, l->stride_w * l->in_c, l->out_h, l->out_w,
        1, l->zero_out, l->low, l->high};
    staged *image = (staged *)(void *)work;
    for (int32_t n = 0; n < l->batch; n++, in += l->in_h * l->in_w * l->in_c) {
        conv_stage(l, in, height, width, image);
        lanes_tiles(&inner, image, out + n * l->out_h * l->out_w * l->out_c);
    }
}
#endif
