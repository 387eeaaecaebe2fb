/* needs: target requantize_once clamp dot lanes */
/* A dense layer; the bias includes -zero_in * sum(weights). */
typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    dense_number rows, in_c, out_c, lanes, zero_out, low, high;
} dense_layer;

KERNEL void dense(const dense_layer *l, const uint8_t *in, uint8_t *out, uint8_t *work)
{
#if LANES > 1
    if (l->lanes) {
        const lanes_layer inner = {
            l->weights, l->bias, l->multiplier, l->shift, l->out_c, 1, l->in_c, 1,
            0, 0, 0, 1, 1, 0, l->zero_out, l->low, l->high};
        staged *row = (staged *)(void *)work;
        for (int32_t n = 0; n < l->rows; n++, in += l->in_c, out += l->out_c) {
            for (int32_t i = 0; i < (l->in_c + GROUP - 1) / GROUP * GROUP; i++) {
                row[i] = (staged)(i < l->in_c ? in[i] : 0);
            }
            lanes_tiles(&inner, row, out);
        }
        return;
    }
#endif
    (void)work;
    for (int32_t n = 0; n < l->rows; n++, in += l->in_c) {
        for (int32_t c = 0; c < l->out_c; c++) {
            const int32_t sum = l->bias[c] + dot(in, l->weights + c * PADDED(l->in_c), l->in_c);
            const int32_t value = requantize_once(sum, l->multiplier[c], l->shift[c]);
            *out++ = clamp(value + l->zero_out, l->low, l->high);
        }
    }
}
