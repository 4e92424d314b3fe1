/** `fovea embed`: pictures and texts to vectors. */
import { Command } from "commander";
import type { Tensor } from "../abi/encoder.ts";
import { FoveaError } from "../core/diagnostics.ts";
import { encodeNpy, encodeSafetensors } from "../exec/weights/writer.ts";
import type { Host } from "../host/mod.ts";
import type { EncodeResult } from "../session.ts";
import { type CommonOptions, withCommonOptions, withRuntime } from "./options.ts";
import { table } from "./table.ts";
import { print, printJson, say } from "./terminal.ts";

interface EmbedOptions extends CommonOptions {
  readonly text?: readonly string[];
  readonly out?: string;
  readonly outputs?: string;
}

const OUT_FORMATS = [".safetensors", ".json", ".npy"];

export function embedCommand(): Command {
  const command = new Command("embed")
    .description("Encode pictures and texts; print or write their vectors.")
    .argument("<model>", "model folder, or hf:organisation/name, or an https address")
    .argument("[files...]", "PNG, JPEG or WebP files")
    .option("--text <text...>", "texts to encode as well")
    .option("--outputs <names>", "results wanted, comma-separated; the embeddings unless given")
    .option("--out <file>", "write x.safetensors, x.json or x.npy; - prints JSON");
  return withCommonOptions(command)
    .addHelpText(
      "after",
      "\nExamples:\n  fovea embed ./clip cat.jpg dog.png --out vectors.safetensors\n  fovea embed ./clip --text 'a cat' 'a dog' --json",
    )
    .action(embed);
}

async function embed(model: string, files: readonly string[], options: EmbedOptions): Promise<void> {
  const texts = options.text ?? [];
  if (files.length === 0 && texts.length === 0) {
    throw new FoveaError("bad_usage", "There is nothing to embed; name picture files, or give --text.");
  }
  const out = options.out;
  if (out !== undefined && out !== "-" && !OUT_FORMATS.some((f) => out.endsWith(f))) {
    throw new FoveaError(
      "bad_usage",
      `--out ${out} has no known format; use one of ${OUT_FORMATS.join(", ")}, or - for JSON on stdout.`,
    );
  }
  await withRuntime(options, async ({ host, runtime, progress }) => {
    const components = [
      ...(files.length > 0 ? (["vision"] as const) : []),
      ...(texts.length > 0 ? (["text"] as const) : []),
    ];
    const encoder = await runtime.load(model, { components });
    const tensors: Record<string, Tensor> = {};
    if (files.length > 0)
      collect(
        tensors,
        await encoder.encode({ images: files }, { onProgress: progress.onEncoded }),
        options.outputs,
        "image_embeds",
      );
    if (texts.length > 0) collect(tensors, await encoder.encode({ texts }), options.outputs, "text_embeds");
    progress.stop();
    if (Object.keys(tensors).length === 0) {
      throw new FoveaError(
        "bad_usage",
        `This model gives no result named ${options.outputs}; leave out --outputs to see what it gives.`,
      );
    }
    const head = { model, runtime: host.name, device: runtime.device, target: runtime.target, files, texts };
    if (out !== undefined && out !== "-") {
      await writeOut(host, out, tensors, head);
      if (options.json !== true)
        say(
          `wrote ${Object.entries(tensors)
            .map(([n, t]) => `${n} [${t.shape.join(", ")}]`)
            .join(", ")} to ${out}`,
        );
      else printJson({ ...head, out, outputs: shapes(tensors) });
    } else if (options.json === true || out === "-") {
      printJson({ ...head, ...nested(tensors) });
    } else {
      print(summary(tensors, files, texts));
    }
  });
}

/** Keeps the wanted results, else the embedding, else the pooled output. */
function collect(
  into: Record<string, Tensor>,
  result: EncodeResult,
  wanted: string | undefined,
  embedding: string,
): void {
  const flat = result as Readonly<Record<string, Tensor | undefined>>;
  const fallback = flat[embedding] !== undefined ? embedding : "pooler_output";
  const tower = embedding === "image_embeds" ? "vision" : "text";
  for (const name of wanted?.split(",").map((n) => n.trim()) ?? [fallback]) {
    const tensor = flat[name];
    // Both towers have a pooled output and a last state; the second to come is told apart by its tower.
    if (tensor !== undefined) into[name in into ? `${tower}_${name}` : name] = tensor;
  }
}

function shapes(tensors: Readonly<Record<string, Tensor>>): Readonly<Record<string, readonly number[]>> {
  return Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, t.shape]));
}

type Nested = number | readonly Nested[];

/** A tensor as lists in lists. */
function nest(tensor: Tensor): Nested {
  let level: Nested[] = Array.from(tensor.data);
  for (let axis = tensor.shape.length - 1; axis > 0; axis--) {
    const size = tensor.shape[axis];
    level = Array.from({ length: level.length / size }, (_, i) => level.slice(i * size, (i + 1) * size));
  }
  return level;
}

function nested(tensors: Readonly<Record<string, Tensor>>): Readonly<Record<string, Nested>> {
  return Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, nest(t)]));
}

async function writeOut(
  host: Host,
  out: string,
  tensors: Readonly<Record<string, Tensor>>,
  head: object,
): Promise<void> {
  if (out.endsWith(".json")) {
    return host.writeFileAtomic(out, new TextEncoder().encode(`${JSON.stringify({ ...head, ...nested(tensors) })}\n`));
  }
  if (out.endsWith(".safetensors")) return host.writeFileAtomic(out, encodeSafetensors(tensors));
  const all = Object.values(tensors);
  if (all.length !== 1) {
    throw new FoveaError(
      "bad_usage",
      `An .npy file holds one array and there are ${all.length} (${Object.keys(tensors).join(", ")}); use .safetensors.`,
    );
  }
  return host.writeFileAtomic(out, encodeNpy(all[0]));
}

function summary(
  tensors: Readonly<Record<string, Tensor>>,
  files: readonly string[],
  texts: readonly string[],
): string {
  const rows = Object.entries(tensors).flatMap(([name, t]) => {
    const [batch] = t.shape;
    const width = t.data.length / batch;
    return Array.from({ length: batch }, (_, i) => {
      const row = Float64Array.from(t.data.subarray(i * width, (i + 1) * width));
      const norm = Math.sqrt(row.reduce((sum, v) => sum + v * v, 0));
      const first = [...row.slice(0, 4)].map((v) => v.toFixed(4)).join(" ");
      const names = name.startsWith("text") ? texts : files.length > 0 ? files : texts;
      return [names[i], name, t.shape.slice(1).join("x"), norm.toFixed(4), `${first} ...`];
    });
  });
  return table(["input", "result", "size", "norm", "values"], rows);
}
