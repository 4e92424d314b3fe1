/** The command line as a function, for the program that a user starts and for others that call it. */
import { Command, CommanderError } from "commander";
import { VERSION } from "../core/version.ts";
import { exitCode, fail, print, type Streams, say, setExitCode, writeTo } from "./terminal.ts";

/** All commands in the order of the help, each with what its module needs and no other: most take longer to load than to run. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  embed: async () => (await import("./embed.ts")).embedCommand(),
  search: async () => (await import("./search.ts")).searchCommand(),
  classify: async () => (await import("./classify.ts")).classifyCommand(),
  verify: async () => (await import("./verify.ts")).verifyCommand(),
  bench: async () => (await import("./bench.ts")).benchCommand(),
  explain: async () => (await import("./explain.ts")).explainCommand(),
  tune: async () => (await import("./tune.ts")).tuneCommand(),
  build: async () => (await import("./build.ts")).buildCommand(),
  freeze: async () => (await import("./freeze.ts")).freezeCommand(),
  cache: async () => (await import("./cache.ts")).cacheCommand(),
  pull: async () => (await import("./pull.ts")).pullCommand(),
  plugin: async () => (await import("./plugin.ts")).pluginCommand(),
  doctor: async () => (await import("./doctor.ts")).doctorCommand(),
  report: async () => (await import("./report.ts")).reportCommand(),
  serve: async () => (await import("./serve.ts")).serveCommand(),
  enqueue: async () => (await import("./enqueue.ts")).enqueueCommand(),
  worker: async () => (await import("./worker.ts")).workerCommand(),
  queue: async () => (await import("./queue.ts")).queueCommand(),
};

/** @param name of the one command that is wanted; help and hints for what is no command need all */
async function createProgram(name: string | undefined): Promise<Command> {
  const program = new Command("fovea")
    .description("Compiles and runs the vision, audio and text encoders of multimodal models.")
    .version(VERSION)
    .addHelpText(
      "after",
      "\nExamples:\n  fovea embed ./clip photo.jpg --text 'a cat'\n  fovea classify ./clip *.png --labels 'cat,dog'\n  fovea pull hf:openai/clip-vit-base-patch32\n  fovea doctor",
    );
  const isCommand = name !== undefined && Object.hasOwn(COMMANDS, name);
  const wanted = isCommand ? [COMMANDS[name]] : Object.values(COMMANDS);
  for (const create of wanted) program.addCommand(await create());
  // exitOverride is not inherited by commands that were made on their own.
  for (const command of withSubcommands(program)) {
    command
      .exitOverride()
      .showHelpAfterError("(add --help for usage and examples)")
      .configureOutput({
        writeOut: print,
        writeErr: (text) => say(text.trimEnd()),
        outputError: (text, write) => write(text.replace(/^error: /, "fovea: ")),
      });
  }
  return program;
}

function withSubcommands(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

/**
 * Parses arguments and runs one command; resolves to 0 (done), 1 (a check failed) or 2 (bad usage or input). One at a time in a
 * process.
 */
export async function runProgram(args: readonly string[], streams: Streams): Promise<number> {
  writeTo(streams);
  try {
    await (await createProgram(args[0])).parseAsync([...args], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) setExitCode(error.exitCode === 0 ? 0 : 2);
    else fail(error, args.includes("--verbose"));
  }
  return exitCode();
}
