/* Reads an input, as raw bytes, from standard input and prints the probability of each class. */
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>

#include "@name.h"

static @input_type input[@{macro}_INPUT_SIZE];
static float probabilities[@{macro}_CLASSES];
static alignas(@{macro}_SCRATCH_ALIGNMENT) uint8_t scratch[@{macro}_SCRATCH_BYTES];

int main(void) {
    if (fread(input, sizeof input[0], @{macro}_INPUT_SIZE, stdin) != @{macro}_INPUT_SIZE) {
        fprintf(stderr, "the input must have %u bytes\n", (unsigned)sizeof input);
        return 2;
    }
    @{name}_predict(input, probabilities, scratch);
    for (int i = 0; i < @{macro}_CLASSES; i++) {
        printf("%d %.6f\n", i, (double)probabilities[i]);
    }
    return 0;
}
