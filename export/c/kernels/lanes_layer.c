/* needs: target */
#if LANES > 1
/* Sums of products of staged values and weights, [rows][columns / GROUP][filters][GROUP]; `pool`
   by `pool` neighbors give the byte of the largest. Steps are in elements. */
typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    int32_t filters, rows, columns, pool, row_step, step_h, step_w, out_h, out_w;
    int32_t twice, zero_out, low, high;
} lanes_layer;
#endif
