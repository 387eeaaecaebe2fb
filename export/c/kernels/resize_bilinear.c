/* Interpolates in units of 2**-10 pixels; `offset` is the byte that stands for the integer 0. */
typedef struct {
    int32_t batch, in_h, in_w, channels, out_h, out_w, step_h, step_w, start_h, start_w, offset;
} resize_bilinear_layer;

static inline int32_t resize_bound(int32_t at, int32_t size)
{
    return at < 0 ? 0 : at > size - 1 ? size - 1 : at;
}

static inline void resize_bilinear(const resize_bilinear_layer *l, const uint8_t *in, uint8_t *out)
{
    for (int32_t n = 0; n < l->batch; n++, in += l->in_h * l->in_w * l->channels) {
        for (int32_t p = 0; p < l->out_h * l->out_w; p++) {
            const int32_t y = p / l->out_w * l->step_h + l->start_h;
            const int32_t x = p % l->out_w * l->step_w + l->start_w;
            const int32_t top = resize_bound(y >> 10, l->in_h);
            const int32_t left = resize_bound(x >> 10, l->in_w);
            const int32_t bottom = resize_bound((y + 1023) >> 10, l->in_h);
            const int32_t right = resize_bound((x + 1023) >> 10, l->in_w);
            const int64_t down = y - (top << 10), across = x - (left << 10);
            const uint8_t *corners[4] = {
                in + (top * l->in_w + left) * l->channels,
                in + (top * l->in_w + right) * l->channels,
                in + (bottom * l->in_w + left) * l->channels,
                in + (bottom * l->in_w + right) * l->channels,
            };
            for (int32_t c = 0; c < l->channels; c++) {
                int64_t sum = (corners[0][c] - l->offset) * (1024 - down) * (1024 - across);
                sum += (corners[1][c] - l->offset) * (1024 - down) * across;
                sum += (corners[2][c] - l->offset) * down * (1024 - across);
                sum += (corners[3][c] - l->offset) * down * across;
                sum += sum > 0 ? 1 << 19 : -(1 << 19);
                *out++ = (uint8_t)(sum / (1 << 20) + l->offset);
            }
        }
    }
}
