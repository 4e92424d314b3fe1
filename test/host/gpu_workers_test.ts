import assert from "node:assert/strict";
import { test } from "node:test";
import type { WorkerHandle } from "../../runtime/abi/device.ts";
import { gpuWorkers } from "../../runtime/host/gpu_workers.ts";

/** A process with a clock of its own, whose workers only say that they end. */
function pretend() {
  let time = 1000;
  const blocked: number[] = [];
  const exits: (() => void)[] = [];
  const terminated: string[] = [];
  const ends: ((reason: string) => void)[] = [];
  const spawn = (entry: URL): WorkerHandle => ({
    postMessage: () => {},
    onMessage: () => {},
    onEnd: (listener) => void ends.push(listener),
    terminate: async () => void terminated.push(entry.pathname),
    unref: () => {},
    ref: () => {},
  });
  const open = gpuWorkers(spawn, {
    now: () => time,
    block: (ms) => void blocked.push(ms),
    onExit: (listener) => void exits.push(listener),
  });
  return {
    open: (name: string) => open(new URL(`file:///${name}`), undefined),
    pass: (ms: number) => {
      time += ms;
    },
    exit: () => {
      for (const listener of exits) listener();
    },
    ...{ blocked, terminated, ends },
  };
}

test("a process without GPU workers ends at once", () => {
  const { exit, blocked } = pretend();
  exit();
  assert.deepEqual(blocked, []);
});

test("a process ends when the driver of the last worker can have been given back", async () => {
  const { open, pass, exit, blocked, terminated } = pretend();
  const first = open("first");
  await first.terminate();
  pass(100);
  const second = open("second");
  await second.terminate();
  pass(30);
  exit();
  assert.deepEqual(terminated, ["/first", "/second"]);
  assert.deepEqual(blocked, [120]);
  pass(120);
  exit();
  assert.deepEqual(blocked, [120], "after that it need not wait");
});

test("workers that nobody ended are ended before the process is", () => {
  const { open, exit, blocked, terminated } = pretend();
  open("left");
  open("also left");
  exit();
  assert.deepEqual(terminated, ["/left", "/also%20left"]);
  assert.deepEqual(blocked, [150]);
});

test("a worker that ended by itself gives its driver back as well, and is not ended again", () => {
  const { open, pass, exit, blocked, terminated, ends } = pretend();
  open("crashed");
  pass(500);
  for (const listener of ends) listener("it exited with code 1");
  pass(50);
  exit();
  assert.deepEqual(terminated, []);
  assert.deepEqual(blocked, [100]);
});
