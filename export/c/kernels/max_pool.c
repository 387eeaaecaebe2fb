/* needs: clamp */
typedef struct {
    max_pool_number batch, in_h, in_w, channels, out_h, out_w, k_h, k_w;
    max_pool_number stride_h, stride_w, pad_h, pad_w;
    max_pool_number low, high;
} max_pool_layer;

static inline void max_pool(const max_pool_layer *l, const uint8_t *in, uint8_t *out)
{
    for (int32_t n = 0; n < l->batch; n++, in += l->in_h * l->in_w * l->channels) {
        for (int32_t p = 0; p < l->out_h * l->out_w; p++, out += l->channels) {
            const int32_t y = p / l->out_w * l->stride_h - l->pad_h;
            const int32_t x = p % l->out_w * l->stride_w - l->pad_w;
            memset(out, l->low, (size_t)l->channels);
            for (int32_t i = y < 0 ? 0 : y; i < y + l->k_h && i < l->in_h; i++) {
                for (int32_t j = x < 0 ? 0 : x; j < x + l->k_w && j < l->in_w; j++) {
                    const uint8_t *pixel = in + (i * l->in_w + j) * l->channels;
                    for (int32_t c = 0; c < l->channels; c++) {
                        out[c] = out[c] < pixel[c] ? pixel[c] : out[c];
                    }
                }
            }
            for (int32_t c = 0; c < l->channels; c++) {
                out[c] = clamp(out[c], l->low, l->high);
            }
        }
    }
}
