// The rules of the house as data: which room may import which, and the pure check of one file against them.
import { posix } from "node:path";
import { blankLiterals, lineOf, listImports } from "./scan.mjs";

/** Longest file, in lines, that is not mentioned. */
export const LONG_FILE = 400;

const LIBRARY = ["core", "ir", "abi", "nn", "exec", "media", "host", "session"];

/**
 * What a room imports besides itself: `values` in any way, `types` only with `import type`, `lazy` only with `import()` or
 * `import type`; `packages` from npm. A name ending in `/` is a folder that holds one room per sub-folder.
 */
const ROOMS = {
  "runtime/core": { name: "core" },
  "runtime/ir": { name: "ir", values: ["core"] },
  "runtime/abi": { name: "abi", values: ["core"], types: ["ir"] },
  "runtime/nn": { name: "nn", values: ["ir", "core"] },
  "runtime/compile": { name: "compile", values: ["ir", "abi", "core"] },
  "runtime/exec": { name: "exec", values: ["abi", "core"], types: ["ir"] },
  "runtime/media": {
    name: "media",
    values: ["core"],
    packages: [
      "@audio/decode-wav",
      "@huggingface/tokenizers",
      "@jsquash/jpeg",
      "@jsquash/webp",
      "@wasm-audio-decoders/flac",
      "@wasm-audio-decoders/ogg-vorbis",
      "fflate",
      "mpg123-decoder",
      "sharp",
    ],
  },
  "runtime/host": { name: "host", values: ["core"], types: ["abi"], packages: ["@hono/node-server"] },
  // Lazy for everyone: who never names a model of the hub loads nothing of it.
  "runtime/hub": { name: "hub", values: ["core", "exec"], types: ["host"], packages: ["#hub"] },
  // Lazy for everyone: who brings no plugins of files loads nothing of it.
  "runtime/foreign": { name: "foreign", values: ["abi", "core"], types: ["ir"], packages: ["valibot"] },
  "runtime/session": {
    name: "session",
    values: LIBRARY,
    lazy: ["compile", "foreign", "freeze", "hub", "kernels", "plugins"],
    packages: ["valibot"],
  },
  // What a frozen folder runs: no compiler, no host, no package but those of its formats.
  "runtime/edge": { name: "edge", values: ["session", "exec", "media", "core", "kernels"], types: ["abi"] },
  // Lazy for everyone: who freezes nothing loads nothing of it.
  "runtime/freeze": { name: "freeze", values: ["session", "edge", "host", "exec", "media", "abi", "core"] },
  // Lazy for everyone: the layout library loads only where a page is drawn.
  "runtime/explain": { name: "explain", values: ["core"], types: ["session"], packages: ["#layout"] },
  "runtime/server": {
    name: "server",
    values: ["session", "host", "media", "exec", "core"],
    types: ["abi", "edge"],
    packages: [
      "#metrics",
      "@valibot/to-json-schema",
      "hono",
      "hono-openapi",
      "hono-rate-limiter",
      "ipaddr.js",
      "valibot",
    ],
  },
  // Lazy for the command line: who encodes no folders loads neither Parquet nor file patterns.
  "runtime/bulk": {
    name: "bulk",
    values: ["session", "host", "exec", "core"],
    types: ["abi"],
    packages: ["#glob", "#parquet-reader", "#parquet-writer"],
  },
  "runtime/cli": {
    name: "cli",
    values: ["session", "host", "media", "exec", "core"],
    types: ["abi"],
    lazy: ["bulk", "explain", "server"],
    packages: ["cli-progress", "commander"],
  },
  // Only the judge may compute with the evaluator.
  "kernels/reference": { name: "kernels", values: ["abi", "core", "ir"] },
  "kernels/": { name: "kernels", values: ["abi", "core"], types: ["ir"] },
  "plugins/": { name: "plugins", values: ["abi", "nn", "media", "core"] },
  "test/kit": {
    name: "test kit",
    values: [...LIBRARY, "bulk", "cli", "compile", "foreign", "kernels", "plugins", "server", "mod.ts"],
    packages: ["fast-check"],
  },
  "mod.ts": {
    name: "mod.ts",
    values: ["core", "abi", "exec", "media", "host", "session"],
    types: ["ir", "compile"],
    lazy: ["kernels", "plugins"],
  },
};

/** Rooms that decide what is computed: results must not depend on an engine's own transcendentals. */
const EXACT = new Set(["core", "ir", "compile", "nn", "foreign", "kernels", "plugins"]);

/** Correctly rounded by the language's own rules, hence equal everywhere. */
const EXACT_MATH = new Set(
  "abs ceil clz32 floor fround imul max min round sign sqrt trunc E LN10 LN2 LOG10E LOG2E PI SQRT1_2 SQRT2".split(" "),
);

const HOST_NAMES = /(?<![.\w$]|\bglobalThis\?\.)(?:globalThis\??\.)?\b(process|Bun|Deno|Buffer)\b(?!\s*\??:)/g;

const SNAKE_CASE = /^\.?[a-z0-9]+(_[a-z0-9]+)*$/;

