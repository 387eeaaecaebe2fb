/* What the page calls: it writes pixels to input(), and finds the output at read(). */
#include "model.c"

static uint8_t pixels[MODEL_INPUT_SIZE], output[MODEL_CLASSES];
static uint8_t scratch[MODEL_SCRATCH_BYTES] __attribute__((aligned(64)));

__attribute__((export_name("input"))) void *web_input(void)
{
    return pixels;
}

__attribute__((export_name("read"))) void *web_read(void)
{
    model_predict_quantized((void *)pixels, (void *)output, scratch);
    return output;
}
