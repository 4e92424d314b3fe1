// y = x * w^T for x [rows, depth] and weights w [columns, depth], which are laid out once, when they load: columns in groups of
// four beside each other.
#include "kernel.h"
#include <wasm_simd128.h>

static const string X_SHAPE[] = {TEXT("...rows"), TEXT("depth")};
static const string W_SHAPE[] = {TEXT("columns"), TEXT("depth")};
static const string Y_SHAPE[] = {TEXT("...rows"), TEXT("columns")};
static const string SIZES[] = {TEXT("columns"), TEXT("depth")};
static const operand OPERANDS[] = {
    {TEXT("x"), F32, COUNTED(X_SHAPE), 0},
    {TEXT("w"), F32, COUNTED(W_SHAPE), 1},
};
static const interval RANGES[] = {
    {TEXT("columns"), 4, 16384, 4},
    {TEXT("depth"), 1, 16384, 1},
};
static const offer OFFERS[] = {{
    .name = TEXT("product"),
    .pattern = TEXT("{\"op\":\"matmul\",\"attributes\":{\"transpose_b\":true},\"inputs\":[\"x\",\"w\"]}"),
    .operands = COUNTED(OPERANDS),
    .output = COUNTED(Y_SHAPE),
    .ranges = COUNTED(RANGES),
    .grid = {1, TEXT("rows")},
    .sizes = COUNTED(SIZES),
    .flops = TEXT("2 * rows * columns * depth"),
}};
static const offers_list ALL = COUNTED(OFFERS);

// Answers lie here until the next call: fovea reads them before.
static outcome answer;

static const outcome *refused(const char *sentence, uint32_t length) {
  answer = (outcome){1, {.at = sentence}, length};
  return &answer;
}
#define REFUSED(sentence) refused(sentence, sizeof(sentence) - 1)

typedef struct {
  uint32_t columns, depth;
  float panels[];  // [columns / 4, depth, 4]
} loaded;

EXPORT("[static]weights.load")
const outcome *load(uint32_t kernel, const uint32_t *sizes, uint32_t size_count, const float *attributes,
                    uint32_t attribute_count, const values *given, uint32_t given_count) {
  const uint32_t columns = sizes[0], depth = sizes[1];
  const float *w = given[0].at;
  if (kernel != 0 || columns % 4 != 0 || given[0].length != columns * depth) return REFUSED("it takes multiples of 4 columns");
  // Built behind what the host has copied in, which it may then take the place of.
  const uint32_t bytes = sizeof(loaded) + 4 * columns * depth;
  loaded *l = allocate(bytes);
  l->columns = columns;
  l->depth = depth;
  for (uint32_t column = 0; column < columns; column += 4, w += 4 * depth) {
    float *panel = l->panels + column * depth;
    for (uint32_t i = 0; i < depth; i++) {
      for (uint32_t c = 0; c < 4; c++) panel[4 * i + c] = w[c * depth + i];
    }
  }
  answer = (outcome){0, {.number = new_weights(keep(l, bytes))}, 0};
  return &answer;
}

// Rows of a block share what is read of the weights.
static inline void block(const float *x, const float *panel, float *y, uint32_t rows, uint32_t columns, uint32_t depth) {
  v128_t sums[4];
  for (uint32_t r = 0; r < rows; r++) sums[r] = wasm_f32x4_splat(0);
  for (uint32_t i = 0; i < depth; i++) {
    const v128_t w = wasm_v128_load(panel + 4 * i);
    for (uint32_t r = 0; r < rows; r++) {
      sums[r] = wasm_f32x4_add(sums[r], wasm_f32x4_mul(wasm_v128_load32_splat(x + r * depth + i), w));
    }
  }
  for (uint32_t r = 0; r < rows; r++) wasm_v128_store(y + r * columns, sums[r]);
}

EXPORT("[method]weights.run")
const outcome *run(const loaded *l, uint32_t items, const values *given, uint32_t given_count) {
  const uint32_t columns = l->columns, depth = l->depth;
  const float *x = given[0].at;
  float *y = allocate(4 * items * columns);
  for (uint32_t row = 0; row < items; row += 4) {
    const uint32_t rows = items - row < 4 ? items - row : 4;
    for (uint32_t column = 0; column < columns; column += 4) {
      const float *panel = l->panels + column * depth;
      const float *from = x + row * depth;
      float *to = y + row * columns + column;
      if (rows == 4) block(from, panel, to, 4, columns, depth);
      else
        for (uint32_t r = 0; r < rows; r++) block(from + r * depth, panel, to + r * columns, 1, columns, depth);
    }
  }
  answer = (outcome){0, {.at = y}, items * columns};
  return &answer;
}

__attribute__((export_name("cabi_post_fovea:kernel/kernels@1.0.0#[method]weights.run"))) void after_run(const outcome *o) {
  give_back();
}

EXPORT("negotiate")
const outcome *negotiate(uint32_t abi, const string *features, uint32_t feature_count) {
  if (abi != 1) return REFUSED("it was written for abi 1");
  answer = (outcome){0, {.number = 1}, 0};
  return &answer;
}

EXPORT("offers") const offers_list *offers(void) { return &ALL; }
