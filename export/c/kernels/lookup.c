/* A function of one byte, as the table of its 256 values. */
typedef struct {
    const uint8_t *table;
    int32_t count;
} lookup_layer;

static inline void lookup(const lookup_layer *l, const uint8_t *in, uint8_t *out)
{
    for (int32_t i = 0; i < l->count; i++) {
        out[i] = l->table[in[i]];
    }
}
