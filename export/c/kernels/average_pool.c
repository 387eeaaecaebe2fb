/* needs: target clamp */
/* Rounds away from 0 at ties; `offset` is the byte that stands for the integer 0. */
typedef struct {
    average_pool_number batch, in_h, in_w, channels, out_h, out_w, k_h, k_w;
    average_pool_number stride_h, stride_w, pad_h, pad_w;
    average_pool_number offset, low, high;
} average_pool_layer;

KERNEL void average_pool(const average_pool_layer *l, const uint8_t *in, uint8_t *out)
{
    /* Then the compiler knows what it divides by. */
    const int32_t is_inside = !l->pad_h && !l->pad_w &&
        (l->out_h - 1) * l->stride_h + l->k_h <= l->in_h &&
        (l->out_w - 1) * l->stride_w + l->k_w <= l->in_w;
    for (int32_t n = 0; n < l->batch; n++, in += l->in_h * l->in_w * l->channels) {
        for (int32_t p = 0; p < l->out_h * l->out_w; p++) {
            const int32_t y = p / l->out_w * l->stride_h - l->pad_h;
            const int32_t x = p % l->out_w * l->stride_w - l->pad_w;
            const int32_t top = y < 0 ? 0 : y, left = x < 0 ? 0 : x;
            const int32_t bottom = y + l->k_h < l->in_h ? y + l->k_h : l->in_h;
            const int32_t right = x + l->k_w < l->in_w ? x + l->k_w : l->in_w;
            const int32_t count = is_inside ? l->k_h * l->k_w : (bottom - top) * (right - left);
            for (int32_t c = 0; c < l->channels; c++) {
                int32_t sum = -l->offset * count;
                for (int32_t i = top; i < bottom; i++) {
                    for (int32_t j = left; j < right; j++) {
                        sum += in[(i * l->in_w + j) * l->channels + c];
                    }
                }
                sum += sum > 0 ? count / 2 : -(count / 2);
                *out++ = clamp(sum / count + l->offset, l->low, l->high);
            }
        }
    }
}
