/** The conformance check of devices on fovea's own, and on wrong ones. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { referencePlugin } from "../../kernels/reference/plugin.ts";
import { wasmPlugin } from "../../kernels/wasm/plugin.ts";
import type { Device, DeviceSpec, Plugin } from "../../runtime/abi/mod.ts";
import { checkDevice } from "../kit/check_device.ts";

test("the reference device passes the check of devices", async () => {
  const found = await checkDevice(referencePlugin, { open: { memory: 64 << 20 } });
  assert.deepEqual([found.kind, found.target], ["reference", "reference"]);
  assert.ok(found.compared >= 4, JSON.stringify(found));
});

for (const threads of [0, 2]) {
  test(`the wasm device passes the check of devices, with ${threads} workers`, async () => {
    const found = await checkDevice(wasmPlugin, { open: { threads, memory: 64 << 20, target: "wasm-simd128" } });
    assert.ok(found.compared >= 4 && found.worst < 1, JSON.stringify(found));
  });
}

/** The reference device with something else in it. */
function spoiled(change: (device: Device) => Partial<Device>): Plugin {
  const [spec] = referencePlugin.devices as readonly DeviceSpec[];
  const open: DeviceSpec["open"] = async (host, options) => {
    const device = await spec.open(host, options);
    const own = change(device) as Readonly<Record<string, unknown>>;
    return new Proxy(device, {
      get: (target, key) => {
        const value = Object.hasOwn(own, key) ? own[key as string] : Reflect.get(target, key);
        return typeof value === "function" && !Object.hasOwn(own, key) ? value.bind(target) : value;
      },
    });
  };
  return { ...referencePlugin, devices: [{ ...spec, open }] };
}

let last: Device | undefined;
const WRONG: readonly (readonly [string, Plugin, RegExp])[] = [
  [
    "writes that reach too far",
    spoiled((device) => ({
      write: (buffer, offset, data) => device.write(buffer, offset, offset === 0 ? data : Uint8Array.of(...data, 7)),
    })),
    /Writing 1 bytes changed others/,
  ],
  [
    "errors of other classes",
    spoiled((device) => ({
      load: async (code) => (code.has("none") ? Promise.reject(new TypeError("bad magic")) : device.load(code)),
    })),
    /Code that is none is refused with TypeError: bad magic; expected a FoveaError "invalid_code"/,
  ],
  ["memory that is never given back", spoiled(() => ({ release: () => {} })), /still counts what was given back/],
  [
    "wrong numbers",
    spoiled((device) => ({
      read: async (buffer, offset, into) => {
        await device.read(buffer, offset, into);
        if (into.length > 64 && into.length % 4 === 0 && offset !== 0)
          new Float32Array(into.buffer, into.byteOffset, 1)[0] += 1;
      },
    })),
    /is off the reference by|do not come back/,
  ],
  [
    "a device whose end is another's",
    spoiled((device) => {
      const other = last;
      last = device;
      return {
        close: async () => {
          await device.close();
          await other?.close();
          await last?.close();
        },
      };
    }),
    /is closed; open it again/,
  ],
];

for (const [what, plugin, says] of WRONG) {
  test(`the check of devices finds ${what}`, async () => {
    await assert.rejects(checkDevice(plugin, { open: { memory: 64 << 20 } }), says);
  });
}
