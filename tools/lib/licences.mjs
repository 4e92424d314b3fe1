// Notices of others' work inside a bundle.
import { existsSync } from "node:fs";
import { at, readJson, readText } from "./project.mjs";

/** Name, version and licence of installed packages, as one text. */
export function licencesOf(packages) {
  return packages
    .map((name) => {
      const folder = `node_modules/${name}`;
      const { version, license } = readJson(`${folder}/package.json`);
      const file = ["LICENSE", "LICENSE.md", "LICENSE.txt", "license"].find((f) => existsSync(at(`${folder}/${f}`)));
      const text = file === undefined ? "" : `\n\n${readText(`${folder}/${file}`).trim()}`;
      return `${name} ${version}, ${license}${text}`;
    })
    .join("\n\n----\n\n");
}
