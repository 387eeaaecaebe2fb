/* Rows by their numbers; numbers out of range give the first or the last. */
typedef struct {
    int32_t count, rows, row_bytes;
} gather_layer;

static inline void gather(
    const gather_layer *l, const uint8_t *table, const uint8_t *numbers, uint8_t *out)
{
    for (int32_t i = 0; i < l->count; i++) {
        int32_t row;
        memcpy(&row, numbers + 4 * i, 4);
        row = row < 0 ? 0 : row >= l->rows ? l->rows - 1 : row;
        memcpy(out + i * l->row_bytes, table + row * l->row_bytes, (size_t)l->row_bytes);
    }
}
