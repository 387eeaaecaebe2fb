/* needs: requantize clamp */
/* The mean over the middle dimension of [outer][reduced][inner]. */
typedef struct {
    int32_t outer, reduced, inner, zero_in, multiplier, shift, zero_out;
} mean_layer;

static inline void mean(const mean_layer *l, const uint8_t *in, uint8_t *out)
{
    for (int32_t n = 0; n < l->outer; n++, in += l->reduced * l->inner) {
        for (int32_t c = 0; c < l->inner; c++) {
            int32_t sum = -l->zero_in * l->reduced;
            for (int32_t i = 0; i < l->reduced; i++) {
                sum += in[i * l->inner + c];
            }
            *out++ = clamp(requantize(sum, l->multiplier, l->shift) + l->zero_out, 0, 255);
        }
    }
}
