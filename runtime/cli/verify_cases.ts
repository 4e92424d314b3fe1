/** What a model folder holds to be verified against. */
import type { Modality, Tensor, Tensors } from "../abi/encoder.ts";
import { FoveaError } from "../core/diagnostics.ts";
import { readAllTensors } from "../exec/weights/writer.ts";
import type { Host } from "../host/mod.ts";
import type { EncodeInputs } from "../session.ts";

export interface Case {
  readonly name: string;
  readonly modality: Modality;
  readonly inputs: EncodeInputs;
  readonly expected: Tensors;
  /** Overrides the tolerance of the run: pictures pass through rounding before the model. */
  readonly tolerance?: number;
  /** Rows of [batch, tokens, ...] results that count; all unless given. */
  readonly mask?: Tensor;
}

/** Tolerance where pictures are decoded and resized first, and weights are float16. */
const IMAGE_FILES_TOLERANCE = 2e-3;

const PICTURE = /\.(png|jpe?g|webp)$/i;

const join = (folder: string, name: string): string => `${folder.replace(/[/\\]+$/, "")}/${name}`;

/** Files beside a model that it is verified against, by their names from its folder. */
export function isReference(name: string): boolean {
  return (
    /^(case-.*|reference)\.safetensors$|^about\.json$/.test(name) ||
    (/^images\/[^/]+$/.test(name) && PICTURE.test(name))
  );
}

async function fileNames(host: Host, folder: string): Promise<readonly string[]> {
  return (await host.listDir(folder)).filter((e) => e.kind !== "directory").map((e) => e.name);
}

/** Whose input a tensor is, by its Hugging Face name. */
function modalityOf(names: readonly string[]): Modality {
  if (names.includes("input_ids")) return "text";
  return names.includes("input_features") || names.includes("input_values") ? "audio" : "vision";
}

function parts(tensors: Tensors, prefix: string): Tensors {
  const own = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(own.map(([name, t]) => [name.slice(prefix.length), t]));
}

async function caseFrom(host: Host, folder: string, file: string): Promise<Case> {
  const tensors = readAllTensors(await host.readFile(join(folder, file)), file);
  const inputs = parts(tensors, "input.");
  const expected = parts(tensors, "output.");
  if (Object.keys(inputs).length === 0 || Object.keys(expected).length === 0) {
    throw new FoveaError(
      "invalid_case",
      `${file} holds no tensors named input.* and output.*, so there is nothing to verify with it.`,
    );
  }
  return {
    name: file.replace(/^case-/, "").replace(/\.safetensors$/, ""),
    modality: modalityOf(Object.keys(inputs)),
    inputs,
    expected,
    ...(inputs.attention_mask === undefined ? {} : { mask: inputs.attention_mask }),
  };
}

interface About {
  readonly prompt?: unknown;
  readonly words?: unknown;
}

/** `reference.safetensors` beside `images/`: embeddings of the pictures by name, and of the prompts in `about.json`. */
async function referenceCases(host: Host, folder: string, names: readonly string[]): Promise<readonly Case[]> {
  const tensors = readAllTensors(await host.readFile(join(folder, "reference.safetensors")), "reference.safetensors");
  const cases: Case[] = [];
  if (tensors.image_embeds !== undefined) {
    const pictures = (await fileNames(host, join(folder, "images"))).filter((n) => PICTURE.test(n)).sort();
    cases.push({
      name: "images",
      modality: "vision",
      inputs: { images: pictures.map((n) => join(join(folder, "images"), n)) },
      expected: { image_embeds: tensors.image_embeds },
      tolerance: IMAGE_FILES_TOLERANCE,
    });
  }
  if (tensors.text_embeds !== undefined && names.includes("about.json")) {
    const about = JSON.parse(new TextDecoder().decode(await host.readFile(join(folder, "about.json")))) as About;
    if (typeof about.prompt === "string" && Array.isArray(about.words)) {
      const { prompt } = about;
      cases.push({
        name: "prompts",
        modality: "text",
        inputs: { texts: about.words.map((w) => prompt.replace("{}", String(w))) },
        expected: { text_embeds: tensors.text_embeds },
        tolerance: IMAGE_FILES_TOLERANCE,
      });
    }
  }
  return cases;
}

/** Every case of a model folder. @throws FoveaError `no_cases` */
export async function findCases(host: Host, folder: string): Promise<readonly Case[]> {
  const names = await fileNames(host, folder);
  const files = names.filter((n) => /^case-.*\.safetensors$/.test(n)).sort();
  const cases: Case[] = [];
  for (const file of files) cases.push(await caseFrom(host, folder, file));
  if (names.includes("reference.safetensors")) cases.push(...(await referenceCases(host, folder, names)));
  if (cases.length === 0) {
    throw new FoveaError(
      "no_cases",
      `${folder} holds no case-*.safetensors and no reference.safetensors beside images/, so there is nothing to verify.`,
    );
  }
  return cases;
}

/** What a processor returned for a file: `<name>.safetensors` beside the config, `<name>.png` or `.wav` one folder up. */
export interface ProcessorCase {
  readonly name: string;
  readonly file: string;
  readonly expected: Tensors;
}

/** True for a folder that holds a processor and no model. */
export async function isProcessorFolder(host: Host, folder: string): Promise<boolean> {
  const names = await fileNames(host, folder);
  return names.includes("preprocessor_config.json") && !names.includes("config.json");
}

/** @throws FoveaError `no_cases` */
export async function findProcessorCases(host: Host, folder: string): Promise<readonly ProcessorCase[]> {
  const above = new Set(await fileNames(host, join(folder, "..")));
  const cases: ProcessorCase[] = [];
  for (const file of (await fileNames(host, folder)).filter((n) => n.endsWith(".safetensors")).sort()) {
    const name = file.replace(/\.safetensors$/, "");
    const source = [`${name}.png`, `${name}.wav`].find((n) => above.has(n));
    if (source === undefined) continue;
    cases.push({
      name,
      file: join(join(folder, ".."), source),
      expected: readAllTensors(await host.readFile(join(folder, file)), file),
    });
  }
  if (cases.length > 0) return cases;
  throw new FoveaError(
    "no_cases",
    `${folder} holds no <name>.safetensors with a <name>.png or <name>.wav one folder up.`,
  );
}
