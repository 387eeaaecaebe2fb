/* From int8 to bytes with 128 added. */
typedef struct {
    int32_t count;
} flip_layer;

static inline void flip(const flip_layer *l, const uint8_t *in, uint8_t *out)
{
    for (int32_t i = 0; i < l->count; i++) {
        out[i] = (uint8_t)(in[i] ^ 128);
    }
}
