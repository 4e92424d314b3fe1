// The canonical ABI of the world fovea:kernel@1.0.0 as C: layouts of its records in memory, and an allocator.
#include <stddef.h>
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name("fovea:kernel/kernels@1.0.0#" name)))
#define RESOURCE(name) __attribute__((import_module("[export]fovea:kernel/kernels@1.0.0"), import_name(name)))

typedef struct { const char *at; uint32_t length; } string;
typedef struct { const string *at; uint32_t length; } strings;
typedef struct { uint8_t some; string value; } optional_string;

enum { F32, I32, U8 };
typedef struct { string name; uint8_t dtype; strings shape; uint8_t weight; } operand;
typedef struct { string size; uint32_t min, max, multiple_of; } interval;
typedef struct {
  string name, pattern;
  struct { const operand *at; uint32_t length; } operands;
  strings output;
  struct { const interval *at; uint32_t length; } ranges;
  optional_string grid;
  strings sizes, attributes;
  string flops;
  optional_string bytes;
} offer;
typedef struct { const offer *at; uint32_t length; } offers_list;

typedef struct { uint8_t type; void *at; uint32_t length; } values;
// A result: 0 with a number or a list, 1 with a sentence.
typedef struct { uint32_t failed; union { uint32_t number; const void *at; }; uint32_t length; } outcome;

#define TEXT(s) { s, sizeof(s) - 1 }
#define COUNTED(list) { list, sizeof(list) / sizeof(list[0]) }

RESOURCE("[resource-new]weights") uint32_t new_weights(void *);

// Memory is taken from the top of the heap. What a call took is given back when it ends; what is kept stays.
extern uint8_t __heap_base;
static uintptr_t heap_top, heap_kept;

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t had, size_t align, size_t wanted) {
  if (heap_top == 0) heap_top = heap_kept = (uintptr_t)&__heap_base;
  uintptr_t at = (heap_top + align - 1) & -align;
  heap_top = at + wanted;
  if (heap_top > __builtin_wasm_memory_size(0) * 65536) {
    if (__builtin_wasm_memory_grow(0, (heap_top - __builtin_wasm_memory_size(0) * 65536 + 65535) / 65536) == (size_t)-1)
      __builtin_trap();
  }
  if (had > 0) __builtin_memcpy((void *)at, old, had);
  return (void *)at;
}

static inline void *allocate(size_t bytes) { return cabi_realloc(NULL, 0, 16, bytes); }
static inline void give_back(void) { heap_top = heap_kept; }

// Moves bytes of the present call to what stays.
static inline void *keep(const void *from, size_t bytes) {
  give_back();
  void *at = allocate(bytes);
  __builtin_memmove(at, from, bytes);
  heap_kept = heap_top;
  return at;
}
