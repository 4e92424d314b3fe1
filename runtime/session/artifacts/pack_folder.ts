/** Where packs are written. */
import type { PackFolder } from "../../exec/pack.ts";
import type { Host } from "../../host/mod.ts";
import { checkOwnFolder } from "../../host/own_folder.ts";

/** A folder that a pack is written into. @throws FoveaError `folder_in_use` where it holds something else */
export async function packFolder(host: Host, path: string): Promise<PackFolder> {
  const root = path.replace(/(?<=.)[/\\]+$/, "");
  await checkOwnFolder(host, root, "blobs", ["blobs"], "built into a pack", "pack");
  const made = new Set<string>();
  return {
    write: async (name, bytes) => {
      const file = `${root}/${name}`;
      const folder = file.slice(0, file.lastIndexOf("/"));
      if (!made.has(folder)) await host.mkdir(folder);
      made.add(folder);
      await host.writeFileAtomic(file, bytes);
    },
  };
}
