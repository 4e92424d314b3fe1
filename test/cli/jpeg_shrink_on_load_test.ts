/** JPEG files at a reduced size by the command line and a server: asked for, and said. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import sharp from "sharp";
import { runCli } from "../kit/run_cli.ts";
import { fixture } from "../media/media_kit.ts";
import { DIGITS, withServer } from "../server/served.ts";

const photo = sharp(await fixture("astronaut.jpg")).resize(480, 360, { fit: "fill" });
const WIDE = new Uint8Array(await photo.jpeg({ quality: 90 }).toBuffer());

test("the command line and the server say when pictures may have been read at a reduced size", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fovea-shrink-"));
  try {
    const file = join(folder, "wide.jpg");
    await writeFile(file, WIDE);
    const common = ["--threads", "0", "--json"];
    const plain = await runCli(["embed", DIGITS, file, ...common]);
    const shrunk = await runCli(["embed", DIGITS, file, ...common, "--jpeg-shrink-on-load"]);
    assert.equal("reducedJpegs" in JSON.parse(plain.stdout), false);
    assert.equal(JSON.parse(shrunk.stdout).reducedJpegs, 1);
    assert.match(shrunk.stderr, /1 JPEG file was read at a reduced size \(--jpeg-shrink-on-load\)/);
    assert.equal(plain.stderr.includes("reduced"), false);
    const rows = await runCli(["embed", DIGITS, file, "--out", join(folder, "x.parquet"), "--jpeg-shrink-on-load"]);
    assert.match(rows.stderr, /--jpeg-shrink-on-load does not go with a row for each file/);
    const labels = ["--labels", "one,two", "--jpeg-shrink-on-load"];
    const classified = await runCli(["classify", DIGITS, file, ...common, ...labels]);
    assert.equal(JSON.parse(classified.stdout).reducedJpegs, 1);
  } finally {
    await rm(folder, { recursive: true });
  }
  const models = {
    plain: { source: DIGITS },
    shrinks: { source: DIGITS, load: { jpegShrinkOnLoad: true } },
  };
  await withServer({ models }, async ({ get, post }) => {
    const { data } = (await (await get("/v1/models")).json()) as { readonly data: readonly Record<string, unknown>[] };
    assert.deepEqual(
      data.map((model) => model.jpeg_shrink_on_load),
      [undefined, true],
    );
    const image = `data:image/jpeg;base64,${Buffer.from(WIDE).toString("base64")}`;
    const vectors = await Promise.all(
      ["plain", "shrinks"].map(async (model) => {
        const answer = await post("/v1/embeddings", { model, input: [image], modality: "image" });
        const body = (await answer.json()) as { readonly data: readonly { readonly embedding: readonly number[] }[] };
        return body.data[0].embedding;
      }),
    );
    assert.equal(vectors[0].length, vectors[1].length);
    assert.notDeepEqual(vectors[0], vectors[1]);
  });
});
