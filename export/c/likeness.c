#ifdef MODEL_NO_DIGIT
AXES

MEANS

WEIGHTS

/* Ink is what differs from the background, which is the median. It is centered, summed in 7 x 7
   blocks and scaled; its distance is what the axes leave of it, and how far it is along them from
   the nearest class. */
int model_likeness(const uint8_t *input)
{
    uint32_t blocks[49] = {0}, mass = 1, down = 0, across = 0, squares = 0, root = 0, share;
    int32_t places[COUNT] = {0}, rest = 0, nearest = INT32_MAX, background = 0;
    const int8_t *axis = likeness_axes, *mean = likeness_means;
    for (int32_t bit = 128; bit != 0; bit >>= 1) {
        int32_t below = 0;
        for (int32_t i = 0; i < 784; i++) {
            below += input[i] < (background | bit);
        }
        background |= below < 392 ? bit : 0;
    }
    for (int32_t pass = 0, i = 0; pass < 2; pass++, i = 0) {
        for (uint32_t y = 0; y < 28; y++) {
            for (uint32_t x = 0; x < 28; x++, i++) {
                const int32_t off = input[i] - background;
                const uint32_t ink = (uint32_t)(off < 0 ? -off : off);
                if (pass == 0) {
                    mass += ink;
                    down += ink * y;
                    across += ink * x;
                } else {
                    blocks[(y + down) % 28 / 4 * 7 + (x + across) % 28 / 4] += ink;
                }
            }
        }
        if (pass == 0) {
            down = 42 - (down + mass - 1) / mass;
            across = 42 - (across + mass - 1) / mass;
        }
    }
    for (int32_t i = 0; i < 49; i++) {
        squares += blocks[i] * blocks[i];
    }
    if (squares < NO_INK) {
        return 0;
    }
    for (uint32_t bit = 32768; bit != 0; bit >>= 1) {
        root |= (root | bit) * (root | bit) <= squares + PALE ? bit : 0;
    }
    for (int32_t i = 0; i < 49; i++) {
        const int32_t value = (int32_t)((blocks[i] << VALUE_BITS) / root);
        const int is_inner = i % 7 % 6 != 0 && i / 7 % 6 != 0;
        rest += value * value * (is_inner ? 1 : OUTER_SHARE);
        for (int32_t k = 0; is_inner && k < COUNT; k++) {
            places[k] += *axis++ * value;
        }
    }
    for (int32_t k = 0; k < COUNT; k++) {
        places[k] >>= AXIS_BITS;
        rest -= places[k] * places[k];
    }
    for (int32_t c = 0; c < 10; c++) {
        int32_t apart = 0;
        for (int32_t k = 0; k < COUNT; k++) {
            const int32_t off = places[k] - *mean++ * MEAN_UNIT;
            apart += off * off * likeness_weights[k] >> WEIGHT_BITS;
        }
        nearest = apart < nearest ? apart : nearest;
    }
    rest = rest + nearest < 0 ? 0 : (rest + nearest) / STEP;
    share = (uint32_t)(rest < 2 * PARTS ? rest : 2 * PARTS);
    for (int32_t i = 0; i < 3; i++) {
        share = share * share / PARTS;
    }
    return (int)(PARTS * PARTS / (PARTS + share));
}
#endif
