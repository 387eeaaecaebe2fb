/* needs: lanes_layer */
#if LANES == 4 /* WebAssembly: 16 bits times 16 bits, two at a time */
typedef v128_t lanes;
typedef int16_t staged;
enum { SUMS = 8 };

static inline lanes lanes_load(const int32_t *at)
{
    return wasm_v128_load(at);
}

static inline lanes lanes_weights(const int8_t *at)
{
    return wasm_i16x8_load8x8(at);
}

static inline lanes lanes_spread(const staged *at)
{
    return wasm_v128_load32_splat(at);
}

static inline lanes lanes_dot(lanes sum, lanes values, lanes weights)
{
    return wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(values, weights));
}

static inline lanes lanes_max(lanes a, lanes b)
{
    return wasm_i32x4_max(a, b);
}

/* x * factor / 2**31, rounded by what is added before. */
static inline lanes lanes_scale(lanes x, lanes factor, int64_t added)
{
    const lanes more = wasm_i64x2_splat(added);
    const lanes low = wasm_i64x2_add(wasm_i64x2_extmul_low_i32x4(x, factor), more);
    const lanes high = wasm_i64x2_add(wasm_i64x2_extmul_high_i32x4(x, factor), more);
    return wasm_i32x4_shuffle(wasm_i64x2_shr(low, 31), wasm_i64x2_shr(high, 31), 0, 2, 4, 6);
}

/* Not a copy in every tile: the file is to be small. A shift to the right by s, rounded up at ties,
   is a product with 2**(31 - s); away from 0 if a negative one is less by one before. */
__attribute__((noinline)) static void lanes_write(
    const lanes_layer *l, lanes sum, int32_t first, uint8_t *out)
{
    const int64_t half = (int64_t)1 << 30;
    const int8_t *shift = l->shift + first;
    const lanes power = wasm_u32x4_make(
        1u << (31 + shift[0]), 1u << (31 + shift[1]), 1u << (31 + shift[2]), 1u << (31 + shift[3]));
    lanes value = lanes_scale(sum, lanes_load(l->multiplier + first), l->twice ? half : 0);
    if (l->twice) {
        value = wasm_i32x4_add(value, wasm_i32x4_shr(value, 31));
    }
    value = wasm_i32x4_add(lanes_scale(value, power, half), wasm_i32x4_splat(l->zero_out));
    value = wasm_i32x4_max(value, wasm_i32x4_splat(l->low));
    value = wasm_i32x4_min(value, wasm_i32x4_splat(l->high));
    const lanes words = wasm_i16x8_narrow_i32x4(value, value);
    const lanes bytes = wasm_u8x16_narrow_i16x8(words, words);
    if (l->filters < LANES) {
        const int32_t four = wasm_i32x4_extract_lane(bytes, 0);
        memcpy(out, &four, (size_t)l->filters);
    } else {
        wasm_v128_store32_lane(out, bytes, 0);
    }
}
#endif
