/* needs: lanes conv_lanes */
#if LANES == 8
/* Winograd's F(2x2, 3x3), exact in integers: four results take 16 products per channel, not 36.
   Weights come transformed, times 4, [16][in_c / 2][out_c][2]. A row of tiles at a time is
   transformed, multiplied for each of the 16 places, and transformed back. */
enum { TILES = 5 }; /* whose sums, for two vectors of filters, are kept in registers */

static inline void winograd_in(lanes d0, lanes d1, lanes d2, lanes d3, lanes *to, int32_t step)
{
    to[0] = _mm256_sub_epi16(d0, d2);
    to[step] = _mm256_add_epi16(d1, d2);
    to[2 * step] = _mm256_sub_epi16(d2, d1);
    to[3 * step] = _mm256_sub_epi16(d1, d3);
}

/* The 4 by 4 pixels of each tile, 16 channels at a time; what is behind the last is not used. */
KERNEL void winograd_values(
    const staged *in, int32_t row, int32_t channels, int32_t tiles, int32_t depth, staged *out)
{
    for (int32_t t = 0; t < tiles; t++) {
        for (int32_t c = 0; c < channels; c += 16) {
            lanes columns[16], all[16];
            UNROLLED
            for (int32_t j = 0; j < 4; j++) {
                lanes d[4];
                UNROLLED
                for (int32_t i = 0; i < 4; i++) {
                    const staged *at = in + i * row + (2 * t + j) * channels + c;
                    d[i] = _mm256_loadu_si256((const lanes *)(const void *)at);
                }
                winograd_in(d[0], d[1], d[2], d[3], columns + j, 4);
            }
            UNROLLED
            for (int32_t i = 0; i < 4; i++) {
                const lanes *d = columns + 4 * i;
                winograd_in(d[0], d[1], d[2], d[3], all + 4 * i, 1);
            }
            UNROLLED
            for (int32_t i = 0; i < 16; i++) {
                staged *to = out + i * (tiles * depth + 16) + t * depth + c;
                _mm256_storeu_si256((lanes *)(void *)to, all[i]);
            }
        }
    }
}

/* One of the 16 products, for `count` tiles and `blocks` vectors of filters. */
KERNEL void winograd_sums(
    const conv_layer *l, const staged *in, int32_t depth, const int16_t *weights, int32_t count,
    int32_t blocks, const int32_t *first, int32_t *out)
{
    lanes sums[2][TILES];
    UNROLLED
    for (int32_t i = 0; i < 2 * TILES; i++) {
        sums[i / TILES][i % TILES] = _mm256_setzero_si256();
    }
    for (int32_t g = 0; g < depth / 2; g++) {
        const staged *at = in + 2 * g;
        __asm__("" : "+r"(at));
        lanes row[2];
        UNROLLED
        for (int32_t b = 0; b < blocks; b++) {
            row[b] = lanes_load((const int32_t *)(const void *)(weights + (g * l->out_c + first[b]) * 2));
        }
        UNROLLED
        for (int32_t t = 0; t < count; t++) {
            const lanes values = lanes_spread(at + t * depth);
            UNROLLED
            for (int32_t b = 0; b < blocks; b++) {
                sums[b][t] = lanes_dot(sums[b][t], values, row[b]);
            }
        }
    }
    UNROLLED
    for (int32_t i = 0; i < count * blocks; i++) {
        _mm256_storeu_si256((lanes *)(void *)(out + i * LANES), sums[i % blocks][i / blocks]);
    }
}

KERNEL void winograd_out(const lanes *m, int32_t step, lanes *low, lanes *high)
{
    const lanes sum = _mm256_add_epi32(m[step], m[2 * step]);
    *low = _mm256_add_epi32(m[0], sum);
    *high = _mm256_sub_epi32(_mm256_sub_epi32(m[step], m[2 * step]), m[3 * step]);
}

