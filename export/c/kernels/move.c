/* Copies runs of bytes between two places that step through their tensors differently. */
typedef struct {
    int32_t dims[5], in_steps[5], out_steps[5], in_start, out_start, run;
} move_layer;

static inline void move(const move_layer *l, const uint8_t *in, uint8_t *out)
{
    int32_t at[5] = {0, 0, 0, 0, 0};
    for (;;) {
        int32_t from = l->in_start, to = l->out_start, d = 4;
        for (int32_t i = 0; i < 5; i++) {
            from += at[i] * l->in_steps[i];
            to += at[i] * l->out_steps[i];
        }
        memcpy(out + to, in + from, (size_t)l->run);
        while (++at[d] == l->dims[d]) {
            at[d] = 0;
            if (--d < 0) {
                return;
            }
        }
    }
}
