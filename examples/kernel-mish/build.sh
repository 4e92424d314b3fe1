#!/bin/sh
# Builds both modules and writes their digests into plugin.json. Needs clang-19, lld-19 (apt-get install clang-19 lld-19) and fovea;
# inside of its repository: FOVEA="bun ../../runtime/cli/main.ts" sh build.sh
set -e
cd "$(dirname "$0")"
flags="--target=wasm32 -O3 -std=c11 -ffreestanding -nostdlib -fno-builtin-memset -Wall -Wextra
  -Wl,--no-entry -Wl,--import-memory -Wl,--strip-all -Wl,-z,stack-size=0 -Wl,--global-base=0"
clang-19 $flags -msimd128 -o mish_layer_norm.simd128.wasm mish_layer_norm.c
clang-19 $flags -msimd128 -mrelaxed-simd -o mish_layer_norm.relaxed.wasm mish_layer_norm.c
${FOVEA:-npx fovea} plugin build .