/* The four results of a tile, or the largest of them. */
KERNEL void winograd_results(
    const conv_layer *l, const lanes_layer *inner, const int32_t *sums, int32_t step, int32_t first,
    int32_t y, int32_t x, uint8_t *out)
{
    const lanes bias = lanes_load(l->bias + first);
    lanes all[16], rows[8], results[4];
    UNROLLED
    for (int32_t i = 0; i < 16; i++) {
        all[i] = lanes_load(sums + i * step);
    }
    UNROLLED
    for (int32_t j = 0; j < 4; j++) {
        winograd_out(all + j, 4, rows + j, rows + 4 + j);
    }
    winograd_out(rows, 1, results, results + 1);
    winograd_out(rows + 4, 1, results + 2, results + 3);
    if (l->pool == 2) {
        results[0] = lanes_max(lanes_max(results[0], results[1]), lanes_max(results[2], results[3]));
    }
    UNROLLED
    for (int32_t i = 0; i < 4 / l->pool / l->pool; i++) {
        const int32_t down = l->pool == 2 ? y : 2 * y + i / 2, right = l->pool == 2 ? x : 2 * x + i % 2;
        if (down < l->out_h && right < l->out_w) {
            const lanes sum = _mm256_add_epi32(_mm256_srai_epi32(results[i], 2), bias);
            lanes_write(inner, sum, first, out + (down * l->out_w + right) * l->out_c + first);
        }
    }
}

KERNEL void conv_winograd(const conv_layer *l, const uint8_t *in, uint8_t *out, uint8_t *work)
{
    const int32_t down = (l->out_h * l->pool + 1) / 2, tiles = (l->out_w * l->pool + 1) / 2;
    const int32_t row = (2 * tiles + 2) * l->in_c, depth = (l->in_c + 1) / 2 * 2;
    const int32_t all = (l->out_c + LANES - 1) / LANES, blocks = all < 2 ? 1 : 2;
    const int32_t wide = (tiles + (tiles + TILES - 1) / TILES - 1) / ((tiles + TILES - 1) / TILES);
    const int32_t last = l->out_c < LANES ? 0 : l->out_c - LANES;
    const lanes_layer inner = {
        l->weights, l->bias, l->multiplier, l->shift, l->out_c, 3, 3 * l->in_c, l->pool,
        0, 0, 0, l->out_h, l->out_w, 1, l->zero_out, l->low, l->high};
    staged *image = (staged *)(void *)work, *values = image + (2 * down + 2) * row + 16;
    int32_t *sums = (int32_t *)(void *)(values + 16 * (tiles * depth + 16));
    for (int32_t n = 0; n < l->batch; n++, in += l->in_h * l->in_w * l->in_c) {
        conv_stage(l, in, 2 * down + 2, 2 * tiles + 2, image);
        for (int32_t y = 0; y < down; y++) {
            winograd_values(image + 2 * y * row, row, l->in_c, tiles, depth, values);
            for (int32_t block = 0; block < all; block += blocks) {
                int32_t first[2];
                UNROLLED
                for (int32_t b = 0; b < 2; b++) {
                    first[b] = (block + b) * LANES < last ? (block + b) * LANES : last;
                }
                for (int32_t i = 0; i < 16; i++) {
                    const staged *at = values + i * (tiles * depth + 16);
                    const int16_t *weights = (const int16_t *)(const void *)l->weights + i * depth * l->out_c;
                    int32_t *to = sums + i * tiles * blocks * LANES, t = 0;
                    for (; t + wide <= tiles; t += wide) {
                        winograd_sums(
                            l, at + t * depth, depth, weights, wide, blocks, first,
                            to + t * blocks * LANES);
                    }
                    if (tiles % wide) {
                        winograd_sums(
                            l, at + t * depth, depth, weights, tiles % wide, blocks, first,
                            to + t * blocks * LANES);
                    }
                }
                for (int32_t i = 0; i < tiles * blocks; i++) {
                    winograd_results(
                        l, &inner, sums + i * LANES, tiles * blocks * LANES, first[i % blocks], y,
                        i / blocks, out);
                }
            }
        }
        out += l->out_h * l->out_w * l->out_c;
    }
}
#endif
