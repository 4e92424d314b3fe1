/** Pictures for the server: the bundled digits in four sizes. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { decode, encode } from "fast-png";
import { repositoryPath } from "../test/kit/run_cli.ts";

export const DIGITS: string = repositoryPath("examples/models/digits-clip");

/** Each sample becomes a square of so many. */
function enlarged(file: Uint8Array, times: number): Uint8Array {
  const { width, height, channels, data } = decode(file);
  const [wide, high] = [width * times, height * times];
  const samples = new Uint8Array(wide * high * channels);
  for (let y = 0; y < high; y++) {
    for (let x = 0; x < wide; x++) {
      const from = (Math.floor(y / times) * width + Math.floor(x / times)) * channels;
      for (let c = 0; c < channels; c++) samples[(y * wide + x) * channels + c] = data[from + c];
    }
  }
  return encode({ width: wide, height: high, channels, data: samples });
}

/** PNG files. */
export function servingPictures(): readonly Uint8Array[] {
  const folder = join(DIGITS, "images");
  const files = readdirSync(folder)
    .filter((name) => name.endsWith(".png"))
    .sort();
  return files.map((name, i) => enlarged(new Uint8Array(readFileSync(join(folder, name))), 1 + (i % 4)));
}
