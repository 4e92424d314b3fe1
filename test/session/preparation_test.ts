/** Ranges of a component made ready side by side. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { beginPreparation, obtainAll, type Preparation } from "../../runtime/session/artifacts/preparation.ts";
import type { ProofScope } from "../../runtime/session/artifacts/proofs.ts";
import type { RangeSlot, ReadyArtifact } from "../../runtime/session/artifacts/ready_component.ts";

const READY = {} as ReadyArtifact;

/** A piece of work that takes some turns of the event loop. */
const aWhile = (turns: number): Promise<void> =>
  turns === 0
    ? Promise.resolve()
    : new Promise<void>((resolve) => setTimeout(resolve, 0)).then(() => aWhile(turns - 1));

interface Told {
  readonly events: string[];
  readonly preparation: Preparation;
}

function begin(): Told {
  const events: string[] = [];
  const proofs: ProofScope = {
    weights: undefined as never,
    budgetMs: 0,
    release: () => {
      events.push("end");
    },
  };
  return { events, preparation: beginPreparation(proofs) };
}

/** A slot that says when its compile and its proof begin and end; `failing` ends with an error behind one of them. */
function slotOf(name: string, events: string[], proofTurns: number, failing?: "compile" | "proof"): RangeSlot {
  const stage = async (what: "compile" | "proof", turns: number): Promise<void> => {
    events.push(`${what} ${name}`);
    await aWhile(turns);
    events.push(`${what} ${name} done`);
    if (failing === what) throw new Error(`${what} ${name} failed`);
  };
  const slot: Pick<RangeSlot, "obtain"> & { ready: ReadyArtifact | undefined } = {
    ready: undefined,
    obtain: async (_, signal, preparation) => {
      assert.ok(preparation !== undefined);
      await preparation.compiles(async () => {
        signal?.throwIfAborted();
        await stage("compile", 1);
      });
      await preparation.proves(() => stage("proof", proofTurns));
      slot.ready = READY;
      return READY;
    },
  };
  return slot as RangeSlot;
}

test("the next range compiles while one is proven; compiles and proofs keep their order, one at a time each", async () => {
  const { events, preparation } = begin();
  await obtainAll(
    ["a", "b", "c"].map((name) => slotOf(name, events, 5)),
    { cause: "load" },
    undefined,
    preparation,
  );
  const at = (event: string): number => {
    assert.ok(events.includes(event), `${event} is missing in ${events.join(", ")}`);
    return events.indexOf(event);
  };
  assert.ok(at("compile b") < at("proof a done"));
  assert.ok(at("compile c") < at("proof a done"));
  for (const [one, next] of ["ab", "bc"]) {
    assert.ok(at(`compile ${one} done`) < at(`compile ${next}`));
    assert.ok(at(`proof ${one} done`) < at(`proof ${next}`));
  }
  assert.equal(events.at(-1), "end");
});

test("the first failure is told when all that had begun is over, and no further range begins", async () => {
  const { events, preparation } = begin();
  const slots = [
    slotOf("a", events, 1),
    slotOf("b", events, 0, "compile"),
    slotOf("c", events, 9),
    slotOf("d", events, 9),
  ];
  await assert.rejects(obtainAll(slots, { cause: "load" }, undefined, preparation), /^Error: compile b failed$/);
  for (const name of ["c", "d"]) assert.ok(!events.includes(`compile ${name}`), `${name} began`);
  assert.ok(events.includes("proof a done"));
  assert.equal(events.at(-1), "end");
});

test("a proof that fails ends the others too, with its own error", async () => {
  const { events, preparation } = begin();
  const slots = [..."abcdefgh"].map((name) => slotOf(name, events, 3, name === "a" ? "proof" : undefined));
  await assert.rejects(obtainAll(slots, { cause: "load" }, undefined, preparation), /^Error: proof a failed$/);
  assert.ok(!events.includes("compile h"));
  assert.equal(events.at(-1), "end");
});

test("an abort ends it with the signal's reason", async () => {
  const { events, preparation } = begin();
  const leaving = new AbortController();
  const slots = ["a", "b", "c"].map((name) => slotOf(name, events, 3));
  const all = obtainAll(slots, { cause: "load" }, leaving.signal, preparation);
  leaving.abort(new Error("no longer wanted"));
  await assert.rejects(all, /^Error: no longer wanted$/);
  assert.ok(!events.includes("compile c"));
  assert.equal(events.at(-1), "end");
});
