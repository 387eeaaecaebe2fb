/* needs: requantize clamp */
/* Products of matrices: steps say how each is walked through, so either may be transposed. */
typedef struct {
    int32_t batch, rows, columns, inner, a_row, a_inner, b_column, b_inner, a_batch, b_batch;
    int32_t zero_a, zero_b, multiplier, shift, zero_out;
} matrix_multiply_layer;

static inline void matrix_multiply(
    const matrix_multiply_layer *l, const uint8_t *a, const uint8_t *b, uint8_t *out)
{
    for (int32_t n = 0; n < l->batch; n++, a += l->a_batch, b += l->b_batch) {
        for (int32_t i = 0; i < l->rows; i++) {
            for (int32_t j = 0; j < l->columns; j++) {
                const uint8_t *p = a + i * l->a_row, *q = b + j * l->b_column;
                int32_t sum = 0;
                for (int32_t k = 0; k < l->inner; k++) {
                    sum += (p[k * l->a_inner] - l->zero_a) * (q[k * l->b_inner] - l->zero_b);
                }
                const int32_t value = requantize(sum, l->multiplier, l->shift);
                *out++ = clamp(value + l->zero_out, 0, 255);
            }
        }
    }
}
