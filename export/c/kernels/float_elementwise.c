/* needs: broadcast float_bytes */
/* a - b or a * b in floats. */
typedef struct {
    shape steps;
    int32_t is_product;
} float_elementwise_layer;

static inline void float_elementwise(
    const float_elementwise_layer *l, const uint8_t *a, const uint8_t *b, uint8_t *out)
{
    const shape *s = &l->steps;
    int32_t at = 0;
    for (int32_t i = 0; i < s->dims[0]; i++) {
        for (int32_t j = 0; j < s->dims[1]; j++) {
            for (int32_t k = 0; k < s->dims[2]; k++) {
                const int32_t p = i * s->a_steps[0] + j * s->a_steps[1] + k * s->a_steps[2];
                const int32_t q = i * s->b_steps[0] + j * s->b_steps[1] + k * s->b_steps[2];
                for (int32_t m = 0; m < s->dims[3]; m++) {
                    const float x = load(a, p + m * s->a_steps[3]);
                    const float y = load(b, q + m * s->b_steps[3]);
                    store(out, at++, l->is_product ? x * y : x - y);
                }
            }
        }
    }
}
