/* needs: float_bytes */
typedef struct {
    float scale;
    int32_t zero_in, count;
} dequantize_layer;

static inline void dequantize(const dequantize_layer *l, const uint8_t *in, uint8_t *out)
{
    for (int32_t i = 0; i < l->count; i++) {
        store(out, i, (float)(in[i] - l->zero_in) * l->scale);
    }
}
