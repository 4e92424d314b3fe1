import { channelScalesCases, integerMatmulCases, packCodesCases, quantizeCases } from "./cases/quantized_cases.ts";
import { testCases } from "./emit_kit.ts";

testCases([...quantizeCases(), ...packCodesCases(), ...channelScalesCases(), ...integerMatmulCases()]);
