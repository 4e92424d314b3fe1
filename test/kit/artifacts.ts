/** Artifacts of components on one device, without a runtime around them. */
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import type { Device } from "../../runtime/abi/device.ts";
import { createMemoryStore } from "../../runtime/exec/store/memory_store.ts";
import { OP_TABLE } from "../../runtime/ir/ops.ts";
import { type Artifacts, createArtifacts } from "../../runtime/session/artifacts/artifacts.ts";
import { createJournal } from "../../runtime/session/artifacts/journal.ts";
import { createPlaces } from "../../runtime/session/artifacts/places.ts";
import { BARE_HOST } from "./run_graph.ts";

/** Compiles with the kernels of the wasm plugin as nobody configured it; a kernel that fails its proof is an error. */
export function openArtifacts(device: Device): Promise<Artifacts> {
  return createArtifacts({
    places: createPlaces({ device, plugins: [wasmPlugin], host: BARE_HOST }),
    ops: OP_TABLE,
    store: createMemoryStore(),
    layers: [],
    strict: true,
    journal: createJournal(),
    engine: "test",
    onProblem: () => {},
    now: () => performance.now(),
    findPlace: async () => undefined,
    today: () => 0,
    packs: [],
  });
}
