/* needs: broadcast */
typedef struct {
    shape steps;
} minimum_layer;

static inline uint8_t minimum_one(const void *layer, uint8_t a, uint8_t b)
{
    (void)layer;
    return a < b ? a : b;
}

static inline void minimum(const minimum_layer *l, const uint8_t *a, const uint8_t *b, uint8_t *out)
{
    broadcast(&l->steps, l, minimum_one, a, b, out);
}
