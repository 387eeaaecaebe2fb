/* needs: requantize clamp */
/* The mean over `reduced` and `also` of [outer][reduced][middle][also][inner]. */
typedef struct {
    int32_t outer, reduced, middle, also, inner, zero_in, multiplier, shift, zero_out;
} mean_layer;

static inline void mean(const mean_layer *l, const uint8_t *in, uint8_t *out)
{
    const int32_t step = l->middle * l->also * l->inner;
    for (int32_t n = 0; n < l->outer; n++, in += l->reduced * step) {
        for (int32_t p = 0; p < l->middle * l->inner; p++) {
            const uint8_t *first = in + p / l->inner * l->also * l->inner + p % l->inner;
            int32_t sum = -l->zero_in * l->reduced * l->also;
            for (int32_t i = 0; i < l->reduced; i++) {
                for (int32_t j = 0; j < l->also; j++) {
                    sum += first[i * step + j * l->inner];
                }
            }
            *out++ = clamp(requantize(sum, l->multiplier, l->shift) + l->zero_out, 0, 255);
        }
    }
}
