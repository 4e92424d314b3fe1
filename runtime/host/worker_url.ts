/** Where the workers' main module lies: sources run as they are in Bun and Deno, compiled ones elsewhere. */
const extension = import.meta.url.endsWith(".ts") ? ".ts" : ".js";

export const WORKER_ENTRY: URL = new URL(`./worker_entry${extension}`, import.meta.url);
