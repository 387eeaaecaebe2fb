/* needs: lanes_layer lanes_vnni lanes_avx2 lanes_wasm */
#if LANES > 1
#ifdef __clang__
#define UNROLLED _Pragma("clang loop unroll(full)")
#else
#define UNROLLED _Pragma("GCC unroll 32")
#endif

/* A tile of `high` by `wide` bytes for `blocks` vectors of filters: its sums stay in registers. */
KERNEL void lanes_tile(
    const lanes_layer *l, int32_t high, int32_t wide, int32_t blocks, int32_t block,
    const staged *in, uint8_t *out)
{
    const int32_t columns = wide * l->pool, count = high * l->pool * columns;
    const int32_t groups = (l->columns + GROUP - 1) / GROUP;
    const int32_t last = l->filters < LANES ? 0 : l->filters - LANES;
    int32_t first[4];
    lanes sums[4][SUMS], weights[4];
    UNROLLED
    for (int32_t b = 0; b < blocks; b++) {
        first[b] = (block + b) * LANES < last ? (block + b) * LANES : last;
        UNROLLED
        for (int32_t p = 0; p < count; p++) {
            sums[b][p] = lanes_load(l->bias + first[b]);
        }
    }
    for (int32_t i = 0; i < l->rows; i++) {
        for (int32_t g = 0; g < groups; g++) {
            const staged *at = in + i * l->row_step + g * GROUP;
            __asm__("" : "+r"(at)); /* or values are kept from step to step, and sums are not */
            UNROLLED
            for (int32_t b = 0; b < blocks; b++) {
                const int32_t row = (i * groups + g) * l->filters;
                weights[b] = lanes_weights(l->weights + (row + first[b]) * GROUP);
            }
            UNROLLED
            for (int32_t p = 0; p < count; p++) {
                const lanes values =
                    lanes_spread(at + p / columns * l->step_h + p % columns * l->step_w);
                UNROLLED
                for (int32_t b = 0; b < blocks; b++) {
                    sums[b][p] = lanes_dot(sums[b][p], values, weights[b]);
                }
            }
        }
    }
    UNROLLED
    for (int32_t b = 0; b < blocks; b++) {
        UNROLLED
        for (int32_t p = 0; p < high * wide; p++) {
            const int32_t y = p / wide, x = p % wide, at = (y * columns + x) * l->pool;
            lanes sum = sums[b][at];
            if (l->pool == 2) {
                sum = lanes_max(
                    lanes_max(sum, sums[b][at + 1]),
                    lanes_max(sums[b][at + columns], sums[b][at + columns + 1]));
            }
            lanes_write(l, sum, first[b], out + (y * l->out_w + x) * l->filters + first[b]);
        }
    }
}

/* All tiles: as large as the registers allow, the last ones of a side over the ones before. */
KERNEL void lanes_tiles(const lanes_layer *l, const staged *in, uint8_t *out)
{
    const int32_t all = (l->filters + LANES - 1) / LANES;
    const int32_t most_blocks = l->out_h * l->out_w == 1 ? 4 : 2;
    const int32_t three = all % 2 && all % 3 == 0 && l->pool == 1;
    const int32_t blocks = all < most_blocks ? all : three ? 3 : most_blocks;
    const int32_t most = SUMS / blocks / (l->pool * l->pool);
    const int32_t across = (l->out_w + most - 1) / most;
    const int32_t wide = (l->out_w + across - 1) / across;
    const int32_t down = (l->out_h + most / wide - 1) / (most / wide);
    const int32_t high = (l->out_h + down - 1) / down;
    for (int32_t block = 0; block < all; block += blocks) {
        for (int32_t i = 0; i < l->out_h; i += high) {
            const int32_t y = i + high < l->out_h ? i : l->out_h - high;
            const staged *row = in + y * l->pool * l->step_h;
            uint8_t *to = out + y * l->out_w * l->filters;
            int32_t x = 0;
            for (; x + wide <= l->out_w; x += wide) {
                lanes_tile(
                    l, high, wide, blocks, block, row + x * l->pool * l->step_w, to + x * l->filters);
            }
            if (l->out_w % wide) {
                lanes_tile(
                    l, high, l->out_w % wide, blocks, block, row + x * l->pool * l->step_w,
                    to + x * l->filters);
            }
        }
    }
}
#endif
