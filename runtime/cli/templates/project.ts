/** What projects of all templates have in common. */
import { VERSION } from "../../core/version.ts";

/** Files by their path in the project. */
export type Project = Readonly<Record<string, string>>;

export interface Template {
  readonly name: string;
  /** What it makes, for `plugin new --help`. */
  readonly makes: string;
  /** @param name of the package, such as `fovea-kernel-gate`; a plugin of files is made for the same kernel in every language */
  readonly files: (name: string) => Project;
}

export const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

/** @param build the script `build`; `test` runs the file that is named */
export function packageJson(name: string, build: string, test: string, more: object = {}): string {
  return json({
    name,
    version: "0.1.0",
    type: "module",
    scripts: { build, test },
    peerDependencies: { fovea: `>=${VERSION}` },
    ...more,
  });
}

const TYPESCRIPT = { devDependencies: { "@types/node": "20.19.43", typescript: "7.0.2" } };

/** A project in TypeScript: `plugin.ts` and `plugin.test.ts`, compiled into `dist` where a runtime needs JavaScript. */
export function typescriptProject(name: string, about: string, plugin: string, test: string): Project {
  return {
    "package.json": packageJson(name, "tsc", "tsc && node --test dist/plugin.test.js", {
      exports: "./dist/plugin.js",
      files: ["dist"],
      ...TYPESCRIPT,
    }),
    "tsconfig.json": json({
      compilerOptions: {
        ...{ target: "es2022", module: "nodenext", strict: true, declaration: true, skipLibCheck: true },
        ...{ rewriteRelativeImportExtensions: true, outDir: "dist", types: ["node"] },
      },
      files: ["plugin.ts", "plugin.test.ts"],
    }),
    "plugin.ts": plugin,
    "plugin.test.ts": test,
    "README.md": readme(name, about, "npm install fovea && npm install && npm test", [
      "`bun test` and `deno test -A plugin.test.ts` run the test without a build.",
      "Code in JavaScript is trusted: nothing about it is enforced.",
      "`npx fovea plugin add ./dist/plugin.js` pins it for the commands of a folder; `--plugin ./dist/plugin.js` of any command uses it once.",
    ]),
  };
}

export function readme(name: string, about: string, commands: string, more: readonly string[]): string {
  return `${[`# ${name}`, about, `\`\`\`sh\n${commands}\n\`\`\``, ...more].join("\n\n")}\n`;
}

/** The kernel that templates of files have: \`x * (x + y)\`, a row of any width for each item of the grid. */
export const GATE_PATTERN = {
  name: "gate",
  pattern: { op: "mul", inputs: ["x", { op: "add", inputs: ["x", "y"] }] },
  operands: { x: { shape: ["...rows", "width"] }, y: { shape: ["...rows", "width"] } },
  output: ["...rows", "width"],
  ranges: { width: { min: 1, max: 65536 } },
  grid: "rows",
} as const;

export const GATE_WORK = {
  flops: "2 * rows * width",
  vectors: [
    {
      operands: { x: { shape: [1, 2], data: [2, -3] }, y: { shape: [1, 2], data: [1, 5] } },
      output: { shape: [1, 2], data: [6, -6] },
    },
  ],
} as const;

/** Digest of a file that is not built yet. */
export const UNBUILT: string = "0".repeat(64);

/** The test of a plugin of files. */
export const KERNEL_TEST = `import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { checkKernel } from "fovea/testing";

test("the kernel is right", async () => {
  await checkKernel(fileURLToPath(new URL(".", import.meta.url)));
});
`;

const HELP = [
  "`npx fovea plugin check .` says what is enforced and how fast it is, `npx fovea plugin add .` pins it for a folder.",
];

export function kernelReadme(name: string, about: string, more: readonly string[]): string {
  return readme(name, about, "npm install fovea\nnpm run build\nnpm test   # or: bun test, deno test -A --no-check", [
    ...HELP,
    ...more,
  ]);
}

/** What a kernel as core WebAssembly has beside its sources, whatever they are written in: `build.mjs` makes `gate.wasm`. */
export const moduleFiles = (name: string): Readonly<Record<string, string>> => ({
  "package.json": packageJson(name, "node build.mjs && fovea plugin build .", "node --test plugin.test.mjs", {
    // Cargo leaves links behind that npm does not pack.
    files: ["plugin.json", "gate.wasm"],
  }),
  "plugin.json": json({
    ...{ name, version: "0.1.0", abi: 1, form: "wasm", memory: { reserved: 0 } },
    builds: [{ features: ["simd128"], file: "gate.wasm", sha256: UNBUILT }],
    kernels: [{ ...GATE_PATTERN, entry: "gate", arguments: ["output", "x", "y", "rows", "width"], ...GATE_WORK }],
  }),
  "plugin.test.mjs": KERNEL_TEST,
});
