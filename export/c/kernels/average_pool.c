/* needs: target clamp */
/* Rounds away from 0 at ties; `offset` is the byte that stands for the integer 0. */
typedef struct {
    average_pool_number batch, in_h, in_w, channels, out_h, out_w, k_h, k_w;
    average_pool_number stride_h, stride_w, pad_h, pad_w;
    average_pool_number offset, low, high;
} average_pool_layer;

#if LANES > 1
typedef uint8_t average_pool_bytes __attribute__((vector_size(16)));
typedef uint16_t average_pool_sums __attribute__((vector_size(32)));
enum { AVERAGE_POOL_BLOCK = 16, AVERAGE_POOL_TAPS = 256 }; /* of which the sum fits into 16 bits */

/* The first `count` of 16 neighboring bytes; the others may belong to the next pixel. */
KERNEL void average_pool_block(
    const average_pool_layer *l, const uint8_t *in, int32_t count, uint8_t *out)
{
    const uint16_t taps = (uint16_t)(l->k_h * l->k_w);
    average_pool_bytes bytes;
    average_pool_sums sums = {0};
    for (int32_t i = 0; i < l->k_h; i++) {
        for (int32_t j = 0; j < l->k_w; j++) {
            memcpy(&bytes, in + (i * l->in_w + j) * l->channels, sizeof bytes);
            sums += __builtin_convertvector(bytes, average_pool_sums);
        }
    }
    const average_pool_sums is_below = (average_pool_sums)(sums <= (uint16_t)(l->offset * taps));
    sums = (sums + (uint16_t)(taps / 2) + (taps % 2 ? is_below & 0 : is_below)) / taps;
    if (l->low > 0 || l->high < 255) {
        const average_pool_sums low = (average_pool_sums)(sums < (uint16_t)l->low);
        const average_pool_sums high = (average_pool_sums)(sums > (uint16_t)l->high);
        sums = (sums & ~low & ~high) | ((uint16_t)l->low & low) | ((uint16_t)l->high & high);
    }
    bytes = __builtin_convertvector(sums, average_pool_bytes);
    memcpy(out, &bytes, (size_t)(count < AVERAGE_POOL_BLOCK ? count : AVERAGE_POOL_BLOCK));
}
#endif

KERNEL void average_pool(const average_pool_layer *l, const uint8_t *in, uint8_t *out)
{
    /* Then the compiler knows what it divides by. */
    const int32_t is_inside = !l->pad_h && !l->pad_w &&
        (l->out_h - 1) * l->stride_h + l->k_h <= l->in_h &&
        (l->out_w - 1) * l->stride_w + l->k_w <= l->in_w;
    for (int32_t n = 0; n < l->batch; n++, in += l->in_h * l->in_w * l->channels) {
        for (int32_t p = 0; p < l->out_h * l->out_w; p++) {
            const int32_t y = p / l->out_w * l->stride_h - l->pad_h;
            const int32_t x = p % l->out_w * l->stride_w - l->pad_w;
#if LANES > 1
            const int32_t last = (y + l->k_h - 1) * l->in_w + x + l->k_w - 1;
            const int32_t behind = (l->in_h * l->in_w - last) * l->channels;
            if (is_inside && l->k_h * l->k_w <= AVERAGE_POOL_TAPS && behind >= AVERAGE_POOL_BLOCK) {
                const int32_t most = l->channels - AVERAGE_POOL_BLOCK;
                for (int32_t c = 0; c < l->channels; c += AVERAGE_POOL_BLOCK) {
                    const int32_t first = most < 0 ? 0 : c < most ? c : most;
                    average_pool_block(
                        l, in + (y * l->in_w + x) * l->channels + first, l->channels, out + first);
                }
                out += l->channels;
                continue;
            }
#endif
            const int32_t top = y < 0 ? 0 : y, left = x < 0 ? 0 : x;
            const int32_t bottom = y + l->k_h < l->in_h ? y + l->k_h : l->in_h;
            const int32_t right = x + l->k_w < l->in_w ? x + l->k_w : l->in_w;
            const int32_t count = is_inside ? l->k_h * l->k_w : (bottom - top) * (right - left);
            for (int32_t c = 0; c < l->channels; c++) {
                int32_t sum = -l->offset * count;
                for (int32_t i = top; i < bottom; i++) {
                    for (int32_t j = left; j < right; j++) {
                        sum += in[(i * l->in_w + j) * l->channels + c];
                    }
                }
                sum += sum > 0 ? count / 2 : -(count / 2);
                *out++ = clamp(sum / count + l->offset, l->low, l->high);
            }
        }
    }
}
