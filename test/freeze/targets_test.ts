/** Targets of `fovea freeze` that this engine cannot prove. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { relaxedMultiplyAdd } from "../../kernels/wasm/device/probe.ts";
import { freezeCommand } from "../../runtime/cli/freeze.ts";
import { hasCode } from "../kit/assertions.ts";
import { withFolder } from "../kit/folder.ts";
import { repositoryPath } from "../kit/run_cli.ts";

const isRelaxed = relaxedMultiplyAdd() !== "absent";

test(
  "edge-relaxed is refused with what can be done where the engine has no relaxed SIMD",
  { skip: isRelaxed && "this engine has relaxed SIMD" },
  () =>
    withFolder((folder) =>
      assert.rejects(
        freezeCommand().parseAsync(
          [repositoryPath("examples/models/digits-clip"), "--target", "edge-relaxed", "--out", join(folder, "edge")],
          { from: "user" },
        ),
        hasCode(
          "unsupported_target",
          /^The target edge-relaxed is proven where it is frozen, .* Freeze it with Deno, or Node from 22 on, or take --target edge\.$/,
        ),
      ),
    ),
);
