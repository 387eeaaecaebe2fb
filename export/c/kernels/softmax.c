/* needs: clamp fixed_point */
/* Softmax in fixed point, as gemmlowp computes it; table[i] is exp(-i * scale) in Q0.31. */
typedef struct {
    const int32_t *table;
    int32_t length, rows, depth;
} softmax_layer;

/* 1 / (1 + a) of a in [0, 1), both in Q0.31: three steps of Newton's method. */
static inline int32_t softmax_reciprocal(int32_t a)
{
    const int32_t half = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
    int32_t x = 1515870810 + high_multiply(half, -1010580540); /* 48 / 17, 32 / 17 in Q2.29 */
    for (int32_t i = 0; i < 3; i++) {
        const int32_t rest = ((int32_t)1 << 29) - high_multiply(half, x);
        x += left_shift(high_multiply(x, rest), 2);
    }
    return left_shift(x, 1);
}

static inline void softmax(const softmax_layer *l, const uint8_t *in, uint8_t *out)
{
    for (int32_t n = 0; n < l->rows; n++, in += l->depth, out += l->depth) {
        int32_t most = 0, sum = 0, digits = 0;
        for (int32_t c = 0; c < l->depth; c++) {
            most = most < in[c] ? in[c] : most;
        }
        for (int32_t c = 0; c < l->depth; c++) {
            if (most - in[c] < l->length) {
                const int32_t part = l->table[most - in[c]];
                sum += (part >> 12) + (part >> 11 & 1);
            }
        }
        uint32_t bits = (uint32_t)sum;
        for (digits = 12; (bits >> 31) == 0; digits--) {
            bits <<= 1;
        }
        const int32_t scale = softmax_reciprocal((int32_t)(bits - ((uint32_t)1 << 31)));
        for (int32_t c = 0; c < l->depth; c++) {
            int32_t value = 0;
            if (most - in[c] < l->length) {
                value = high_multiply(scale, l->table[most - in[c]]);
                value = (int32_t)(((int64_t)value + ((int64_t)1 << (digits + 22))) >> (digits + 23));
            }
            out[c] = clamp(value, 0, 255);
        }
    }
}
