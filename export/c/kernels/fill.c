typedef struct {
    int32_t value, count;
} fill_layer;

static inline void fill(const fill_layer *l, uint8_t *out)
{
    memset(out, l->value, (size_t)l->count);
}
