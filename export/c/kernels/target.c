/* What the compiler's target has chooses the kernels; MNIST_EDGE_PORTABLE leaves plain C. A vector
   holds LANES sums, to each of which a step adds GROUP products. */
#if defined(MNIST_EDGE_PORTABLE) || !defined(__GNUC__)
#define LANES 1
#elif defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#ifndef __clang__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized" /* gcc 12 warns of its own header */
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#ifndef __clang__
#pragma GCC diagnostic pop
#endif
#define LANES 16
#define GROUP 4
#elif defined(__AVX2__)
#include <immintrin.h>
#define LANES 8
#define GROUP 2
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#define LANES 4
#define GROUP 2
#else
#define LANES 1
#endif
/* With vectors each layer gets its own code, in which all sizes are known. */
#if LANES > 1
#define KERNEL static inline __attribute__((always_inline))
#else
#define KERNEL static
#endif
/* Elements that an array needs so that a vector of them can be read. */
#define LANED(n) ((n) < LANES ? LANES : (n))
/* Rows of weights end with zeros where compilers make vectors of them, or read words. */
#if defined(__SSE2__) || defined(__aarch64__) || defined(__wasm_simd128__)
#define PADDED(n) (((n) + 31) / 32 * 32)
#else
#define PADDED(n) (((n) + 3) / 4 * 4)
#endif
