#!/usr/bin/env node
/** What a user starts: the command line on the process's own arguments, streams and exit code. */
import process from "node:process";
import { FoveaError } from "../core/diagnostics.ts";
import { runProgram } from "./program.ts";
import { fail } from "./terminal.ts";

/**
 * A reader that has seen enough (`| head -1`) closes the pipe: that is no error. Other failures of stdout are told, since
 * the result is lost.
 */
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") return;
  process.exitCode = fail(
    new FoveaError("output_failed", `The result cannot be written to stdout: ${error.message}.`),
    false,
  );
});
// There is nowhere left to tell it.
process.stderr.on("error", () => {});

const code = await runProgram(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
});
if (code !== 0) process.exitCode = code;
