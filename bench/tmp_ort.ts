import { readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { fillNormal } from "../runtime/core/random.ts";
import { median } from "./interleave.ts";
import { readOnnxGraph } from "./onnx_graph.ts";
import { makeExternalData } from "./onnx_weights.ts";
import { openOnnxSession } from "./onnxruntime_web.ts";

const t0 = performance.now();
const model = new Uint8Array(
  gunzipSync(await readFile(new URL("./models/clip-vit-base-patch32/model.onnx.gz", import.meta.url))),
);
const g = readOnnxGraph(model);
const t1 = performance.now();
const e = makeExternalData(g);
const t2 = performance.now();
const threads = Number(process.argv[2] ?? 1);
const s = await openOnnxSession(model, e, threads);
const t3 = performance.now();
const p = new Float32Array(3 * 224 * 224);
fillNormal(p, 7, 0, 1);
const shape = [1, 3, 224, 224];
let o = await s.run(p, shape);
for (let i = 0; i < 2; i++) o = await s.run(p, shape);
const ts: number[] = [];
for (let i = 0; i < 20; i++) {
  const b = performance.now();
  await s.run(p, shape);
  ts.push(performance.now() - b);
}
let m = 0,
  q = 0;
for (const v of o) {
  m += v;
  q += v * v;
}
m /= o.length;
console.log(
  JSON.stringify({
    rt: process.versions.bun ? "bun" : process.versions.deno ? "deno" : "node",
    threads,
    parse: t1 - t0,
    gen: t2 - t1,
    open: t3 - t2,
    median: median(ts),
    min: Math.min(...ts),
    max: Math.max(...ts),
    mean: m,
    std: Math.sqrt(q / o.length - m * m),
    first: [...o.slice(0, 3)],
  }),
);
const c0=process.cpuUsage(); await new Promise(r=>setTimeout(r,500)); const c1=process.cpuUsage(c0); console.log("idle cpu ms",(c1.user+c1.system)/1000);
await s.close();
