/** Pictures and videos that a command names: what is wrong with their paths is said before a model is loaded. */
import { FoveaError } from "../core/diagnostics.ts";
import { detectHost } from "../host/mod.ts";

/** Files that are recordings, by their names. */
export const RECORDING: RegExp = /\.(wav|flac|mp3|og[ag])$/i;

const ADDRESS = /^([a-z][a-z\d+.-]+:\/\/|data:)/i;

const isAbsent = (error: unknown): boolean => error instanceof FoveaError && error.code === "file.not_found";

/** @throws FoveaError `bad_usage` for a folder, `file.not_found` and others for what cannot be read */
export async function checkPictures(files: readonly string[]): Promise<void> {
  const host = await detectHost();
  for (const file of new Set(files)) {
    if (ADDRESS.test(file)) continue;
    if (file === "") throw new FoveaError("bad_usage", "A picture's name is empty; give paths or addresses.");
    const { kind } = await host.stat(file).catch((error: unknown) => {
      if (isAbsent(error) && /[*?]/.test(file)) {
        throw new FoveaError(
          "bad_usage",
          `No file is called ${file}. Here the shell expands patterns: leave out the quotes, or look what the pattern should match; \`fovea embed\` expands it with --out x.parquet, --resume or --shard-rows.`,
          { cause: error },
        );
      }
      const isLabel = isAbsent(error) && /^,|,$/.test(file);
      const hint = `"${file}" is taken for a picture; put quotes around a list, such as --labels "a cat,a dog".`;
      throw isLabel ? new FoveaError("bad_usage", hint, { cause: error }) : error;
    });
    if (kind === "directory") {
      const holdsModel = await host.stat(`${file}/config.json`).then(Boolean, () => false);
      if (holdsModel) {
        throw new FoveaError("bad_usage", `${file} is a model's folder; name the model before the pictures.`);
      }
      throw new FoveaError(
        "bad_usage",
        `${file} is a folder; name the pictures in it, such as ${file}/*.png, or give it as a video where the command takes one.`,
      );
    }
  }
}

/** @throws FoveaError `bad_usage`, `file.not_found` and others for what cannot be read */
export async function checkVideos(files: readonly string[]): Promise<void> {
  const host = await detectHost();
  for (const file of new Set(files)) {
    if (ADDRESS.test(file)) continue;
    if (file === "") throw new FoveaError("bad_usage", "A video's name is empty; give folders, files or addresses.");
    await host.stat(file);
  }
}
