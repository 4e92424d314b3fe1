import assert from "node:assert/strict";
import { test } from "node:test";
import { blobSource } from "../../runtime/exec/weights/byte_source.ts";
import { memoryFiles, openCheckpoint } from "../../runtime/exec/weights/checkpoint.ts";
import { type FolderHandle, givenFiles, handleFiles } from "../../runtime/exec/weights/given_files.ts";
import { hasCode } from "../kit/assertions.ts";
import { checkAll, INDEX, json, ONE, PART_1, PART_2, TWO } from "./small_checkpoint.ts";

const CONTENTS: Readonly<Record<string, Uint8Array>> = {
  "config.json": json({}),
  "1_Pooling/config.json": json({ pooling: "mean" }),
  "model.safetensors.index.json": INDEX,
  [ONE]: PART_1,
  [TWO]: PART_2,
};
const NAMES = Object.keys(CONTENTS).sort();

const blob = (bytes: Uint8Array): Blob => new Blob([bytes.slice()]);

function file(path: string, bytes: Uint8Array): File {
  const made = new File([bytes.slice()], path.split("/").at(-1) as string);
  return Object.defineProperty(made, "webkitRelativePath", { value: path });
}

async function checkFolder(files: ReturnType<typeof givenFiles>): Promise<void> {
  await checkAll(files);
  const pooling = await files.open("1_Pooling/config.json");
  const bytes = new Uint8Array(pooling.size);
  assert.equal(await pooling.read(bytes, 0), bytes.length);
  assert.deepEqual(bytes, CONTENTS["1_Pooling/config.json"]);
  await assert.rejects(files.open("absent.json"), { code: "file.not_found", message: /absent\.json/ });
}

test("a chosen folder is a model, wherever its config.json lies in it", async () => {
  for (const folder of ["clip/", "models/clip/", ""]) {
    const list = NAMES.map((name) => file(`${folder}${name}`, CONTENTS[name]));
    const files = givenFiles([...list, file("models/readme.md", new Uint8Array(3))].reverse());
    assert.deepEqual(
      (await files.list()).filter((name) => name in CONTENTS),
      NAMES,
    );
    await checkFolder(files);
  }
});

test("files without paths are known by their names", async () => {
  const flat = Object.entries(CONTENTS).filter(([name]) => !name.includes("/"));
  await checkAll(givenFiles(flat.map(([name, bytes]) => new File([bytes.slice()], name))));
  const list = { length: 1, 0: new File([], "config.json") };
  assert.deepEqual(await givenFiles(list).list(), ["config.json"]);
});

test("blobs by name are a model too", async () => {
  await checkFolder(memoryFiles(new Map(NAMES.map((name) => [name, blob(CONTENTS[name])]))));
});

test("what is no file in a list is named by its place", () => {
  assert.throws(
    () => givenFiles([new File([], "a"), "b" as unknown as File]),
    hasCode("bad_source", /`files` holds something else than File objects at place 1/),
  );
  assert.throws(() => givenFiles([new Blob([]) as File]), hasCode("bad_source", /at place 0/));
});

/** A folder handle over the contents below a path. */
function handle(path: string): FolderHandle {
  const absent = (): never => {
    throw Object.assign(new Error("A requested file could not be found."), { name: "NotFoundError" });
  };
  return {
    kind: "directory",
    name: path.split("/").at(-2) ?? "model",
    async *values() {
      const below = NAMES.filter((n) => n.startsWith(path)).map((n) => n.slice(path.length));
      for (const name of below) {
        if (name.includes("/")) yield { kind: "directory" as const, name: name.split("/")[0] };
        else yield { kind: "file" as const, name };
      }
    },
    getFileHandle: async (name) => ({ getFile: async () => blob(CONTENTS[path + name] ?? absent()) }),
    getDirectoryHandle: async (name) =>
      NAMES.some((n) => n.startsWith(`${path}${name}/`)) ? handle(`${path}${name}/`) : absent(),
  };
}

test("a folder handle is a model, with the folders in it", async () => {
  const files = handleFiles(handle(""));
  assert.deepEqual(
    await files.list(),
    NAMES.filter((name) => !name.includes("/")),
  );
  await checkFolder(files);
  await assert.rejects(
    files.open("2_Pooling/config.json"),
    hasCode("file.not_found", /^2_Pooling\/config\.json of the folder model cannot be opened: A requested file/),
  );
  const denied = handleFiles({
    ...handle(""),
    getFileHandle: () => Promise.reject(Object.assign(new Error("not allowed."), { name: "NotAllowedError" })),
  });
  await assert.rejects(openCheckpoint(denied), hasCode("file.denied", /cannot be opened: not allowed\.$/));
});

test("a file that changed after it was given says so", async () => {
  const gone = blob(PART_1);
  Object.defineProperty(gone, "slice", {
    value: () => ({ arrayBuffer: () => Promise.reject(new Error("permission problems.")) }),
  });
  await assert.rejects(
    blobSource("model.safetensors", gone).read(new Uint8Array(4), 0),
    hasCode("file.failed", /^model\.safetensors can no longer be read: permission problems\. Give it again\.$/),
  );
});
