/* The maximum over `reduced` and `also` of [outer][reduced][middle][also][inner]. */
typedef struct {
    int32_t outer, reduced, middle, also, inner;
} reduce_max_layer;

static inline void reduce_max(const reduce_max_layer *l, const uint8_t *in, uint8_t *out)
{
    const int32_t step = l->middle * l->also * l->inner;
    for (int32_t n = 0; n < l->outer; n++, in += l->reduced * step) {
        for (int32_t p = 0; p < l->middle * l->inner; p++) {
            const uint8_t *first = in + p / l->inner * l->also * l->inner + p % l->inner;
            uint8_t most = 0;
            for (int32_t i = 0; i < l->reduced; i++) {
                for (int32_t j = 0; j < l->also; j++) {
                    const uint8_t value = first[i * step + j * l->inner];
                    most = most < value ? value : most;
                }
            }
            *out++ = most;
        }
    }
}
