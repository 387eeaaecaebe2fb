/* On a microcontroller the library's memcpy and memset are larger than all that they would do. */
#if defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M' && defined(__GNUC__)
__attribute__((noinline)) static void copy(uint8_t *to, const uint8_t *from, int32_t count)
{
    /* Each loop has an empty statement, or the compiler calls memcpy in its place. */
#ifdef __ARM_FEATURE_UNALIGNED
    for (; count >= 4; count -= 4, from += 4, to += 4) {
        int32_t four;
        memcpy(&four, from, sizeof four);
        memcpy(to, &four, sizeof four);
        __asm__("" : "+r"(from));
    }
#endif
    for (; count > 0; count--) {
        *to++ = *from++;
        __asm__("" : "+r"(from));
    }
}

__attribute__((noinline)) static void set(uint8_t *to, int32_t value, int32_t count)
{
    while (--count >= 0) {
        to[count] = (uint8_t)value;
        __asm__("" : "+r"(count));
    }
}
#else
static inline void copy(uint8_t *to, const uint8_t *from, int32_t count)
{
    memcpy(to, from, (size_t)count);
}

static inline void set(uint8_t *to, int32_t value, int32_t count)
{
    memset(to, value, (size_t)count);
}
#endif
