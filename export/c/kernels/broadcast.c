/* Walks through two tensors and the result of an elementwise operator; steps of 0 repeat. */
typedef struct {
    int32_t dims[4], a_steps[4], b_steps[4];
} shape;

typedef uint8_t (*element)(const void *layer, uint8_t a, uint8_t b);

static inline void broadcast(
    const shape *s, const void *layer, element function, const uint8_t *a, const uint8_t *b,
    uint8_t *out)
{
    for (int32_t i = 0; i < s->dims[0]; i++) {
        for (int32_t j = 0; j < s->dims[1]; j++) {
            for (int32_t k = 0; k < s->dims[2]; k++) {
                const uint8_t *p = a + i * s->a_steps[0] + j * s->a_steps[1] + k * s->a_steps[2];
                const uint8_t *q = b + i * s->b_steps[0] + j * s->b_steps[1] + k * s->b_steps[2];
                for (int32_t m = 0; m < s->dims[3]; m++) {
                    *out++ = function(layer, p[m * s->a_steps[3]], q[m * s->b_steps[3]]);
                }
            }
        }
    }
}
