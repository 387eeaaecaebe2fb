/* needs: lanes_layer requantize requantize_once clamp */
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

/* Not a copy in every tile: the file is to be small. */
__attribute__((noinline)) static void lanes_write(
    const lanes_layer *l, lanes sum, int32_t first, uint8_t *out)
{
    int32_t sums[LANES];
    wasm_v128_store(sums, sum);
    for (int32_t c = 0; c < LANES && c < l->filters; c++) {
        const int32_t multiplier = l->multiplier[first + c], shift = l->shift[first + c];
        const int32_t value = l->twice ? requantize(sums[c], multiplier, shift)
                                       : requantize_once(sums[c], multiplier, shift);
        out[c] = clamp(value + l->zero_out, l->low, l->high);
    }
}
#endif
