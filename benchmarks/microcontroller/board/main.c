/* Runs a model on images that lie in flash and sends the outcome through the serial port.
 *
 * No interrupt, no libc and no float: what the linker adds to this file's code is the model's.
 * On a fault, or when done, it resets the machine, which ends QEMU (-no-reboot). */
#include <stdint.h>

#include MODEL_HEADER

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define SYSTICK 0xE000E010u
#define RESET_CONTROL 0xE000ED0Cu
#define START_WORD 0x4547444Du
#define END_WORD 0x444E4521u
#define PAINT 0xA5A5A5A5u
/* Their difference is 1,000,000 instructions: whole ticks of 40, 50 and 62.5 instructions. */
#define SHORT_LOOP 100000u
#define LONG_LOOP 600000u
#define TOO_LONG 0xFFFFFFFFu

extern uint32_t stack_bottom[], stack_top[];
extern const uint32_t images[]; /* their number, three unused words, then the images */

static uint8_t input[MODEL_INPUT_BYTES] __attribute__((aligned(16)));
static uint8_t output[MODEL_OUTPUT_BYTES] __attribute__((aligned(16)));
static volatile int likeness __attribute__((unused));
static uint8_t scratch[MODEL_SCRATCH_BYTES] __attribute__((aligned(MODEL_ALIGNMENT)));

__attribute__((noreturn)) static void stop(void) {
    REGISTER(RESET_CONTROL) = 0x05FA0004u;
    for (;;) {
    }
}

static void start_serial(void) {
#ifdef NRF51
    REGISTER(SERIAL + 0x500) = 4; /* enabled */
    REGISTER(SERIAL + 0x008) = 1; /* starts to send */
#else
    REGISTER(SERIAL + 0x10) = 16; /* the least divisor of the baud rate */
    REGISTER(SERIAL + 0x08) = 1;  /* may send */
#endif
}

static void send(const void *bytes, uint32_t count) {
    const uint8_t *next = bytes;
    while (count--) {
#ifdef NRF51
        REGISTER(SERIAL + 0x11C) = 0; /* becomes 1 when the byte is sent */
        REGISTER(SERIAL + 0x51C) = *next++;
        while (!REGISTER(SERIAL + 0x11C)) {
        }
#else
        while (REGISTER(SERIAL + 0x04) & 1) { /* full */
        }
        REGISTER(SERIAL) = *next++;
#endif
    }
}

static void send_word(uint32_t word) { send(&word, sizeof word); }

/* SysTick counts down, one tick per cycle of the processor's clock. */
static void start_ticks(void) {
    REGISTER(SYSTICK + 4) = 0xFFFFFF;
    REGISTER(SYSTICK + 8) = 0;
    REGISTER(SYSTICK) = 5;
    while (REGISTER(SYSTICK + 8) == 0) {
    }
    (void)REGISTER(SYSTICK); /* clears the flag that it passed 0 */
}

static uint32_t ticks(uint32_t from) {
    uint32_t now = REGISTER(SYSTICK + 8);
    return REGISTER(SYSTICK) & 0x10000 ? TOO_LONG : from - now;
}

__attribute__((noinline)) static uint32_t time_loop(uint32_t count) {
    start_ticks();
    uint32_t from = REGISTER(SYSTICK + 8);
    __asm__ volatile(".syntax unified\n1: subs %0, #1\nbne 1b" : "+l"(count) : : "cc");
    return ticks(from);
}

/* One call: fills `input`, paints the stack, and sends ticks, bytes of stack and the output. */
__attribute__((noinline)) static void call(const uint8_t *image) {
    uint32_t *below;
    for (uint32_t i = 0; i < MODEL_INPUT_BYTES; i++) input[i] = image[i];
    __asm__ volatile("mov %0, sp" : "=r"(below));
    for (volatile uint32_t *word = stack_bottom; word < below; word++) *word = PAINT;
    start_ticks();
    uint32_t from = REGISTER(SYSTICK + 8);
    MODEL_PREDICT((const void *)input, (void *)output, scratch);
#ifdef MODEL_LIKENESS
    likeness = MODEL_LIKENESS((const void *)input);
#endif
    uint32_t taken = ticks(from);
    volatile uint32_t *word = stack_bottom;
    while (word < below && *word == PAINT) word++;
    send_word(taken);
    send_word(word == stack_bottom ? TOO_LONG : (uint32_t)(below - word) * 4);
    send(output, sizeof output);
}

__attribute__((noreturn)) static void start(void) {
    start_serial();
    send_word(START_WORD);
    send_word(time_loop(SHORT_LOOP));
    send_word(time_loop(LONG_LOOP));
#ifdef MODEL_SELF_TEST
    send_word((uint32_t)MODEL_SELF_TEST(scratch));
#else
    send_word(0);
#endif
    const uint8_t *image = (const uint8_t *)(images + 4);
    for (uint32_t i = 0; i < images[0]; i++, image += MODEL_INPUT_BYTES) call(image);
    send_word(END_WORD);
    stop();
}

__attribute__((section(".vectors"), used)) void *const vectors[16] = {
    stack_top, (void *)start, (void *)stop, (void *)stop, (void *)stop, (void *)stop, (void *)stop,
};
