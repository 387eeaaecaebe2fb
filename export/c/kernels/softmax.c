/* needs: clamp fixed_point */
/* Softmax in fixed point, as gemmlowp computes it. A byte is multiplier / 2**31 * 2**shift steps
   of 2**-26; `summed` and more below the largest add nothing to the sum, `shown` give 0. */
typedef struct {
    int32_t multiplier, shift, summed, shown, rows, depth;
} softmax_layer;

/* exp(a) in Q0.31 of a <= 0 in Q5.26: a Taylor series around -1/8, and a factor for each bit. */
static int32_t softmax_exp(int32_t a)
{
    static const int32_t factors[7] = {/* exp(-1/4), exp(-1/2), ... exp(-16) */
        1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t rest = (a & 0xffffff) - 0x1000000, x = rest * 32 + (1 << 28);
    const int32_t x2 = high_multiply(x, x), x3 = high_multiply(x2, x);
    const int32_t x4 = (high_multiply(x2, x2) + 2) >> 2;
    const int32_t series = (high_multiply(x4 + x3, 715827883) + x2 + 1) >> 1; /* 1 / 3 */
    int32_t result = 1895147668 + high_multiply(1895147668, x + series);      /* exp(-1 / 8) */
    for (int32_t i = 0; i < 7; i++) {
        if ((rest - a) >> (24 + i) & 1) {
            result = high_multiply(result, factors[i]);
        }
    }
    return a == 0 ? INT32_MAX : result;
}

static int32_t softmax_part(const softmax_layer *l, int32_t below, int32_t end)
{
    return below < end
        ? softmax_exp(high_multiply(-below * ((int32_t)1 << l->shift), l->multiplier)) : 0;
}

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
            const int32_t part = softmax_part(l, most - in[c], l->summed);
            sum += (part >> 12) + (part >> 11 & 1);
        }
        uint32_t bits = (uint32_t)sum;
        for (digits = 12; (bits >> 31) == 0; digits--) {
            bits <<= 1;
        }
        const int32_t scale = softmax_reciprocal((int32_t)(bits - ((uint32_t)1 << 31)));
        for (int32_t c = 0; c < l->depth; c++) {
            const int64_t value = high_multiply(scale, softmax_part(l, most - in[c], l->shown));
            out[c] = clamp((int32_t)((value + ((int64_t)1 << (digits + 22))) >> (digits + 23)), 0, 255);
        }
    }
}
