/** What plugin authors test with: conformance suites and the small tools below them. */
export { checkDevice, type DeviceCheck, type DeviceCheckOptions } from "./check_device.ts";
export { checkEncoder, type DrawSize, type EncoderCheck, type EncoderSuite } from "./check_encoder.ts";
export { checkKernel, type KernelCheck } from "./check_kernel.ts";
export { assertCounterDeltas, type Counted, type CounterDeltas } from "./counter_deltas.ts";
export { type DeviceSuite, testDevice } from "./device_conformance.ts";
export { evaluateTower } from "./plan_evaluator.ts";
export {
  growRandomGraph,
  RANDOM_SYMBOLS,
  randomBindings,
  randomInputs,
  randomTensor,
  randomWeights,
} from "./random_graph.ts";
export { BARE_HOST, buildGraph, maxDifference, maxMagnitude, runGraph } from "./run_graph.ts";
