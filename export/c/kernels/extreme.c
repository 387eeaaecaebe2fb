/* needs: broadcast */
/* The larger byte, or the smaller one. */
typedef struct {
    shape steps;
    int32_t is_maximum;
} extreme_layer;

static inline uint8_t extreme_one(const void *layer, uint8_t a, uint8_t b)
{
    const extreme_layer *l = (const extreme_layer *)layer;
    return (a < b) == l->is_maximum ? b : a;
}

static inline void extreme(const extreme_layer *l, const uint8_t *a, const uint8_t *b, uint8_t *out)
{
    broadcast(&l->steps, l, extreme_one, a, b, out);
}
