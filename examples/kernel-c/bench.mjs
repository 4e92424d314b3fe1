/** The kernel in its own and in the device's memory, in turns with the built-in ones: microseconds on the device. */
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { createRuntime, loadPlugin } from "../../mod.ts";

const WIDTH = 768;
const RUNS = 200;
const FOLDER = new URL(".", import.meta.url).pathname.replace(/\/$/, "");

/** Claims that cost nothing: taken wherever they can be. */
const taken = (plugin) => ({
  ...plugin,
  kernels: (plugin.kernels ?? []).map((kernel) => ({
    ...kernel,
    claim: (context, node) =>
      kernel
        .claim(context, node)
        .map((offer) => ("reason" in offer ? offer : { ...offer, cost: { flops: 0, bytes: 0, launches: 0 } })),
  })),
});

async function open(plugin) {
  const plugins = plugin === undefined ? [wasmPlugin] : [plugin, wasmPlugin];
  const runtime = await createRuntime({ threads: 0, plugins });
  const component = await runtime.compile({
    tag: "example/add_layer_norm",
    symbols: { rows: { min: 1, max: 4096 } },
    build: (b) => {
      const of = (name) => b.input(name, [b.dims.rows, WIDTH]);
      const sum = b.add(of("x"), of("residual"));
      b.output("y", b.layerNorm(sum, b.input("scale", [WIDTH]), b.input("bias", [WIDTH]), 1e-5));
    },
  });
  return { runtime, component, kernels: /^ {6}(\S+):/m.exec(component.explain())?.[1] };
}

const own = await loadPlugin(FOLDER);
const shared = await loadPlugin(FOLDER, { isolation: "shared-memory" });
const forms = {
  "built in": await open(undefined),
  own: await open(taken(own)),
  shared: await open(taken(shared)),
};
for (const [name, plugin] of Object.entries({ own, shared })) {
  const { runtime, kernels } = await open(plugin);
  console.log(`${name} memory: the cover takes ${kernels}`);
  await runtime.close();
}

const tensor = (...shape) => {
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => ((i * 7919) % 1013) / 500 - 1);
  return { dtype: "f32", shape, data };
};
for (const rows of [1, 64, 577, 4096]) {
  const inputs = { x: tensor(rows, WIDTH), residual: tensor(rows, WIDTH), scale: tensor(WIDTH), bias: tensor(WIDTH) };
  const times = new Map(Object.keys(forms).map((name) => [name, []]));
  for (let run = 0; run < RUNS; run++) {
    for (const [name, { component }] of Object.entries(forms)) {
      let ms = 0;
      const span = (s) => {
        if (s.kind === "launches") ms += s.end - s.begin;
      };
      await component.run(inputs, { trace: { span } });
      times.get(name).push(ms * 1000);
    }
  }
  const figures = [...times].map(([name, list]) => `${name} ${list.sort((a, b) => a - b)[RUNS >> 1].toFixed(1)}`);
  console.log(`${rows} rows: ${figures.join(", ")} us`);
}
for (const { runtime } of Object.values(forms)) await runtime.close();
