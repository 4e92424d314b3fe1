import { testReplay } from "./replay_kit.ts";

testReplay("wasm-simd128");
