import { readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { readOnnxGraph } from "./onnx_graph.ts";
import { makeExternalData } from "./onnx_weights.ts";
import { clipCheckpoint } from "./clip_checkpoint.ts";
import { openOnnxSession } from "./onnxruntime_web.ts";
import { fillNormal } from "../runtime/core/random.ts";
import { referencePlugin } from "../kernels/reference/plugin.ts";
import { clipPlugin } from "../plugins/clip/plugin.ts";
import { createRuntime } from "../mod.ts";
const dir=new URL("./models/clip-vit-base-patch32/", import.meta.url);
const model = new Uint8Array(gunzipSync(await readFile(new URL("model.onnx.gz",dir))));
const config=await readFile(new URL("config.json",dir));
const g = readOnnxGraph(model);
const e = makeExternalData(g);
const s = await openOnnxSession(model, e, 1);
const p = new Float32Array(3*224*224); fillNormal(p,7,0,1);
const shape=[1,3,224,224];
const o=await s.run(p,shape);
const j=JSON.parse(config.toString());
const rt=await createRuntime({device:"reference",plugins:[referencePlugin,clipPlugin]});
const enc=await rt.load(new Map([["config.json",new Uint8Array(config)],["model.safetensors",clipCheckpoint(g,e,{...j.vision_config,projection_dim:512})]]),{components:["vision"]});
const b=performance.now();
const r=await enc.encode({pixel_values:{dtype:"f32",shape,data:p}},{outputs:["last_hidden_state"]});
console.log("ms",performance.now()-b);
const d=r.last_hidden_state!.data as Float32Array; let w=0,q=0,f=0; for(let i=0;i<o.length;i++){w=Math.max(w,Math.abs(o[i]-d[i]));q+=o[i]*o[i]; f+=o[i]}
console.log(o.length,d.length,"max/std",w/Math.sqrt(q/o.length), "flops",enc.tower("vision").stats.flops);
process.exit(0)
