/** A device in TypeScript. */
import { type Template, typescriptProject } from "./project.ts";

const plugin = (
  name: string,
): string => `/** A device that passes everything on to the reference device, and counts launches: a place to begin. */
import { ABI_VERSION, type Device, type DeviceSpec, definePlugin, type Plugin } from "fovea/abi";
import { referencePlugin } from "fovea/reference";

const [reference] = referencePlugin.devices as readonly DeviceSpec[];
const KIND = "counting";

/** What it computes with: every call of the interface, on whatever your device is. */
function counting(inner: Device): Device {
  let launches = 0;
  return {
    kind: KIND,
    target: inner.target,
    capabilities: inner.capabilities,
    threads: inner.threads,
    load: (code) => inner.load(code),
    has: (code) => inner.has(code),
    allocate: (bytes) => inner.allocate(bytes),
    release: (buffer) => inner.release(buffer),
    write: (buffer, offset, data) => inner.write(buffer, offset, data),
    read: (buffer, offset, into) => inner.read(buffer, offset, into),
    bind: (list) => inner.bind(list),
    run: async (program, options) => {
      await inner.run(program, options);
      launches += program.launches;
    },
    stats: () => ({ ...inner.stats(), details: { launches } }),
    close: () => inner.close(),
  };
}

export const plugin: Plugin = definePlugin({
  name: ${JSON.stringify(name)},
  version: "0.1.0",
  abi: ABI_VERSION,
  devices: [
    { ...reference, kind: KIND, open: async (host, options) => counting(await reference.open(host, options)) },
  ],
  // Its kernels are the reference device's, asked for this one.
  kernels: (referencePlugin.kernels ?? []).map((kernel) => ({ ...kernel, device: KIND })),
});
`;

const TEST = `import { test } from "node:test";
import { checkDevice } from "fovea/testing";
import { plugin } from "./plugin.ts";

test("the device passes the check of devices", async () => {
  await checkDevice(plugin);
});
`;

export const DEVICE_TS: Template = {
  name: "device-ts",
  makes: "a device in TypeScript",
  files: (name) => typescriptProject(name, "A device for fovea.", plugin(name), TEST),
};
