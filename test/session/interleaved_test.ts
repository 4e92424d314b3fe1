/** 64 calls at once on one runtime: towers, shapes and outputs of all kinds, with aborts and deadlines among them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DeadlineError, type EncodeInputs, type Encoder, type Tensor } from "../../mod.ts";
import { hash32, normal } from "../../runtime/core/random.ts";
import { repositoryPath } from "../kit/run_cli.ts";
import { openRuntime } from "../kit/test_runtime.ts";
import { f32, filesOf, gridTensor, smallConfig } from "../qwen_vl/model_kit.ts";

const CALLS = 64;

interface Kind {
  readonly encoder: Encoder;
  readonly inputs: EncodeInputs;
  readonly outputs?: readonly string[];
}

type Results = Readonly<Record<string, Tensor>>;

const pictures = (batch: number): EncodeInputs => ({
  pixel_values: f32([batch, 3, 32, 32], (i) => normal(batch, i)),
});

const words = (batch: number, length: number): EncodeInputs => ({
  input_ids: {
    dtype: "i32",
    shape: [batch, length],
    data: Int32Array.from({ length: batch * length }, (_, i) => 1 + (hash32(length, i) % 90)),
  },
});

const patches = (sizes: readonly (readonly number[])[]): EncodeInputs => ({
  hidden_states: f32([sizes.reduce((n, [t, h, w]) => n + t * h * w, 0), 4], (i) => normal(3, i)),
  grid_thw: gridTensor(sizes),
});

/** Four of each tower, as many as it keeps memory for between calls. */
function kindsOf(clip: Encoder, qwen: Encoder): readonly Kind[] {
  return [
    { encoder: clip, inputs: pictures(1) },
    { encoder: clip, inputs: pictures(3), outputs: ["image_embeds"] },
    { encoder: clip, inputs: pictures(9), outputs: ["last_hidden_state"] },
    { encoder: clip, inputs: words(1, 5) },
    { encoder: clip, inputs: words(4, 9), outputs: ["text_embeds"] },
    { encoder: clip, inputs: words(2, 12) },
    { encoder: clip, inputs: { ...pictures(2), ...words(3, 7) } },
    { encoder: qwen, inputs: patches([[1, 4, 4]]) },
    { encoder: qwen, inputs: patches([[1, 8, 12]]), outputs: ["pooler_output"] },
    { encoder: qwen, inputs: patches([[3, 8, 4]]) },
    {
      encoder: qwen,
      inputs: patches([
        [1, 4, 8],
        [2, 12, 12],
      ]),
    },
  ];
}

const encode = ({ encoder, inputs, outputs }: Kind, options: object = {}): Promise<Results> =>
  encoder.encode(inputs, { ...options, ...(outputs === undefined ? {} : { outputs }) }) as Promise<Results>;

async function oneByOne(kinds: readonly Kind[]): Promise<readonly Results[]> {
  const found: Results[] = [];
  for (const kind of kinds) found.push(await encode(kind));
  return found;
}

/** How a call may end. */
interface Fate {
  readonly controller: AbortController;
  readonly reason: Error;
  readonly abortAfter?: number;
  readonly deadline?: number;
}

function fateOf(call: number, seed: number): Fate {
  const reason = new Error(`call ${call} is no longer wanted`);
  const controller = new AbortController();
  const moment = hash32(seed, call) % 60;
  if (call % 3 === 0) return { controller, reason, abortAfter: moment };
  // Some pass at once, some while the call waits or runs, some never.
  if (call % 7 === 0) return { controller, reason, deadline: call % 2 === 0 ? Math.floor(moment / 2) : 600_000 };
  return { controller, reason };
}

for (const threads of [0, 2]) {
  test(`threads ${threads}: finished calls have the bits they have alone, others their own reason`, async () => {
    const runtime = await openRuntime({ threads });
    const clip = await runtime.load(repositoryPath("test/fixtures/clip"));
    const qwen = await runtime.load(filesOf(smallConfig("qwen2_5_vl")));
    const kinds = kindsOf(clip, qwen);
    const alone = await oneByOne(kinds);
    assert.deepEqual(await oneByOne(kinds), alone);
    const before = runtime.stats().device.bytesInUse;
    let [finished, aborted, late] = [0, 0, 0];
    for (let seed = 0; seed < 2; seed++) {
      const calls = Array.from({ length: CALLS }, (_, call) => {
        const fate = fateOf(call, seed);
        const { controller, reason, abortAfter, deadline } = fate;
        const timer = setTimeout(() => controller.abort(reason), abortAfter ?? 0);
        if (abortAfter === undefined) clearTimeout(timer);
        const options = {
          signal: controller.signal,
          requestId: `${seed}.${call}`,
          ...(deadline === undefined ? {} : { deadline }),
        };
        const kind = hash32(seed + 9, call) % kinds.length;
        return { fate, kind, id: options.requestId, done: encode(kinds[kind], options) };
      });
      const ends = await Promise.allSettled(calls.map((c) => c.done));
      for (const [call, end] of ends.entries()) {
        const { fate, kind, id } = calls[call];
        if (end.status === "fulfilled") {
          finished++;
          assert.deepEqual(end.value, alone[kind], `call ${id}`);
        } else if (end.reason instanceof DeadlineError) {
          late++;
          assert.notEqual(fate.deadline ?? 600_000, 600_000, end.reason.message);
          assert.equal(end.reason.requestId, id);
        } else {
          aborted++;
          assert.equal(end.reason, fate.reason);
          assert.notEqual(fate.abortAfter, undefined);
        }
      }
    }
    assert.ok(finished > CALLS && aborted > 0 && late > 0, `${finished} finished, ${aborted} aborted, ${late} late`);
    assert.deepEqual(await oneByOne(kinds), alone);
    // Calls beside each other leave a few arenas more for the next ones; kept by each of the 128 they would be many times this.
    const kept = runtime.stats().device.bytesInUse - before;
    assert.ok(kept < before, `${kept} bytes more than ${before}`);
    clip.close();
    qwen.close();
    assert.equal(runtime.stats().device.bytesInUse, 0);
    await runtime.close();
  });
}
