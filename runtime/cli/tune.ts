/** `fovea tune`: what to choose. One sub-command for each choice. */
import { Command } from "commander";
import { rangesCommand } from "./tune_ranges.ts";

export function tuneCommand(): Command {
  return new Command("tune").description("Find out how a model is best compiled.").addCommand(rangesCommand());
}
