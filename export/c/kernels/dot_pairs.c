/* needs: target */
/* The products of each of two rows of values with each of two rows of weights, of PADDED size. */
#if defined(__ARM_FEATURE_DSP) && !defined(MNIST_EDGE_PORTABLE)
#include <arm_acle.h>

/* Bytes 1 and 3 as 16 bits: those of weights signed, those of values not; `sxtb16` has 0 and 2. */
static inline int16x2_t odd_weights(int8x4_t x)
{
    int16x2_t odd;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(x));
    return odd;
}

static inline int16x2_t odd_values(uint8x4_t x)
{
    int16x2_t odd;
    __asm__("uxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(x));
    return odd;
}

static inline void dot_pairs(
    const uint8_t *a, const uint8_t *b, const int8_t *v, const int8_t *w, int32_t n, int32_t *sums)
{
    int32_t av = 0, aw = 0, bv = 0, bw = 0;
    for (const uint8_t *end = a + n; a < end; a += 4, b += 4, v += 4, w += 4) {
        int8x4_t weights, others;
        uint8x4_t values;
        memcpy(&weights, v, 4);
        memcpy(&others, w, 4);
        const int16x2_t v_even = __sxtb16(weights), v_odd = odd_weights(weights);
        const int16x2_t w_even = __sxtb16(others), w_odd = odd_weights(others);
        memcpy(&values, a, 4);
        const int16x2_t a_even = (int16x2_t)__uxtb16(values), a_odd = odd_values(values);
        av = __smlad(a_odd, v_odd, __smlad(a_even, v_even, av));
        aw = __smlad(a_odd, w_odd, __smlad(a_even, w_even, aw));
        memcpy(&values, b, 4);
        const int16x2_t b_even = (int16x2_t)__uxtb16(values), b_odd = odd_values(values);
        bv = __smlad(b_odd, v_odd, __smlad(b_even, v_even, bv));
        bw = __smlad(b_odd, w_odd, __smlad(b_even, w_even, bw));
    }
    sums[0] = av;
    sums[1] = aw;
    sums[2] = bv;
    sums[3] = bw;
}
#else
static inline void dot_pairs(
    const uint8_t *a, const uint8_t *b, const int8_t *v, const int8_t *w, int32_t n, int32_t *sums)
{
    int32_t av = 0, aw = 0, bv = 0, bw = 0;
    for (int32_t i = 0; i < n; i++) {
        av += a[i] * v[i];
        aw += a[i] * w[i];
        bv += b[i] * v[i];
        bw += b[i] * w[i];
    }
    sums[0] = av;
    sums[1] = aw;
    sums[2] = bv;
    sums[3] = bw;
}
#endif
