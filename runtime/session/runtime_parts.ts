/** What a runtime is composed of. */
import type { ReopenableDevice } from "../abi/device.ts";
import type { Plugin } from "../abi/plugin.ts";
import type { Store } from "../exec/store/store.ts";
import type { Host } from "../host/mod.ts";
import type { OpTable } from "../ir/node.ts";
import type { Artifacts } from "./artifacts/artifacts.ts";
import type { Journal } from "./artifacts/journal.ts";
import type { Places } from "./artifacts/places.ts";
import type { PatternWatch } from "./config/patterns.ts";
import type { RuntimeOptions } from "./options.ts";
import type { EncoderPlugins } from "./registry/encoder_plugins.ts";

export interface RuntimeParts {
  readonly host: Host;
  /** The caller's; of the first-party ones those whose devices may be needed. */
  readonly plugins: readonly Plugin[];
  readonly encoders: EncoderPlugins;
  readonly device: ReopenableDevice;
  /** Answers for encoders until they are ready on `device`, where they are handed over. */
  readonly interim?: ReopenableDevice | undefined;
  readonly places: Places;
  readonly artifacts: Artifacts;
  readonly store: Store;
  readonly ops: OpTable;
  readonly patterns: PatternWatch;
  readonly journal: Journal;
  readonly options: RuntimeOptions;
}
