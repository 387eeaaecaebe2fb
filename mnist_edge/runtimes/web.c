/* What a page calls: it writes the input to input(), and finds the output at read(). The compiler
   is given the names of the model's function and sizes. */
#include "model.c"

static float input[INPUT_SIZE], output[CLASSES]; /* or as many bytes */
static uint8_t scratch[SCRATCH_BYTES] __attribute__((aligned(64)));

__attribute__((export_name("input"))) void *web_input(void)
{
    return input;
}

__attribute__((export_name("read"))) void *web_read(void)
{
    PREDICT((void *)input, (void *)output, scratch);
    return output;
}

#ifdef MODEL_NO_DIGIT /* of a page */
__attribute__((export_name("likeness"))) int web_likeness(void)
{
    return model_likeness((const uint8_t *)input); /* of what was last read */
}
#endif
