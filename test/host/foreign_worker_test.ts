import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { Worker as NodeWorker } from "node:worker_threads";
import { detectHost } from "../../runtime/host/mod.ts";

const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
const ECHO = new URL(`./echo_worker${EXTENSION}`, import.meta.url);

test("workers start although another library has replaced the global Worker", async () => {
  const before = Object.getOwnPropertyDescriptor(globalThis, "Worker");
  Object.defineProperty(globalThis, "Worker", { value: NodeWorker, configurable: true, writable: true });
  try {
    const worker = (await detectHost()).spawnWorker(ECHO, { greeting: "hello" });
    assert.deepEqual(await new Promise((resolve) => worker.onMessage(resolve)), { ready: "hello" });
    await worker.terminate();
  } finally {
    if (before === undefined) Reflect.deleteProperty(globalThis, "Worker");
    else Object.defineProperty(globalThis, "Worker", before);
  }
});

test("workers start in a program whose text came with the command", async () => {
  const own = process.execArgv;
  process.execArgv = ["--input-type=module", "--eval", "text"];
  try {
    const worker = (await detectHost()).spawnWorker(ECHO, { greeting: "hello" });
    assert.deepEqual(await new Promise((resolve) => worker.onMessage(resolve)), { ready: "hello" });
    await worker.terminate();
  } finally {
    process.execArgv = own;
  }
});
