/** The command line as a function, for the program that a user starts and for others that call it. */
import { Command, CommanderError } from "commander";
import { VERSION } from "../core/version.ts";
import { benchCommand } from "./bench.ts";
import { buildCommand } from "./build.ts";
import { cacheCommand } from "./cache.ts";
import { classifyCommand } from "./classify.ts";
import { doctorCommand } from "./doctor.ts";
import { embedCommand } from "./embed.ts";
import { enqueueCommand } from "./enqueue.ts";
import { explainCommand } from "./explain.ts";
import { freezeCommand } from "./freeze.ts";
import { pluginCommand } from "./plugin.ts";
import { pullCommand } from "./pull.ts";
import { queueCommand } from "./queue.ts";
import { reportCommand } from "./report.ts";
import { searchCommand } from "./search.ts";
import { serveCommand } from "./serve.ts";
import { exitCode, fail, print, type Streams, say, setExitCode, writeTo } from "./terminal.ts";
import { tuneCommand } from "./tune.ts";
import { verifyCommand } from "./verify.ts";
import { workerCommand } from "./worker.ts";

function createProgram(): Command {
  const program = new Command("fovea")
    .description("Compiles and runs the vision, audio and text encoders of multimodal models.")
    .version(VERSION)
    .addHelpText(
      "after",
      "\nExamples:\n  fovea embed ./clip photo.jpg --text 'a cat'\n  fovea classify ./clip *.png --labels 'cat,dog'\n  fovea pull hf:openai/clip-vit-base-patch32\n  fovea doctor",
    );
  const commands = [
    embedCommand,
    searchCommand,
    classifyCommand,
    verifyCommand,
    benchCommand,
    explainCommand,
    tuneCommand,
    buildCommand,
    freezeCommand,
    cacheCommand,
    pullCommand,
    pluginCommand,
    doctorCommand,
    reportCommand,
    serveCommand,
    enqueueCommand,
    workerCommand,
    queueCommand,
  ];
  for (const create of commands) program.addCommand(create());
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
    await createProgram().parseAsync([...args], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) setExitCode(error.exitCode === 0 ? 0 : 2);
    else fail(error, args.includes("--verbose"));
  }
  return exitCode();
}
