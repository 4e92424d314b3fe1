/** The code of frozen folders, which tools/edge_bundle.mjs makes and the package brings. */
import { packageFileUrl } from "./package_file.ts";

/** Address of one of its files. @throws FoveaError `package.missing` */
export function edgeCodeUrl(name: string): URL {
  return new URL(name, packageFileUrl("#edge"));
}
