/** `fovea serve`: models over HTTP, until an interrupt. */
import process from "node:process";
import { Command, InvalidArgumentError, Option } from "commander";
import { FoveaError } from "../core/diagnostics.ts";
import type { ServedModel, ServerApp, ServerOptions } from "../server/mod.ts";
import type { Expected } from "../session/check.ts";
import { BEARER_TOKENS, HOSTS, ORIGINS } from "../session/check_http.ts";
import { listenForInterrupt } from "./interrupt.ts";
import {
  byteSize,
  type CalibrationOption,
  CONFIG_FILE,
  type CommonOptions,
  type JpegOption,
  jpegOption,
  MODALITIES,
  nameList,
  nonEmpty,
  type Opened,
  oneOf,
  wholeNumber,
  withCalibrationOption,
  withCommonOptions,
  withJpegOption,
  withRuntime,
} from "./options.ts";
import { print, say } from "./terminal.ts";
import { type TraceOptions, traceFile, withTraceOption } from "./trace_file.ts";

interface ServeOptions extends Omit<CommonOptions, "token">, CalibrationOption, JpegOption, TraceOptions {
  readonly port: number;
  readonly host: string;
  readonly components?: readonly string[];
  readonly token?: readonly string[];
  readonly hubToken?: string;
  readonly maxWait?: number;
  readonly batchMs?: number;
  readonly queue?: number;
  readonly deadline?: number;
  readonly maxBody?: number;
  readonly maxText?: number;
  readonly rateLimit?: number;
  readonly cors?: readonly string[];
  readonly allowImagesFrom?: readonly string[];
  readonly log: boolean;
}

const ONE_MINUTE = 60_000;

const HUB_TOKEN: Option = new Option(
  "--hub-token <token>",
  "token for private and gated models of the hub (also HF_TOKEN)",
).argParser(nonEmpty("a token"));

export function serveCommand(): Command {
  const command = new Command("serve")
    .description("Serve models over HTTP: embeddings compatible with OpenAI's API, any results, classification.")
    .argument("<models...>", "model folders, hf:organisation/name, or addresses; name=<model> gives a name of its own")
    .option("--port <n>", "port; 0 takes any that is free", wholeNumber(0, 65535), 8000)
    .option("--host <address>", "interface to listen on; 0.0.0.0 for all", nonEmpty("an address"), "127.0.0.1")
    .option("--components <list>", "towers to load: vision, text, audio; all unless given", towers)
    .option("--token <token>", "bearer token that requests need; may be repeated", repeatedToken)
    .option(
      "--max-wait <ms>",
      "milliseconds that an input waits at most for others to share its call with (4)",
      milliseconds,
    )
    .option("--batch-ms <ms>", "predicted milliseconds of a call that no input is added to (100)", milliseconds)
    .option("--queue <n>", "requests that are worked on or wait at once; more get 429 (256)", wholeNumber(1))
    .option("--deadline <ms>", "milliseconds until a request is ended (30000)", wholeNumber(1))
    .option("--max-body <size>", "most bytes of a request, such as 32m", byteSize)
    .option("--max-text <n>", "most characters of a text (100000)", wholeNumber(1))
    .option("--rate-limit <n>", "most requests of an address in a minute", wholeNumber(1))
    .option("--cors <origins>", "origins whose pages may ask, comma-separated; * is everybody", listOf(ORIGINS))
    .option("--allow-images-from <hosts>", "hosts that pictures are fetched from, comma-separated", listOf(HOSTS))
    .option("--no-log", "no line about each request");
  return withCommonOptions(withJpegOption(withCalibrationOption(withTraceOption(command))), CONFIG_FILE, HUB_TOKEN)
    .addHelpText(
      "after",
      "\nStdout has a line of JSON for each request; SIGHUP loads the models again, SIGINT and SIGTERM answer what was accepted and end.\n" +
        "\nExamples:\n  fovea serve ./clip --port 8000\n  fovea serve clip=hf:openai/clip-vit-base-patch32 minilm=./minilm --host 0.0.0.0 --token $TOKEN",
    )
    .action(serveModels);
}

/** @throws InvalidArgumentError */
function milliseconds(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value >= 0) return value;
  throw new InvalidArgumentError("Expected milliseconds, 0 or more.");
}

/** A parser of a list with commas. */
function listOf({ text, holds }: Expected): (list: string) => readonly string[] {
  return (list) => {
    const names = nameList(list);
    if (!holds(names)) throw new InvalidArgumentError(`Expected ${text}.`);
    return names;
  };
}

function towers(text: string): readonly string[] {
  return nameList(text).map(oneOf(MODALITIES));
}

