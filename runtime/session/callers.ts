/** Who called: the first line on the stack that is neither fovea's own nor an installed package's. */
import type { Bindings } from "../core/dim.ts";
import { folderPattern, placeInStack, placeText } from "../core/source_place.ts";
import type { Demand } from "./artifacts/journal.ts";
import type { PlaceFinder } from "./artifacts/trace.ts";

/** `file:line` of whoever called, read and mapped when it is asked for; nothing when the stack does not tell. */
export type Caller = () => Promise<string | undefined>;

const folder = (path: string): string => folderPattern(path, import.meta.url);

/** Of packages, which Deno also keeps in a cache of its own: `npm/<registry>/<name>/<version>`. */
const PACKAGES = String.raw`/node_modules/|/npm/[^/]+/(@[^/]+/)?[^/@]+/\d+\.\d+\.\d+[^/]*/`;

/** In a bundle all of fovea's files lie beside this one. */
function skippedFiles(): RegExp {
  const root = folder("../../");
  return new RegExp(`${root}(runtime|kernels|plugins)/|${root}mod\\.[jt]s|${folder("./")}[^/]*$|${PACKAGES}`);
}

/** Notes the stack as it is now, which engines do fast; its text is made only when the caller is wanted. */
export function noteCaller(find: PlaceFinder): Caller {
  const noted = new Error();
  return async () => {
    // Some bundlers leave a module without an address.
    if (!URL.canParse(import.meta.url)) return undefined;
    const place = placeInStack(noted.stack ?? "", skippedFiles());
    return place === undefined ? undefined : placeText((await find(place)) ?? place);
  };
}

/** The demand of a call that is the first to need a range. */
export async function firstUse(dims: Bindings, caller: Caller | undefined): Promise<Demand> {
  const at = await caller?.();
  return { cause: "first use", dims, ...(at === undefined ? {} : { caller: at }) };
}
