import assert from "node:assert/strict";
import { test } from "node:test";
import { resampleTable } from "../../runtime/media/resize.ts";
import { sharedTable } from "../../runtime/media/table_cache.ts";

test("tables of one geometry are shared, of others not", () => {
  const first = sharedTable("bilinear", 100, 64, 0, 64, "pillow");
  assert.equal(sharedTable("bilinear", 100, 64, 0, 64, "pillow"), first);
  const others: readonly Parameters<typeof resampleTable>[] = [
    ["bicubic", 100, 64, 0, 64, "pillow"],
    ["bilinear", 101, 64, 0, 64, "pillow"],
    ["bilinear", 100, 65, 0, 64, "pillow"],
    ["bilinear", 100, 64, 1, 63, "pillow"],
    ["bilinear", 100, 64, 0, 63, "pillow"],
    ["bilinear", 100, 64, 0, 64, "torchvision"],
    ["bilinear", 100, 32, 0, 32, "pillow", 2],
  ];
  for (const geometry of others) {
    const found = sharedTable(...geometry);
    assert.deepEqual(found, resampleTable(...geometry));
    assert.notEqual(found, first);
  }
});

test("what was used longest ago makes room, and large tables are not kept", () => {
  const first = sharedTable("bicubic", 999, 500, 0, 500, "pillow");
  // Each of some 40 KB.
  for (let side = 1000; side < 1300; side++) sharedTable("bicubic", side, 500, 0, 500, "pillow");
  const again = sharedTable("bicubic", 999, 500, 0, 500, "pillow");
  assert.notEqual(again, first);
  assert.deepEqual(again, first);
  assert.equal(
    sharedTable("bicubic", 1299, 500, 0, 500, "pillow"),
    sharedTable("bicubic", 1299, 500, 0, 500, "pillow"),
  );
  const large = ["bicubic", 40_000, 4000, 0, 4000, "pillow"] as const;
  assert.notEqual(sharedTable(...large), sharedTable(...large));
});
