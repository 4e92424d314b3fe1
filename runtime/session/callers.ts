/** Who called: the first line on the stack that is not fovea's own. */
import type { Bindings } from "../core/dim.ts";
import { folderPattern, placeInStack, placeText } from "../core/source_place.ts";
import type { Demand } from "./artifacts/journal.ts";
import type { PlaceFinder } from "./artifacts/trace.ts";

/** `file:line` of whoever called, read and mapped when it is asked for; nothing when the stack does not tell. */
export type Caller = () => Promise<string | undefined>;

const folder = (path: string): string => folderPattern(path, import.meta.url);

/** In a bundle all of fovea's files lie beside this one. */
function ownFiles(): RegExp {
  const root = folder("../../");
  return new RegExp(`${root}(runtime|kernels|plugins)/|${root}mod\\.[jt]s|${folder("./")}[^/]*$`);
}

/** Notes the stack as it is now, which engines do fast; its text is made only when the caller is wanted. */
export function noteCaller(find: PlaceFinder): Caller {
  const noted = new Error();
  return async () => {
    // Some bundlers leave a module without an address.
    if (!URL.canParse(import.meta.url)) return undefined;
    const place = placeInStack(noted.stack ?? "", ownFiles());
    return place === undefined ? undefined : placeText((await find(place)) ?? place);
  };
}

/** The demand of a call that is the first to need a range. */
export async function firstUse(dims: Bindings, caller: Caller | undefined): Promise<Demand> {
  const at = await caller?.();
  return { cause: "first use", dims, ...(at === undefined ? {} : { caller: at }) };
}
