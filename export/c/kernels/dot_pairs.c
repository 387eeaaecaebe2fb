/* needs: target */
/* The products of each of two rows of values with each of two rows of weights, of PADDED size
   `n`: each row behind the other. */
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

static inline int32_t word(const void *at)
{
    int32_t found;
    memcpy(&found, at, sizeof found);
    return found;
}

static inline void dot_pairs(const uint8_t *a, const int8_t *v, int32_t n, int32_t *sums)
{
    int32_t av = 0, aw = 0, bv = 0, bw = 0;
    for (const uint8_t *end = a + n; a < end;) {
        const int32_t others = word(v + n), weights = word(v);
        const uint8x4_t second = (uint8x4_t)word(a + n), first = (uint8x4_t)word(a);
        v += 4;
        a += 4;
        const int16x2_t v_even = __sxtb16(weights), w_even = __sxtb16(others);
        const int16x2_t a_even = (int16x2_t)__uxtb16(first);
        av = __smlad(a_even, v_even, av);
        aw = __smlad(a_even, w_even, aw);
        const int16x2_t b_even = (int16x2_t)__uxtb16(second);
        bv = __smlad(b_even, v_even, bv);
        bw = __smlad(b_even, w_even, bw);
        const int16x2_t v_odd = odd_weights(weights), w_odd = odd_weights(others);
        const int16x2_t a_odd = odd_values(first), b_odd = odd_values(second);
        av = __smlad(a_odd, v_odd, av);
        aw = __smlad(a_odd, w_odd, aw);
        bv = __smlad(b_odd, v_odd, bv);
        bw = __smlad(b_odd, w_odd, bw);
    }
    sums[0] = av;
    sums[1] = aw;
    sums[2] = bv;
    sums[3] = bw;
}
#else
static inline void dot_pairs(const uint8_t *a, const int8_t *v, int32_t n, int32_t *sums)
{
    int32_t av = 0, aw = 0, bv = 0, bw = 0;
    for (int32_t i = 0; i < n; i++) {
        av += a[i] * v[i];
        aw += a[i] * v[n + i];
        bv += a[n + i] * v[i];
        bw += a[n + i] * v[n + i];
    }
    sums[0] = av;
    sums[1] = aw;
    sums[2] = bv;
    sums[3] = bw;
}
#endif
