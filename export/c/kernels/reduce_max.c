/* The maximum over the middle dimension of [outer][reduced][inner]. */
typedef struct {
    int32_t outer, reduced, inner;
} reduce_max_layer;

static inline void reduce_max(const reduce_max_layer *l, const uint8_t *in, uint8_t *out)
{
    for (int32_t n = 0; n < l->outer; n++, in += l->reduced * l->inner) {
        for (int32_t c = 0; c < l->inner; c++) {
            uint8_t most = 0;
            for (int32_t i = 0; i < l->reduced; i++) {
                const uint8_t value = in[i * l->inner + c];
                most = most < value ? value : most;
            }
            *out++ = most;
        }
    }
}
