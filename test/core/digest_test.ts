import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { digestBytes, digestJson, Sha256 } from "../../runtime/core/digest.ts";
import { hash32 } from "../../runtime/core/random.ts";

const reference = (data: Uint8Array | string): string => createHash("sha256").update(data).digest("hex");

test("digest: published vectors of SHA-256", () => {
  assert.equal(digestBytes(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  assert.equal(digestBytes("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  assert.equal(
    digestBytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
  );
  assert.equal(
    digestBytes(new Uint8Array(1_000_000).fill(0x61)),
    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
  );
});

test("digest: every length around a block, whole and in pieces, also in shared memory", () => {
  const all = Uint8Array.from({ length: 300 }, (_, i) => hash32(1, i));
  for (let length = 0; length <= all.length; length++) {
    const data = all.subarray(0, length);
    const expected = reference(data);
    assert.equal(digestBytes(data), expected, `${length} bytes`);
    const pieces = new Sha256();
    for (let at = 0, piece = 0; at < length; piece++) {
      const size = hash32(length, piece) % 90;
      pieces.update(data.subarray(at, at + size));
      at += size;
    }
    assert.equal(pieces.hex(), expected, `${length} bytes in pieces`);
  }
  const shared = new Uint8Array(new SharedArrayBuffer(all.length));
  shared.set(all);
  assert.equal(digestBytes(shared), reference(all));
});

test("digest: text counts as UTF-8, plain data as canonical JSON", () => {
  assert.equal(digestBytes("Grüße, 世界 🙂"), reference("Grüße, 世界 🙂"));
  assert.equal(digestJson({ b: [1, null], a: "x" }), reference('{"a":"x","b":[1,null]}'));
  assert.equal(digestJson({ b: 1, a: 2 }), digestJson({ a: 2, b: 1 }));
});

test("digest: a digest that was read takes no more", () => {
  const digest = new Sha256().update("abc");
  digest.hex();
  assert.throws(() => digest.update("d"), /internal: a digest was updated after it was read/);
});
