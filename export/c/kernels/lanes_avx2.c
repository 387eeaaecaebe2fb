/* needs: lanes_layer */
#if LANES == 8 /* AVX2: 16 bits times 16 bits, two at a time */
typedef __m256i lanes;
typedef int16_t staged;
enum { SUMS = 10 };

static inline lanes lanes_load(const int32_t *at)
{
    return _mm256_loadu_si256((const __m256i *)at);
}

static inline lanes lanes_weights(const int8_t *at)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)at));
}

static inline lanes lanes_bytes(const uint8_t *at)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)at));
}

static inline lanes lanes_spread(const staged *at)
{
    int32_t group;
    memcpy(&group, at, sizeof group);
    return _mm256_set1_epi32(group);
}

static inline lanes lanes_dot(lanes sum, lanes values, lanes weights)
{
    const lanes products = _mm256_madd_epi16(values, weights);
    __asm__("vpaddd {%1, %0, %0|%0, %0, %1}" : "+x"(sum) : "x"(products)); /* gcc would copy sums */
    return sum;
}

static inline lanes lanes_max(lanes a, lanes b)
{
    return _mm256_max_epi32(a, b);
}

static inline lanes lanes_scale(lanes sum, lanes multiplier, lanes down, int32_t twice, int32_t sign)
{
    const lanes half = _mm256_sllv_epi64(_mm256_set1_epi64x((int64_t)1 << 30), down);
    const lanes first = _mm256_set1_epi64x((int64_t)twice << 30);
    const lanes product = _mm256_mul_epi32(sum, multiplier);
    const lanes rounded = _mm256_add_epi64(product, _mm256_add_epi64(first, half));
    const lanes below =
        _mm256_cmpgt_epi64(_mm256_setzero_si256(), _mm256_add_epi64(product, first));
    return sign ? _mm256_add_epi64(rounded, _mm256_slli_epi64(below, 31)) : rounded;
}

static inline void lanes_write(const lanes_layer *l, lanes sum, int32_t first, uint8_t *out)
{
    const lanes down = _mm256_cvtepi8_epi32(
        _mm_sub_epi8(_mm_setzero_si128(), _mm_loadl_epi64((const __m128i *)(l->shift + first))));
    const lanes multiplier = lanes_load(l->multiplier + first);
    const int32_t sign = l->twice && l->low < l->zero_out;
    const lanes even = lanes_scale(
        sum, multiplier, _mm256_and_si256(down, _mm256_set1_epi64x(0xffffffff)), l->twice, sign);
    const lanes odd = lanes_scale(
        _mm256_srli_epi64(sum, 32), _mm256_srli_epi64(multiplier, 32), _mm256_srli_epi64(down, 32),
        l->twice, sign);
    lanes value = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
    value = _mm256_srav_epi32(value, _mm256_sub_epi32(down, _mm256_set1_epi32(1)));
    value = _mm256_add_epi32(value, _mm256_set1_epi32(l->zero_out));
    if (l->low > 0 || l->high < 255) {
        value = _mm256_max_epi32(value, _mm256_set1_epi32(l->low));
        value = _mm256_min_epi32(value, _mm256_set1_epi32(l->high));
    }
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(value), _mm256_extracti128_si256(value, 1));
    const __m128i bytes = _mm_packus_epi16(words, words);
    memcpy(out, &bytes, (size_t)(l->filters < LANES ? l->filters : LANES));
}
#endif
