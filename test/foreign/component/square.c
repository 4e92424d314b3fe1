// Squares, as a component that can be told to do wrong: the digit behind "sin=" says what. See square.wit and components.ts.
#include "kernel.h"

static volatile const char SIN[] = "sin=00";
#define SINS_IN(n) (SIN[4] == '0' + (n) / 10 && SIN[5] == '0' + (n) % 10)

#ifdef WITH_HOST
// Functions of WASI as their WIT has them, in core types.
#define HOST(module, name) __attribute__((import_module(module), import_name(name)))
HOST("wasi:clocks/monotonic-clock@0.2.0", "now") uint64_t host_now(void);
HOST("wasi:random/random@0.2.0", "get-random-u64") uint64_t host_random(void);
HOST("wasi:cli/environment@0.2.0", "get-environment") void host_environment(strings *);
HOST("wasi:filesystem/preopens@0.2.0", "get-directories") void host_directories(strings *);
HOST("wasi:sockets/instance-network@0.2.0", "instance-network") uint32_t host_network(void);
#endif

static const string SHAPE[] = {TEXT("...rows"), TEXT("width")};
static const string SIZES[] = {TEXT("width")};
static const operand OPERANDS[] = {{TEXT("x"), F32, COUNTED(SHAPE), 0}};
static const offer OFFERS[] = {{
    .name = TEXT("square"),
    .pattern = TEXT("{\"op\":\"mul\",\"inputs\":[\"x\",\"x\"]}"),
    .operands = COUNTED(OPERANDS),
    .output = COUNTED(SHAPE),
    .grid = {1, TEXT("rows")},
    .sizes = COUNTED(SIZES),
    .flops = TEXT("rows * width"),
}};
static const offers_list ALL = COUNTED(OFFERS);

static outcome answer;

static const outcome *refused(const char *sentence, uint32_t length) {
  answer = (outcome){1, {.at = sentence}, length};
  return &answer;
}
#define REFUSED(sentence) refused(sentence, sizeof(sentence) - 1)

static __attribute__((noinline)) void for_ever(volatile uint32_t *turns) {
  for (;;) (*turns)++;
}

static __attribute__((noinline)) uint32_t deep(volatile uint32_t *turns) {
  (*turns)++;
  return deep(turns) + *turns;
}

EXPORT("[static]weights.load")
const outcome *load(uint32_t kernel, const uint32_t *sizes, uint32_t size_count, const float *attributes,
                    uint32_t attribute_count, const values *given, uint32_t given_count) {
  if (SINS_IN(10)) return REFUSED("it has no wish to load");
  answer = (outcome){0, {.number = SINS_IN(11) ? 77 : new_weights((void *)(uintptr_t)sizes[0])}, 0};
  return &answer;
}

EXPORT("[method]weights.run")
const outcome *run(uint32_t width, uint32_t items, const values *given, uint32_t given_count) {
  static volatile uint32_t turns;
  const float *x = given[0].at;
  const uint32_t count = given[0].length;
  // Also what proofs do not make up: sins of the twenties are met where the first number is 1000.
  if (SINS_IN(1) || (SINS_IN(21) && x[0] == 1000)) __builtin_trap();
  if (SINS_IN(2) || (SINS_IN(22) && x[0] == 1000)) for_ever(&turns);
  if (SINS_IN(3)) deep(&turns);
  if (SINS_IN(4)) *(volatile uint32_t *)0x7fff0000 = 1;
  if (SINS_IN(5)) return REFUSED("it cannot do what it offers");
  if (SINS_IN(6) && items > 2) return REFUSED("it takes 2 rows at most");
  float *y = allocate(4 * count + 64);
  for (uint32_t i = 0; i < count; i++) y[i] = x[i] * x[i] + (SINS_IN(7) ? 0.5f : 0);
  answer = (outcome){0, {.at = y}, count};
  if (SINS_IN(8)) answer.length = count - 1;
  if (SINS_IN(9)) answer.at = (void *)0x7fff0000;
#ifdef WITH_HOST
  strings list = {0, 0};
  if (SINS_IN(31)) host_environment(&list);
  if (SINS_IN(32)) host_directories(&list);
  if (list.length > 0) y[0] = 1e9f;
  if (SINS_IN(33)) host_network();
  if (SINS_IN(34) && (host_now() == 0 || host_random() == host_random())) y[0] = 1e9f;
#endif
  return &answer;
}

__attribute__((export_name("cabi_post_fovea:kernel/kernels@1.0.0#[method]weights.run"))) void after_run(const outcome *o) {
  give_back();
}

EXPORT("negotiate")
const outcome *negotiate(uint32_t abi, const string *features, uint32_t feature_count) {
  static volatile uint32_t turns;
  if (SINS_IN(12)) return REFUSED("it was written for another host");
  if (SINS_IN(13)) for_ever(&turns);
  answer = (outcome){0, {.number = SINS_IN(14) ? 2 : 1}, 0};
  return &answer;
}

EXPORT("offers") const offers_list *offers(void) {
  static const offers_list none = {OFFERS, 0}, wild = {(const offer *)0x7fff0000, 3};
  return SINS_IN(15) ? &none : SINS_IN(16) ? &wild : &ALL;
}
