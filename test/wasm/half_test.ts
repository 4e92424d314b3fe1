import { halfMatmulCases, halfPackCases, storedCases } from "./cases/half_cases.ts";
import { testCases } from "./emit_kit.ts";

testCases([
  ...storedCases(),
  ...halfPackCases(),

  ...[false, true].flatMap((madd) => halfMatmulCases(madd)),
]);
