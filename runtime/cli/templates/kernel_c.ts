/** A kernel in C. */
import { kernelReadme, moduleFiles, type Template } from "./project.ts";

const SOURCE = `// output = x * (x + y)
#include <stdint.h>
#include <wasm_simd128.h>

// The words of the argument table, in the order of \`arguments\` in plugin.json.
typedef struct {
  float *output;
  const float *x;
  const float *y;
  uint32_t rows;
  uint32_t width;
} arguments;

__attribute__((export_name("gate"))) int32_t gate(const arguments *a) {
  // Read once: loops whose ends are known when they begin are counted at once by the host.
  const uint32_t count = a->rows * a->width, whole = count & ~3u;
  const float *const x = a->x, *const y = a->y;
  float *const output = a->output;
  for (uint32_t i = 0; i < whole; i += 4) {
    const v128_t v = wasm_v128_load(x + i);
    wasm_v128_store(output + i, wasm_f32x4_mul(v, wasm_f32x4_add(v, wasm_v128_load(y + i))));
  }
  for (uint32_t i = whole; i < count; i++) output[i] = x[i] * (x[i] + y[i]);
  return 0;
}
`;

const BUILD = `// Compiles gate.c with clang, then writes its digest into plugin.json.
import { execFileSync } from "node:child_process";

const flags =
  "--target=wasm32 -O3 -std=c11 -ffreestanding -nostdlib -fno-builtin-memset -Wall -Wextra -msimd128 -Wl,--no-entry" +
  " -Wl,--import-memory -Wl,--strip-all -Wl,-z,stack-size=0 -Wl,--global-base=0 -o gate.wasm gate.c";
const runs = (name) => {
  try {
    return execFileSync(name, ["--version"], { stdio: "ignore" }) === null;
  } catch {
    return false;
  }
};
const clang = ["clang-19", "clang", "./node_modules/.bin/yowasp-clang"].find(runs);
if (clang === undefined) {
  console.error("No clang was found: apt-get install clang-19 lld-19, or npm install --save-dev @yowasp/clang.");
  process.exit(1);
}
execFileSync(clang, flags.split(" "), { stdio: "inherit" });
`;

export const KERNEL_C: Template = {
  name: "kernel-c",
  makes: "a kernel in C, as core WebAssembly",
  files: (name) => ({
    ...moduleFiles(name),
    "gate.c": SOURCE,
    "build.mjs": BUILD,
    "README.md": kernelReadme(name, "A kernel for fovea in C: `x * (x + y)` in one pass.", [
      "Building needs clang and lld for WebAssembly: `apt-get install clang-19 lld-19`, or `npm install --save-dev @yowasp/clang`.",
    ]),
  }),
};