/** `{ name, folder }` of the room that a file (path from the root) belongs to, or undefined. */
function roomOf(file) {
  for (const [prefix, room] of Object.entries(ROOMS)) {
    if (prefix.endsWith("/")) {
      if (file.startsWith(prefix)) return { ...room, folder: file.split("/").slice(0, 2).join("/") };
    } else if (file === prefix || file === `${prefix}.ts` || file.startsWith(`${prefix}/`)) {
      return { ...room, folder: prefix };
    }
  }
  return undefined;
}

/** True for the folders whose files must belong to a room. */
export function isSource(file) {
  return file === "mod.ts" || /^(runtime|kernels|plugins|test\/kit)\//.test(file);
}

/** All broken rules of one file, as sentences that begin with `path:line:`. */
export function checkSource(file, source) {
  const code = blankLiterals(source);
  const room = roomOf(file);
  const problems = [];
  const report = (line, sentence) => problems.push(`${file}:${line}: ${sentence}`);

  for (const sentence of badName(file)) report(1, sentence);
  if (isSource(file) && room === undefined) {
    report(1, "belongs to no room; add the room to tools/lib/import_rules.mjs or move the file.");
  }
  for (const found of listImports(source, code)) {
    const sentence = badImport(file, room, found);
    if (sentence !== undefined) report(found.line, sentence);
  }
  if (room === undefined) return problems;

  if (room.name !== "host" && room.name !== "test kit") {
    for (const match of code.matchAll(HOST_NAMES)) {
      if (room.name === "cli" && match[1] === "process") continue;
      report(lineOf(source, match.index), `uses ${match[1]}; runtime globals live in runtime/host.`);
    }
  }
  if (EXACT.has(room.name)) {
    for (const { index, sentence } of inexactMath(code)) report(lineOf(source, index), sentence);
  }
  return problems;
}

function badName(file) {
  return file
    .split("/")
    .filter(
      (part, i, parts) => !SNAKE_CASE.test(i + 1 < parts.length ? folderName(part) : part.replace(/(\.d)?\.\w+$/, "")),
    )
    .map((part) => `${part} is not a snake_case name.`);
}

/** Models and encoders may carry the published names of what they hold. */
function folderName(part) {
  return part.replaceAll("-", "_");
}

function* inexactMath(code) {
  for (const match of code.matchAll(/(?<![.\w$])Math\b(?:\s*\??\.\s*(\w+))?/g)) {
    const name = match[1];
    if (name === undefined) {
      yield { index: match.index, sentence: "passes Math around; name the function, so that it can be checked." };
    } else if (!EXACT_MATH.has(name)) {
      yield {
        index: match.index,
        sentence: `uses Math.${name}, which differs between engines; see runtime/core/math.ts.`,
      };
    }
  }
  for (const match of code.matchAll(/(\S+)\s*\*\*(?!\/)/g)) {
    if (/(?:^|[^\w$.)\]])2$/.test(match[1])) continue;
    yield {
      index: match.index,
      sentence: "raises to a power with **, which differs between engines unless the base is 2.",
    };
  }
}

function badImport(file, room, { specifier, kind }) {
  if (specifier === undefined) {
    const free = room === undefined || room.name === "host" || room.name === "test kit";
    return free ? undefined : "imports a computed module; only runtime/host loads what it is told at run time.";
  }
  if (!specifier.startsWith(".")) return room === undefined ? undefined : badPackage(room, specifier);
  if (!/\.(ts|mjs|json|wasm)$/.test(specifier)) return `imports "${specifier}"; relative imports end in .ts.`;

  const target = posix.normalize(posix.join(posix.dirname(file), specifier));
  const to = roomOf(target);
  if (to !== undefined && to.folder === room?.folder) return undefined;
  // Tests and benchmarks look inside; everyone else sees a plugin by its front door.
  const inside = /^(test|bench)\//.test(file) && room === undefined;
  // The device alone, for code that was compiled elsewhere.
  const door = room?.name === "edge" ? "edge.ts" : "plugin.ts";
  if (!inside && /^(kernels|plugins)$/.test(to?.name ?? "") && target !== `${to.folder}/${door}`) {
    return `imports ${target}; of ${to.folder} only ${door} is for others.`;
  }
  if (room === undefined) return undefined;
  if (to === undefined) return `imports ${target}, which is no part of the package.`;
  return badDirection(room, to, target, kind);
}

function badPackage(room, specifier) {
  if (specifier.startsWith("node:")) {
    if (room.name === "host" || room.name === "test kit") return undefined;
    if (room.name === "cli" && specifier === "node:process") return undefined;
    return `imports ${specifier}; runtime modules live in runtime/host.`;
  }
  const name = specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
  if (room.packages?.includes(name)) return undefined;
  return `imports the package ${name}, which ${room.name} may not depend on.`;
}

function badDirection(room, to, target, kind) {
  if (room.values?.includes(to.name)) return undefined;
  if (room.types?.includes(to.name)) {
    if (kind === "type") return undefined;
    return `imports values of ${to.name}; ${room.name} may import only its types (import type).`;
  }
  if (room.lazy?.includes(to.name)) {
    if (kind !== "value") return undefined;
    return `imports ${target} eagerly; ${room.name} reaches ${to.name} only by import() or import type.`;
  }
  return `imports ${target}; ${room.name} may not import ${to.name === room.name ? "another of its kind" : to.name}.`;
}
