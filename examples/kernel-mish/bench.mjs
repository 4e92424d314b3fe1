/** The kernel in a memory of its own, as the cover takes it by itself, in turns with the built-in ones: microseconds on the device. */
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import { createRuntime, loadPlugin } from "../../mod.ts";

const WIDTH = 768;
const RUNS = 200;
const FOLDER = new URL(".", import.meta.url).pathname.replace(/\/$/, "");

async function open(plugins, target) {
  const runtime = await createRuntime({ threads: 0, target, plugins: [...plugins, wasmPlugin] });
  const component = await runtime.compile({
    tag: "example/mish",
    symbols: { rows: { min: 1, max: 4096 } },
    build: (b) => {
      const x = b.input("x", [b.dims.rows, WIDTH]);
      const softplus = b.unary("log", b.add(b.unary("exp", x), b.constant(1)));
      const mish = b.mul(x, b.unary("tanh", softplus));
      b.output("y", b.layerNorm(mish, b.input("scale", [WIDTH]), b.input("bias", [WIDTH]), 1e-5));
    },
  });
  return { runtime, component, kernel: /^ {6}(\S+):/m.exec(component.explain())?.[1] };
}

const tensor = (...shape) => {
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => ((i * 7919) % 1013) / 100 - 5);
  return { dtype: "f32", shape, data };
};

const plugin = await loadPlugin(FOLDER);
for (const target of ["wasm-simd128", "wasm-relaxed"]) {
  const [builtIn, own] = [await open([], target), await open([plugin], target)];
  console.log(`${target}: the cover takes ${own.kernel}, where it has no plugin ${builtIn.kernel}`);
  for (const rows of [1, 16, 64, 577, 4096]) {
    const inputs = { x: tensor(rows, WIDTH), scale: tensor(WIDTH), bias: tensor(WIDTH) };
    const times = [[], []];
    for (let run = 0; run < RUNS; run++) {
      for (const [i, { component }] of [builtIn, own].entries()) {
        let ms = 0;
        const span = (s) => {
          if (s.kind === "launches") ms += s.end - s.begin;
        };
        await component.run(inputs, { trace: { span } });
        times[i].push(ms * 1000);
      }
    }
    const [a, b] = times.map((list) => list.sort((p, q) => p - q)[RUNS >> 1]);
    console.log(
      `${rows} rows: built in ${a.toFixed(1)} us, own memory ${b.toFixed(1)} us, ${(b / a).toFixed(2)} of it`,
    );
  }
  await builtIn.runtime.close();
  await own.runtime.close();
}
