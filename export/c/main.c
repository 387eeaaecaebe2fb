/* Classifies one image: values of the input's type from standard input.

       cc -O3 c-int8.c c-int8.main.c -o classify && ./classify < image.raw */
#include "c-int8.h"

#include <stdio.h>

#if defined(__cplusplus)
alignas(MODEL_SCRATCH_ALIGNMENT)
#elif defined(__GNUC__)
__attribute__((aligned(MODEL_SCRATCH_ALIGNMENT)))
#endif
static uint8_t scratch[MODEL_SCRATCH_BYTES];
static ELEMENT input[MODEL_INPUT_SIZE];

int main(void)
{
    float probabilities[MODEL_CLASSES];
    int best = 0;
    if (fread(input, sizeof input[0], MODEL_INPUT_SIZE, stdin) != MODEL_INPUT_SIZE) {
        fprintf(stderr, "standard input must hold %d elements\n", MODEL_INPUT_SIZE);
        return 2;
    }
    model_predict(input, probabilities, scratch);
    for (int i = 0; i < MODEL_CLASSES; i++) {
        best = probabilities[best] < probabilities[i] ? i : best;
    }
#ifdef MODEL_NO_DIGIT
    if (probabilities[best] * (float)model_likeness(input) < 256 * MODEL_MIN_CONFIDENCE) {
        puts("no digit");
        return 0;
    }
#endif
    printf("%d %.4f\n", best, (double)probabilities[best]);
    return 0;
}
