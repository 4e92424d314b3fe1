/** Starts a second process, compiles here and computes there. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { createRuntime } from "fovea";
import { remotePlugin } from "./remote_device.ts";

const suffix = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
const server = fileURLToPath(new URL(`./server${suffix}`, import.meta.url));
const command = "deno" in process.versions ? ["run", "-A", server] : [server];
const child = spawn(process.execPath, command, { stdio: ["ignore", "pipe", "inherit"] });
const url = await new Promise<string>((resolve, reject) => {
  child.stdout.once("data", (line) => resolve(String(line).trim()));
  child.once("exit", (code) => reject(new Error(`the server ended with code ${code}`)));
});
try {
  const runtime = await createRuntime({ device: "remote", plugins: [remotePlugin(url)] });
  const square = await runtime.compile({
    tag: "example/square",
    symbols: { rows: { min: 1, max: 64 } },
    build: (b) => {
      const x = b.input("x", [b.dims.rows, 4]);
      b.output("y", b.mul(x, x));
    },
  });
  const { y } = await square.run({ x: { dtype: "f32", shape: [2, 4], data: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8) } });
  console.log(JSON.stringify({ device: runtime.device, target: runtime.target, server: url, y: [...y.data] }));
  await runtime.close();
} finally {
  child.kill();
}
