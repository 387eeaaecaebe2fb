/* needs: target */
/* The products of each of two rows of values with each of two rows of weights, of PADDED size. */
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
