/* needs: broadcast */
typedef struct {
    shape steps;
} maximum_layer;

static inline uint8_t maximum_one(const void *layer, uint8_t a, uint8_t b)
{
    (void)layer;
    return a < b ? b : a;
}

static inline void maximum(const maximum_layer *l, const uint8_t *a, const uint8_t *b, uint8_t *out)
{
    broadcast(&l->steps, l, maximum_one, a, b, out);
}
