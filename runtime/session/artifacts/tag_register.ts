/** Which plugin brought which component: settings go by tag, so that a tag must mean one thing. */
import { FoveaError } from "../../core/diagnostics.ts";

export interface TagRegister {
  /**
   * @param structures digests of the component's traced graphs, one for each range. A plugin may have several models whose
   * components differ in sizes; two plugins may share a tag only where they bring the same.
   * @throws FoveaError `tag_conflict` that names both plugins
   */
  claim(tag: string, plugin: string, structures: readonly string[]): void;
}

export function createTagRegister(): TagRegister {
  /** Tag -> plugin -> structures. */
  const known = new Map<string, Map<string, Set<string>>>();
  return {
    claim: (tag, plugin, structures) => {
      const structure = structures.join();
      const owners = known.get(tag) ?? new Map<string, Set<string>>();
      const others = [...owners].filter(([name]) => name !== plugin);
      const rival = others.find(([, seen]) => !seen.has(structure));
      if (rival !== undefined) {
        throw new FoveaError(
          "tag_conflict",
          `The plugins "${rival[0]}" and "${plugin}" both bring a component "${tag}", with different graphs or ranges; settings, caches and reports go by tag. Rename it in one of them, or load them in different runtimes.`,
        );
      }
      known.set(tag, owners.set(plugin, (owners.get(plugin) ?? new Set()).add(structure)));
    },
  };
}
