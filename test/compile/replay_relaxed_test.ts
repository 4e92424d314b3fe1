import { testReplay } from "./replay_kit.ts";

testReplay("wasm-relaxed");
