#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>

#include "@name.h"
#include "esp_timer.h"

/* Fill it with your own picture or values, as the model's input is described in @name.h. */
static @input_type input[@{macro}_INPUT_SIZE];
static float probabilities[@{macro}_CLASSES];
static alignas(@{macro}_SCRATCH_ALIGNMENT) uint8_t scratch[@{macro}_SCRATCH_BYTES];

void app_main(void) {
    int64_t start = esp_timer_get_time();
    @{name}_predict(input, probabilities, scratch);
    int64_t taken = esp_timer_get_time() - start;
    for (int i = 0; i < @{macro}_CLASSES; i++) {
        printf("%d %.6f\n", i, (double)probabilities[i]);
    }
    printf("microseconds %lld\n", (long long)taken);
}
