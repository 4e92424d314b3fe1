// y = layer_norm(x + residual) * scale + bias, row by row: the sum is normalised while it lies in the cache.
#include <stdint.h>
#include <wasm_simd128.h>

// The words of the argument table, in the order of `arguments` in plugin.json.
typedef struct {
  float *output;          // [rows, width]
  const float *x;         // [rows, width]
  const float *residual;  // [rows, width]
  const float *scale;     // [width]
  const float *bias;      // [width]
  uint32_t rows;
  uint32_t width;  // a multiple of 8
  float eps;
} arguments;

#ifdef __wasm_relaxed_simd__
#define MADD(a, b, c) wasm_f32x4_relaxed_madd(a, b, c)
#else
#define MADD(a, b, c) wasm_f32x4_add(wasm_f32x4_mul(a, b), c)
#endif

static inline float sum_of(v128_t v) {
  return wasm_f32x4_extract_lane(v, 0) + wasm_f32x4_extract_lane(v, 1) +
         (wasm_f32x4_extract_lane(v, 2) + wasm_f32x4_extract_lane(v, 3));
}

__attribute__((export_name("add_layer_norm"))) int32_t add_layer_norm(const arguments *a) {
  // Read once: the compiler cannot know that the table is not written to. Loops whose ends are known when they begin are
  // counted at once by the host; others at every few turns.
  const uint32_t rows = a->rows, width = a->width;
  const float *const scale = a->scale, *const bias = a->bias;
  const float *x = a->x, *r = a->residual;
  float *y = a->output;
  const float n = (float)width, eps = a->eps;
  if (width % 8 != 0 || width == 0) return 1;
  for (uint32_t row = 0; row < rows; row++, x += width, r += width, y += width) {
    // Two sums, so that additions need not wait for each other.
    v128_t s0 = wasm_f32x4_splat(0), s1 = s0;
    for (uint32_t i = 0; i < width; i += 8) {
      v128_t p = wasm_f32x4_add(wasm_v128_load(x + i), wasm_v128_load(r + i));
      v128_t q = wasm_f32x4_add(wasm_v128_load(x + i + 4), wasm_v128_load(r + i + 4));
      wasm_v128_store(y + i, p);
      wasm_v128_store(y + i + 4, q);
      s0 = wasm_f32x4_add(s0, p);
      s1 = wasm_f32x4_add(s1, q);
    }
    const v128_t mean = wasm_f32x4_splat(sum_of(wasm_f32x4_add(s0, s1)) / n);
    // The mean of what remains corrects a first mean of large numbers.
    v128_t d0 = wasm_f32x4_splat(0), d1 = d0, q0 = d0, q1 = d0;
    for (uint32_t i = 0; i < width; i += 8) {
      v128_t p = wasm_f32x4_sub(wasm_v128_load(y + i), mean);
      v128_t q = wasm_f32x4_sub(wasm_v128_load(y + i + 4), mean);
      d0 = wasm_f32x4_add(d0, p);
      d1 = wasm_f32x4_add(d1, q);
      q0 = MADD(p, p, q0);
      q1 = MADD(q, q, q1);
    }
    const float rest = sum_of(wasm_f32x4_add(d0, d1)) / n;
    const float variance = sum_of(wasm_f32x4_add(q0, q1)) / n - rest * rest;
    const v128_t inverse = wasm_f32x4_splat(1.0f / __builtin_sqrtf((variance > 0 ? variance : 0) + eps));
    const v128_t rests = wasm_f32x4_splat(rest);
    for (uint32_t i = 0; i < width; i += 8) {
      v128_t p = wasm_f32x4_sub(wasm_f32x4_sub(wasm_v128_load(y + i), mean), rests);
      v128_t q = wasm_f32x4_sub(wasm_f32x4_sub(wasm_v128_load(y + i + 4), mean), rests);
      wasm_v128_store(y + i, MADD(wasm_f32x4_mul(p, inverse), wasm_v128_load(scale + i), wasm_v128_load(bias + i)));
      wasm_v128_store(y + i + 4,
                      MADD(wasm_f32x4_mul(q, inverse), wasm_v128_load(scale + i + 4), wasm_v128_load(bias + i + 4)));
    }
  }
  return 0;
}
