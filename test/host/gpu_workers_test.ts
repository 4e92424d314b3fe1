import assert from "node:assert/strict";
import { test } from "node:test";
import type { WorkerHandle } from "../../runtime/abi/device.ts";
import { gpuWorkers } from "../../runtime/host/gpu_workers.ts";

/** A process with a clock of its own, whose workers only say that they end. */
function pretend() {
  let time = 1000;
  let blocked = 0;
  let nextThread = 0;
  /** Threads by number, and when they are gone. */
  const threads = new Map<number, number>();
  const exits: (() => void)[] = [];
  const terminated: string[] = [];
  const ends: ((reason: string) => void)[] = [];
  const open = gpuWorkers({
    spawn: (entry, _data, thread): WorkerHandle => {
      thread[0] = nextThread;
      return {
        postMessage: () => {},
        onMessage: () => {},
        onEnd: (listener) => void ends.push(listener),
        terminate: async () => void terminated.push(entry.pathname),
        unref: () => {},
        ref: () => {},
      };
    },
    hasThread: (thread) => time < (threads.get(thread) ?? 0),
    now: () => time,
    block: (ms) => {
      blocked += ms;
      time += ms;
    },
    onExit: (listener) => void exits.push(listener),
  });
  return {
    /** @param thread its number, where the system tells */
    open: (name: string, thread = 0) => {
      nextThread = thread;
      return open(new URL(`file:///${name}`), undefined);
    },
    pass: (ms: number) => {
      time += ms;
    },
    /** How long the exit of the process took, in milliseconds. */
    exit: () => {
      blocked = 0;
      for (const listener of exits) listener();
      return blocked;
    },
    /** A thread is gone so many milliseconds from now. */
    goesIn: (thread: number, ms: number) => void threads.set(thread, time + ms),
    ...{ terminated, ends },
  };
}

test("a process without GPU workers ends at once", () => {
  assert.equal(pretend().exit(), 0);
});

test("a process ends when the threads of its workers are gone", async () => {
  const { open, pass, goesIn, exit, terminated } = pretend();
  const first = open("first", 11);
  const second = open("second", 12);
  goesIn(11, 700);
  goesIn(12, 20);
  await first.terminate();
  await second.terminate();
  pass(100);
  open("third", 13);
  assert.equal(exit(), 600);
  assert.deepEqual(terminated, ["/first", "/second", "/third"]);
  assert.equal(exit(), 0);
});

test("a thread that never goes holds up a process for two seconds", async () => {
  const { open, goesIn, exit } = pretend();
  goesIn(11, 1e9);
  await open("stuck", 11).terminate();
  assert.equal(exit(), 2000);
});

test("where the system does not tell of threads, a process ends when drivers can have been given back", async () => {
  const { open, pass, exit, terminated } = pretend();
  await open("first").terminate();
  pass(30);
  assert.equal(exit(), 120);
  open("left");
  open("also left");
  assert.equal(exit(), 150);
  assert.deepEqual(terminated, ["/first", "/left", "/also%20left"]);
});

test("a worker that ended by itself gives its driver back as well, and is not ended again", () => {
  const { open, pass, exit, terminated, ends } = pretend();
  open("crashed");
  pass(500);
  for (const listener of ends) listener("it exited with code 1");
  pass(50);
  assert.equal(exit(), 100);
  assert.deepEqual(terminated, []);
});
