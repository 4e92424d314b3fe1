/** The platform's folders: for caches, and the one where the hub's clients keep the token of a login. */

/**
 * @param read value of an environment variable, undefined when unset or not permitted
 * @returns undefined when the platform's own variables are not known
 */
export function cacheDirectory(
  platform: string,
  read: (name: "FOVEA_CACHE_DIR" | "HOME" | "XDG_CACHE_HOME" | "LOCALAPPDATA") => string | undefined,
): string | undefined {
  const chosen = read("FOVEA_CACHE_DIR");
  if (chosen) return chosen;
  if (platform === "win32" || platform === "windows") {
    const local = read("LOCALAPPDATA");
    return local ? `${local}\\fovea\\cache` : undefined;
  }
  const home = read("HOME");
  if (platform === "darwin") return home ? `${home}/Library/Caches/fovea` : undefined;
  const caches = read("XDG_CACHE_HOME") || (home ? `${home}/.cache` : undefined);
  return caches ? `${caches}/fovea` : undefined;
}

/** The token's file as the hub's own clients place it: in HF_HOME, else in `huggingface` of the user's caches. */
export function hubTokenFile(
  read: (name: "HF_HOME" | "XDG_CACHE_HOME" | "HOME" | "USERPROFILE") => string | undefined,
): string | undefined {
  const chosen = read("HF_HOME");
  if (chosen) return `${chosen}/token`;
  const home = read("HOME") || read("USERPROFILE");
  const caches = read("XDG_CACHE_HOME") || (home ? `${home}/.cache` : undefined);
  return caches ? `${caches}/huggingface/token` : undefined;
}
