/** `--trace <file>`: how a command's time was spent, for Perfetto and chrome://tracing, written while it works. */
import type { Command } from "commander";
import { FoveaError } from "../core/diagnostics.ts";
import type { TraceSink } from "../core/trace.ts";
import { detectHost, type Host, type WritableFile } from "../host/mod.ts";
import { createTraceEvents, type TraceEvent } from "../session/explain/chrome_trace.ts";
import { byteSize, nonEmpty } from "./options.ts";
import { say } from "./terminal.ts";

export interface TraceOptions {
  readonly trace?: string;
  readonly traceLimit?: number;
}

const DEFAULT_LIMIT = 256 * 2 ** 20;

export function withTraceOption(command: Command): Command {
  return command
    .option(
      "--trace <file>",
      "write how the time was spent, for ui.perfetto.dev and chrome://tracing",
      nonEmpty("a file"),
    )
    .option(
      "--trace-limit <size>",
      "bytes of the trace after which another begins; one older is kept, as name.1.json (256m)",
      byteSize,
    );
}

export interface TraceFile {
  /** For `createRuntime` and for calls; empty where no trace was asked for. */
  readonly sink: { readonly trace?: TraceSink };
  /** Writes what is left and says so. @throws FoveaError of the first write that failed */
  close(): Promise<void>;
}

/** Characters that are written at once, and milliseconds after which fewer are. */
const PIECE = 2 ** 16;
const PATIENCE = 1000;
/** Characters that wait for a slow disk; events beyond are left out and counted. */
const MOST_WAITING = 2 ** 24;

/** Opens the file. What it holds is an array of events, which readers take without its end as well. @throws FoveaError `file.*`, `bad_usage` */
export async function traceFile({ trace: file, traceLimit: limit }: TraceOptions): Promise<TraceFile> {
  if (file === undefined) {
    if (limit === undefined) return { sink: {}, close: async () => {} };
    throw new FoveaError(
      "bad_usage",
      "--trace-limit is how large the file of --trace may be, and there is no --trace.",
    );
  }
  const host = await detectHost();
  const events = createTraceEvents();
  const written = await openRotating(host, file, limit ?? DEFAULT_LIMIT, () => linesOf(events.names()));
  let waiting = "";
  let counts = { spans: 0, lost: 0 };
  let last = host.now();
  let writing: Promise<void> | undefined;
  let failed: unknown;

  const writeAll = async (): Promise<void> => {
    while (waiting !== "" && failed === undefined) {
      const text = waiting;
      waiting = "";
      await written.append(text);
    }
  };
  const flush = (): Promise<void> => {
    last = host.now();
    writing ??= writeAll()
      .catch((error: unknown) => {
        failed = error;
      })
      .finally(() => {
        writing = undefined;
      });
    return writing;
  };
  const collect = (rest: boolean): void => {
    const text = linesOf(events.take(rest));
    if (failed !== undefined || waiting.length + text.length > MOST_WAITING)
      counts = { ...counts, lost: counts.lost + text.split("\n").length - 1 };
    else waiting += text;
  };
  return {
    sink: {
      trace: {
        span: (span) => {
          counts.spans++;
          events.span(span);
          collect(false);
          if (writing === undefined && (waiting.length >= PIECE || host.now() - last >= PATIENCE)) void flush();
        },
      },
    },
    close: async () => {
      await writing;
      collect(true);
      await flush();
      if (failed !== undefined) throw failed;
      await written.close();
      const { spans, lost } = counts;
      say(`wrote ${spans} spans to ${file}${lost === 0 ? "" : `; ${lost} were left out, the disk being too slow`}`);
    },
  };
}

/** Each with a comma before it: the file's first element stands without. */
const linesOf = (events: readonly TraceEvent[]): string => events.map((e) => `,\n${JSON.stringify(e)}`).join("");

interface Rotating {
  append(text: string): Promise<void>;
  close(): Promise<void>;
}

/** `x.json` becomes `x.1.json`. */
const olderName = (file: string): string => file.replace(/(\.[^./\\]*)?$/, (ending) => `.1${ending}`);

/** @param head what each file begins with */
async function openRotating(host: Host, file: string, limit: number, head: () => string): Promise<Rotating> {
  const encoder = new TextEncoder();
  let open: WritableFile;
  let size = 0;
  const put = async (text: string): Promise<void> => {
    const bytes = encoder.encode(text);
    await open.write(bytes, size);
    size += bytes.length;
  };
  const begin = async (): Promise<void> => {
    await host.remove(file);
    open = await host.openForWriting(file);
    size = 0;
    await put(`[${head().slice(1)}`);
  };
  const end = async (): Promise<void> => {
    await put("\n]\n");
    await open.close();
  };
  await begin();
  return {
    append: async (text) => {
      if (size + text.length > limit && size > limit / 2) {
        await end();
        await host.rename(file, olderName(file));
        await begin();
      }
      await put(text);
    },
    close: end,
  };
}
