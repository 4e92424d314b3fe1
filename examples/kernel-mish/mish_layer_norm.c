// y = layer_norm(m) * scale + bias, row by row, of m = x tanh(log(1 + e^x)). With n = e^x (e^x + 2) the hyperbolic tangent of the
// logarithm is n / (n + 2): one exponential and one division where the chain of ops has an exponential, a logarithm and a
// hyperbolic tangent. The row is normalised while it lies in the cache.
#include <stdint.h>
#include <wasm_simd128.h>

// The words of the argument table, in the order of `arguments` in plugin.json.
typedef struct {
  float *output;       // [rows, width]
  const float *x;      // [rows, width]
  const float *scale;  // [width]
  const float *bias;   // [width]
  uint32_t rows;
  uint32_t width;  // a multiple of 8
  float eps;
} arguments;

#ifdef __wasm_relaxed_simd__
#define MADD(a, b, c) wasm_f32x4_relaxed_madd(a, b, c)
#else
#define MADD(a, b, c) wasm_f32x4_add(wasm_f32x4_mul(a, b), c)
#endif
#define ALL(value) wasm_f32x4_splat(value)

// From 20 on it is x in f32; below -87 e^x is no normal number, and it is less than 1e-35.
static inline v128_t mish(v128_t x) {
  const v128_t t = wasm_f32x4_pmax(wasm_f32x4_pmin(x, ALL(20.0f)), ALL(-87.0f));
  // t = k ln 2 + r with |r| <= ln(2) / 2; adding 1.5 * 2^23 leaves k in the low bits.
  const v128_t shifted = MADD(t, ALL(1.44269504f), ALL(12582912.0f));
  const v128_t k = wasm_f32x4_sub(shifted, ALL(12582912.0f));
  const v128_t r = MADD(k, ALL(2.12194440e-4f), MADD(k, ALL(-0.693359375f), t));
  // The Taylor series of e^r up to r^6, which is off by 1.2e-7 at most.
  v128_t p = MADD(r, ALL(1.0f / 720), ALL(1.0f / 120));
  p = MADD(p, r, ALL(1.0f / 24));
  p = MADD(p, r, ALL(1.0f / 6));
  p = MADD(p, r, ALL(0.5f));
  p = MADD(p, r, ALL(1.0f));
  p = MADD(p, r, ALL(1.0f));
  const v128_t power = wasm_i32x4_add(wasm_i32x4_shl(shifted, 23), wasm_i32x4_splat(0x3f800000));
  const v128_t e = wasm_f32x4_mul(p, power);
  const v128_t n = MADD(e, e, wasm_f32x4_add(e, e));
  return wasm_f32x4_mul(x, wasm_f32x4_div(n, wasm_f32x4_add(n, ALL(2.0f))));
}

static inline float sum_of(v128_t v) {
  return wasm_f32x4_extract_lane(v, 0) + wasm_f32x4_extract_lane(v, 1) +
         (wasm_f32x4_extract_lane(v, 2) + wasm_f32x4_extract_lane(v, 3));
}

__attribute__((export_name("mish_layer_norm"))) int32_t mish_layer_norm(const arguments *a) {
  // Read once, so that the loops' ends are known when they begin: the host then counts all their turns at once.
  const uint32_t rows = a->rows, width = a->width;
  const float *const scale = a->scale, *const bias = a->bias;
  const float *x = a->x;
  float *y = a->output;
  const float count = (float)width, eps = a->eps;
  if (width % 8 != 0 || width == 0) return 1;
  for (uint32_t row = 0; row < rows; row++, x += width, y += width) {
    v128_t s0 = ALL(0.0f), s1 = s0;
    for (uint32_t i = 0; i < width; i += 8) {
      const v128_t p = mish(wasm_v128_load(x + i)), q = mish(wasm_v128_load(x + i + 4));
      wasm_v128_store(y + i, p);
      wasm_v128_store(y + i + 4, q);
      s0 = wasm_f32x4_add(s0, p);
      s1 = wasm_f32x4_add(s1, q);
    }
    const v128_t mean = ALL(sum_of(wasm_f32x4_add(s0, s1)) / count);
    // The mean of what remains corrects a first mean of large numbers.
    v128_t d0 = ALL(0.0f), d1 = d0, q0 = d0, q1 = d0;
    for (uint32_t i = 0; i < width; i += 8) {
      const v128_t p = wasm_f32x4_sub(wasm_v128_load(y + i), mean);
      const v128_t q = wasm_f32x4_sub(wasm_v128_load(y + i + 4), mean);
      d0 = wasm_f32x4_add(d0, p);
      d1 = wasm_f32x4_add(d1, q);
      q0 = MADD(p, p, q0);
      q1 = MADD(q, q, q1);
    }
    const float rest = sum_of(wasm_f32x4_add(d0, d1)) / count;
    const float variance = sum_of(wasm_f32x4_add(q0, q1)) / count - rest * rest;
    const v128_t inverse = ALL(1.0f / __builtin_sqrtf((variance > 0 ? variance : 0) + eps));
    const v128_t middle = wasm_f32x4_add(mean, ALL(rest));
    for (uint32_t i = 0; i < width; i += 8) {
      const v128_t p = wasm_f32x4_mul(wasm_f32x4_sub(wasm_v128_load(y + i), middle), inverse);
      const v128_t q = wasm_f32x4_mul(wasm_f32x4_sub(wasm_v128_load(y + i + 4), middle), inverse);
      wasm_v128_store(y + i, MADD(p, wasm_v128_load(scale + i), wasm_v128_load(bias + i)));
      wasm_v128_store(y + i + 4, MADD(q, wasm_v128_load(scale + i + 4), wasm_v128_load(bias + i + 4)));
    }
  }
  return 0;
}