function repeatedToken(value: string, before: readonly string[] = []): readonly string[] {
  if (BEARER_TOKENS.holds([value])) return [...before, value];
  throw new InvalidArgumentError("Expected a token of letters, digits and any of ._~+/-, without spaces.");
}

/** The last part of a folder's path or of an address. */
function nameOf(model: string): string {
  const parts = model.replace(/^hf:/, "").replace(/@.*$/, "").split(/[/\\]/);
  return parts.filter((part) => part !== "" && part !== ".").pop() ?? model;
}

/** Models by name. @throws FoveaError `bad_usage` */
function namedModels(
  models: readonly string[],
  { components, dtype, calibration, jpegShrinkOnLoad }: ServeOptions,
): Readonly<Record<string, { readonly source: string } & ServedModel>> {
  const load = {
    ...(dtype === undefined ? {} : { dtype }),
    ...(calibration === undefined ? {} : { calibration }),
    ...jpegOption({ jpegShrinkOnLoad }),
    ...(components === undefined ? {} : { components: components as ("vision" | "text" | "audio")[] }),
  };
  const named = new Map<string, { source: string } & ServedModel>();
  for (const model of models) {
    const [, name, source] = /^([\w.-]+)=(.*)$/.exec(model) ?? ["", nameOf(model), model];
    if (source === "") {
      throw new FoveaError("bad_usage", `"${model}" names no model; write it behind the sign, as in ${name}=./folder.`);
    }
    if (named.has(name)) {
      throw new FoveaError(
        "bad_usage",
        `Two models are called "${name}"; give one another name, as in other=${source}.`,
      );
    }
    named.set(name, { source, load });
  }
  return Object.fromEntries(named);
}

/** What the command line says of the server; the rest has values of its own. */
function serverOptions(options: ServeOptions): Partial<ServerOptions> {
  const { token, maxWait, batchMs, queue, deadline, maxBody, maxText, rateLimit, cors, allowImagesFrom } = options;
  const given = {
    tokens: token,
    ...{ maxWait, batchMs, queue, deadline, maxBody, maxText, cors, allowImagesFrom },
    rateLimit: rateLimit === undefined ? undefined : { requests: rateLimit, windowMs: ONE_MINUTE },
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** The line that says what is served. */
function startLine(app: ServerApp, url: string, { runtime }: Opened, options: JpegOption): string {
  const models = app
    .served()
    .map(({ name, modelType, modalities }) => `${name} (${modelType}: ${modalities.join(", ")})`);
  const { compiled, cacheHits } = runtime.stats().counters;
  const interim = runtime.interim === undefined ? "" : `, until it is ready on ${runtime.interim}`;
  const workers = runtime.threads === 0 ? "no workers" : `${runtime.threads} workers`;
  return (
    `fovea: serving ${models.join(", ")} at ${url} on ${runtime.device} (${runtime.target}, ${workers})${interim}; ` +
    `sealed with ${compiled + cacheHits} artifacts, ${cacheHits} of them from the cache` +
    (options.jpegShrinkOnLoad === true ? "; JPEG files may be read at a reduced size" : "")
  );
}

async function serveModels(models: readonly string[], options: ServeOptions): Promise<void> {
  if (options.json === true) {
    throw new FoveaError(
      "bad_usage",
      "--json is of commands that end with one document; `fovea serve` writes a line of JSON for each request as it is. Leave --json out.",
    );
  }
  const served = namedModels(models, options);
  const trace = await traceFile(options);
  const run = async (opened: Opened): Promise<void> => {
    const { runtime, progress } = opened;
    const { createApp, serve } = await import("../server/mod.ts");
    const write = options.log ? { log: (line: object) => print(JSON.stringify(line)) } : {};
    const app = createApp({ runtime, models: served, ...serverOptions(options), ...write });
    await app.ready;
    progress.stop();
    const server = await serve(app, { port: options.port, hostname: options.host });
    const ended = listenForInterrupt().came;
    const reload = (): void => {
      app.reload().catch((error: unknown) => say(`fovea: ${error instanceof Error ? error.message : String(error)}`));
    };
    process.on("SIGHUP", reload);
    say(startLine(app, server.url, opened, options));
    const signal = await ended;
    say(`fovea: ${signal}: answering what was accepted, then closing`);
    process.off("SIGHUP", reload);
    await server.close();
    await trace.close();
  };
  const { token: _, hubToken, ...common } = options;
  await withRuntime({ ...common, ...(hubToken === undefined ? {} : { token: hubToken }) }, run, trace.sink);
}
