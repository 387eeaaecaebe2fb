/* needs: target */
/* A function of one byte, as the table of its 256 values. */
typedef struct {
    const uint8_t *table;
    int32_t count;
} lookup_layer;

#if LANES == 16 && defined(__AVX512VBMI__) /* the table is four registers */
KERNEL void lookup(const lookup_layer *l, const uint8_t *in, uint8_t *out)
{
    const __m512i first = _mm512_loadu_si512(l->table), second = _mm512_loadu_si512(l->table + 64);
    const __m512i third = _mm512_loadu_si512(l->table + 128);
    const __m512i fourth = _mm512_loadu_si512(l->table + 192);
    for (int32_t i = 0; i < l->count; i += 64) {
        const int32_t left = l->count - i;
        const __mmask64 some = left < 64 ? ((__mmask64)1 << left) - 1 : ~(__mmask64)0;
        const __m512i x = _mm512_maskz_loadu_epi8(some, in + i);
        const __m512i low = _mm512_permutex2var_epi8(first, x, second);
        const __m512i high = _mm512_permutex2var_epi8(third, x, fourth);
        _mm512_mask_storeu_epi8(
            out + i, some, _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), low, high));
    }
}
#else
#if LANES >= 8
enum { LOOKUP_VECTORS = 4, LOOKUP_BLOCK = 32 * LOOKUP_VECTORS };

/* Half of the table, for bytes whose highest bit, which makes a shuffle give 0, is `flipped`: 16
   values at a time, exclusive-or the 16 before, which the larger bytes have had too. */
KERNEL void lookup_half(const uint8_t *table, const uint8_t *in, char flipped, __m256i *sums)
{
    __m256i x[LOOKUP_VECTORS], before = _mm256_setzero_si256();
    for (int32_t k = 0; k < LOOKUP_VECTORS; k++) {
        const __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)(in + 32 * k));
        x[k] = _mm256_xor_si256(bytes, _mm256_set1_epi8(flipped));
    }
    for (int32_t t = 0; t < 128; t += 16) {
        const __m256i values = _mm256_broadcastsi128_si256(
            _mm_loadu_si128((const __m128i *)(const void *)(table + t)));
        for (int32_t k = 0; k < LOOKUP_VECTORS; k++) {
            const __m256i change = _mm256_shuffle_epi8(_mm256_xor_si256(values, before), x[k]);
            sums[k] = _mm256_xor_si256(sums[k], change);
            x[k] = _mm256_subs_epi8(x[k], _mm256_set1_epi8(16));
        }
        before = values;
    }
}
#endif

static inline void lookup(const lookup_layer *l, const uint8_t *in, uint8_t *out)
{
    int32_t i = 0;
#if LANES >= 8
    for (; i + LOOKUP_BLOCK <= l->count; i += LOOKUP_BLOCK) {
        __m256i sums[LOOKUP_VECTORS] = {
            _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
            _mm256_setzero_si256()};
        lookup_half(l->table, in + i, 0, sums);
        lookup_half(l->table + 128, in + i, (char)-128, sums);
        memcpy(out + i, sums, sizeof sums);
    }
#endif
    for (; i < l->count; i++) {
        out[i] = l->table[in[i]];
    }
}
#endif
