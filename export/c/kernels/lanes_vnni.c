/* needs: target */
#if LANES == 16 /* AVX-512 with VNNI: bytes times bytes, four at a time */
typedef __m512i lanes;
typedef uint8_t staged;
enum { SUMS = 16 }; /* vectors of sums that are kept in registers */

static inline lanes lanes_load(const int32_t *at)
{
    return _mm512_loadu_si512(at);
}

static inline lanes lanes_weights(const int8_t *at)
{
    return _mm512_loadu_si512(at);
}

static inline lanes lanes_bytes(const uint8_t *at)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)at));
}

static inline lanes lanes_spread(const staged *at)
{
    int32_t group;
    memcpy(&group, at, sizeof group);
    return _mm512_set1_epi32(group);
}

static inline lanes lanes_dot(lanes sum, lanes values, lanes weights)
{
    return _mm512_dpbusd_epi32(sum, values, weights);
}

static inline lanes lanes_max(lanes a, lanes b)
{
    return _mm512_max_epi32(a, b);
}

/* Half of the products: each rounded twice, or once. */
static inline lanes lanes_scale(lanes sum, lanes multiplier, lanes down, int32_t twice, int32_t sign)
{
    const lanes half = _mm512_sllv_epi64(_mm512_set1_epi64((int64_t)1 << 30), down);
    const lanes first = _mm512_set1_epi64((int64_t)twice << 30);
    const lanes product = _mm512_add_epi64(_mm512_mul_epi32(sum, multiplier), first);
    const lanes rounded = _mm512_add_epi64(product, half);
    const __mmask8 below = _mm512_movepi64_mask(product);
    const lanes one = _mm512_set1_epi64((int64_t)1 << 31);
    return sign ? _mm512_mask_sub_epi64(rounded, below, rounded, one) : rounded;
}

static inline void lanes_write(const lanes_layer *l, lanes sum, int32_t first, uint8_t *out)
{
    const lanes down = _mm512_cvtepi8_epi32(
        _mm_sub_epi8(_mm_setzero_si128(), _mm_loadu_si128((const __m128i *)(l->shift + first))));
    const lanes multiplier = lanes_load(l->multiplier + first);
    const int32_t sign = l->twice && l->low < l->zero_out;
    const lanes even = lanes_scale(
        sum, multiplier, _mm512_and_si512(down, _mm512_set1_epi64(0xffffffff)), l->twice, sign);
    const lanes odd = lanes_scale(
        _mm512_srli_epi64(sum, 32), _mm512_srli_epi64(multiplier, 32), _mm512_srli_epi64(down, 32),
        l->twice, sign);
    lanes value = _mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_CDAB);
    value = _mm512_srav_epi32(value, _mm512_sub_epi32(down, _mm512_set1_epi32(1)));
    value = _mm512_add_epi32(value, _mm512_set1_epi32(l->zero_out));
    value = _mm512_max_epi32(value, _mm512_set1_epi32(l->low));
    value = _mm512_min_epi32(value, _mm512_set1_epi32(l->high));
    const __m128i bytes = _mm512_cvtepi32_epi8(value);
    if (l->filters < LANES) {
        _mm_mask_storeu_epi8(out, (__mmask16)((1U << l->filters) - 1U), bytes);
    } else {
        _mm_storeu_si128((__m128i *)out, bytes);
    }
}
#endif
