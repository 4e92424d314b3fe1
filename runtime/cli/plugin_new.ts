/** `fovea plugin new` and `fovea plugin build`: a plugin's project, and the digests in its description. */
import { Command } from "commander";
import { FoveaError } from "../core/diagnostics.ts";
import { detectHost, type Host } from "../host/mod.ts";
import { didYouMean } from "../session/check.ts";
import { buildPlugin } from "../session/registry/build_plugin.ts";
import { DEVICE_TS } from "./templates/device_ts.ts";
import { ENCODER_TS } from "./templates/encoder_ts.ts";
import { KERNEL_C } from "./templates/kernel_c.ts";
import { KERNEL_RUST } from "./templates/kernel_rust.ts";
import { KERNEL_TS } from "./templates/kernel_ts.ts";
import { KERNEL_WGSL } from "./templates/kernel_wgsl.ts";
import type { Template } from "./templates/project.ts";
import { print } from "./terminal.ts";

const TEMPLATES: readonly Template[] = [KERNEL_C, KERNEL_RUST, KERNEL_TS, KERNEL_WGSL, ENCODER_TS, DEVICE_TS];

async function isThere(host: Host, path: string): Promise<boolean> {
  try {
    await host.stat(path);
    return true;
  } catch (error) {
    if (error instanceof FoveaError && error.code === "file.not_found") return false;
    throw error;
  }
}

/** @throws FoveaError `bad_usage` for an unknown template, and for a folder that is there */
async function create(kind: string, folder: string): Promise<void> {
  const template = TEMPLATES.find((t) => t.name === kind);
  const names = TEMPLATES.map((t) => t.name);
  if (template === undefined)
    throw new FoveaError(
      "bad_usage",
      `There is no template "${kind}"; there are ${names.join(", ")}.${didYouMean(kind, names)}`,
    );
  const host = await detectHost();
  if (await isThere(host, folder))
    throw new FoveaError("bad_usage", `${folder} is there already; name a folder that is not.`);
  const name = (folder.split(/[\\/]/).filter(Boolean).at(-1) ?? "").toLowerCase().replace(/[^a-z0-9_.-]+/g, "-");
  if (!/^[a-z0-9]/.test(name))
    throw new FoveaError("bad_usage", `The folder ${folder} gives the package no name; name it after the plugin.`);
  const files = Object.entries(template.files(name));
  await host.mkdir(folder);
  for (const [file, text] of files) await host.writeFileAtomic(`${folder}/${file}`, new TextEncoder().encode(text));
  print(`wrote ${template.makes}, to ${folder}: ${files.map(([file]) => file).join(", ")}`);
  print(`${folder}/README.md says how it is built and tested`);
}

async function build(folder: string): Promise<void> {
  for (const [file, digest] of await buildPlugin(await detectHost(), folder)) print(`${file} ${digest}`);
}

export function newCommand(): Command {
  return new Command("new")
    .description(`Begin a plugin: ${TEMPLATES.map((t) => `${t.name} (${t.makes})`).join("; ")}.`)
    .argument("<template>", TEMPLATES.map((t) => t.name).join(", "))
    .argument("<folder>", "folder that is made, named like the package")
    .option("--verbose", "stack traces with errors")
    .addHelpText(
      "after",
      "\nExamples:\n  fovea plugin new kernel-c fovea-kernel-gate\n  fovea plugin new encoder-ts ./tiny",
    )
    .action(create);
}

export function buildCommand(): Command {
  return new Command("build")
    .description(
      "Link components ahead that jco links, so that they load without it, and write the digests of a plugin's files into its plugin.json.",
    )
    .argument("[folder]", "folder with plugin.json; the working directory unless given", ".")
    .option("--verbose", "stack traces with errors")
    .addHelpText("after", "\nExamples:\n  fovea plugin build ./my-kernel")
    .action(build);
}
