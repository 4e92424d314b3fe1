/** Pictures of one folder, no two alike: the bundled digits with a few samples changed. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { decode, encode } from "fast-png";
import { repositoryPath } from "../kit/run_cli.ts";

export const DIGITS: string = repositoryPath("examples/models/digits-clip");

/** Writes `00000.png`, … */
export function writePictures(folder: string, count: number): void {
  mkdirSync(folder, { recursive: true });
  const images = join(DIGITS, "images");
  const digits = readdirSync(images)
    .sort()
    .map((name) => decode(readFileSync(join(images, name))));
  for (let i = 0; i < count; i++) {
    const { width, height, channels, data } = digits[i % digits.length];
    const samples = Uint8Array.from(data);
    // The number of the picture, in its first samples.
    for (let bit = 0; bit < 16; bit++) samples[bit] ^= (i >> bit) & 1;
    writeFileSync(
      join(folder, `${String(i).padStart(5, "0")}.png`),
      encode({ width, height, channels, data: samples }),
    );
  }
}
