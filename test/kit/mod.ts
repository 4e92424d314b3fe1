/**
 * `fovea/testing`: what plugin authors test with, conformance suites and the small tools below them.
 * @module
 */
export type { ExpectationEffort } from "../../runtime/compile/expect.ts";
export type { RefTensor, WeightValues } from "../../runtime/ir/evaluate/mod.ts";
export type { Graph } from "../../runtime/ir/graph.ts";
export type { Make, OpTable } from "../../runtime/ir/node.ts";
export { checkDevice, type DeviceCheck, type DeviceCheckOptions } from "./check_device.ts";
export { checkEncoder, type DrawSize, type EncoderCheck, type EncoderSuite } from "./check_encoder.ts";
export { checkKernel, type KernelCheck } from "./check_kernel.ts";
export { assertCounterDeltas, type Counted, type CounterDeltas } from "./counter_deltas.ts";
export { type DeviceSuite, testDevice } from "./device_conformance.ts";
export { type CheckpointValues, evaluateTower } from "./plan_evaluator.ts";
export {
  growRandomGraph,
  RANDOM_SYMBOLS,
  randomBindings,
  randomInputs,
  randomTensor,
  randomWeights,
} from "./random_graph.ts";
export {
  BARE_HOST,
  buildGraph,
  maxDifference,
  maxMagnitude,
  type OpenGraphOptions,
  type RunGraphOptions,
  type RunGraphResult,
  runGraph,
} from "./run_graph.ts";
