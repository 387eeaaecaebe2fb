#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>

#include "@name.h"

static alignas(@{macro}_SCRATCH_ALIGNMENT) uint8_t scratch[@{macro}_SCRATCH_BYTES];

int main(void) {
    int differing = @{name}_self_test(scratch);
    printf("golden vectors that differ: %d\n", differing);
    return differing != 0;
}
