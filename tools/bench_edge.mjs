// What a frozen encoder costs in workerd beside the same folder in Node: processor time of each process over the same requests,
// in turns A B A B, and resident memory. `node tools/bench_edge.mjs [config folder] [dtype] [target] [freeze options ...]`; weights are
// made up, and Node always runs the folder that suits it, `edge-unguarded`. docs/edge.md has the figures.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildDist } from "./build.mjs";
import { capture, startServer, toolCommand } from "./lib/process.mjs";
import { at, say } from "./lib/project.mjs";
import { dryRun, installWorkerd, processUse, startWorkerd } from "./lib/workerd.mjs";
import { setupOrExit } from "./setup.mjs";

const FOLDER = ".build/edge_bench";
const PICTURE = "examples/models/digits-clip/images/006-1.png";
const TURNS = 5;
const REQUESTS = 10;

const [model = "test/fixtures/configs/dinov2-small", dtype = "f32", target = "edge", ...rest] = process.argv.slice(2);

/** The example's worker behind Node's own server. */
const SERVER = `
import { createServer } from "node:http";
import { createEncoder } from "./hosts/node.js";
const encoder = await createEncoder();
const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const result = await encoder.encode({ images: [Buffer.concat(chunks)] });
  const [output] = ["image_embeds", "pooler_output", "last_hidden_state"].filter((name) => result[name] !== undefined);
  const { shape, data } = result[output];
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ output, shape, embedding: Array.from(data) }));
});
server.listen(0, "127.0.0.1", () => console.log("http://127.0.0.1:" + server.address().port + "/"));
`;

async function startNode(folder) {
  writeFileSync(join(folder, "server.mjs"), SERVER);
  const { url, pid, stop } = await startServer([process.execPath, join(folder, "server.mjs")]);
  return { url, use: () => processUse(pid), stop };
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

async function requests(server, count) {
  const before = server.use();
  for (let i = 0; i < count; i++) {
    const response = await fetch(new URL("/embed", server.url), { method: "POST", body: readFileSync(at(PICTURE)) });
    const text = await response.text();
    if (!response.ok) throw new Error(`status ${response.status}: ${text}`);
  }
  return (server.use().cpuMs - before.cpuMs) / count;
}

await setupOrExit();
await buildDist();
await installWorkerd();
const out = at(`${FOLDER}/folder`);
rmSync(at(FOLDER), { recursive: true, force: true });
mkdirSync(at(FOLDER), { recursive: true });
const memory = rest.includes("--memory") ? [] : ["--memory", "2g"];
const options = [
  ...["--load-format", "dummy", "--components", "vision"],
  "--dtype",
  dtype,
  "--no-cache",
  ...memory,
  ...rest,
];

/** Deno has relaxed SIMD, which freezing for it needs. */
async function freeze(folder, kind) {
  const runtime = kind !== "edge-relaxed" ? [process.execPath] : [...toolCommand("deno"), "run", "-A", "--no-check"];
  const command = [...runtime, at("dist/cli/main.js"), "freeze", at(model), "--target", kind, "--out", folder];
  const { code, stdout, output } = await capture([...command, ...options]);
  if (code !== 0) throw new Error(output);
  say(stdout.trim());
}

await freeze(out, target);
const OF_NODE = "edge-unguarded";
const plain = target === OF_NODE ? out : at(`${FOLDER}/plain`);
if (plain !== out) await freeze(plain, OF_NODE);
await dryRun(out, at(`${FOLDER}/out`));
const empty = await startWorkerd();
const idle = empty.use();
await empty.stop();
const workerd = await startWorkerd(at(`${FOLDER}/out`), join(out, "assets"));
const node = await startNode(plain);
try {
  for (const server of [workerd, node]) await requests(server, REQUESTS);
  const [ours, theirs] = [[], []];
  for (let turn = 0; turn < TURNS; turn++) {
    ours.push(await requests(workerd, REQUESTS));
    theirs.push(await requests(node, REQUESTS));
  }
  const ratio = median(ours.map((v, i) => v / theirs[i]));
  const report = await fetch(new URL("/healthz", workerd.url)).then((r) => r.json());
  const mib = (use) => `${(use.rssBytes / 2 ** 20).toFixed(0)} MiB`;
  say(
    `CPU of a request: workerd ${median(ours).toFixed(1)} ms, Node ${median(theirs).toFixed(1)} ms, ratio ${ratio.toFixed(2)}`,
  );
  say(`resident: workerd ${mib(workerd.use())} (empty ${mib(idle)}), Node ${mib(node.use())}`);
  say(`load ${report.loadMs.toFixed(0)} ms, of which proofs ${report.proofs.ms.toFixed(0)} ms`);
} finally {
  node.stop();
  await workerd.stop();
}
process.exit();
