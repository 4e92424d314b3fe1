/** `--trace <file>`: how a command's time was spent, for Perfetto and chrome://tracing. */
import type { Command } from "commander";
import type { TraceSink } from "../core/trace.ts";
import type { Host } from "../host/mod.ts";
import { chromeTrace, createTraceRecorder } from "../session/chrome_trace.ts";
import { nonEmpty } from "./options.ts";
import { say } from "./terminal.ts";

export interface TraceOptions {
  readonly trace?: string;
}

export function withTraceOption(command: Command): Command {
  return command.option(
    "--trace <file>",
    "write how the time was spent, for ui.perfetto.dev and chrome://tracing",
    nonEmpty("a file"),
  );
}

export interface TraceFile {
  /** For `createRuntime` and for calls; empty where no trace was asked for. */
  readonly sink: { readonly trace?: TraceSink };
  write(host: Host): Promise<void>;
}

export function traceFile({ trace: file }: TraceOptions): TraceFile {
  if (file === undefined) return { sink: {}, write: async () => {} };
  const recorder = createTraceRecorder();
  return {
    sink: { trace: recorder },
    write: async (host) => {
      await host.writeFileAtomic(file, new TextEncoder().encode(`${JSON.stringify(chromeTrace(recorder.spans))}\n`));
      say(`wrote ${recorder.spans.length} spans to ${file}`);
    },
  };
}
