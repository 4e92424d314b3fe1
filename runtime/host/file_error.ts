/** File errors of the three runtimes as one kind of sentence. */
import { FoveaError } from "../core/diagnostics.ts";

interface Kind {
  readonly code: string;
  /** Error codes of Node and Bun, and names of the error classes of Deno and browsers. */
  readonly names: readonly string[];
  readonly text: string;
}

const KINDS: readonly Kind[] = [
  { code: "file.not_found", names: ["ENOENT", "NotFound"], text: "it does not exist. Check the path" },
  {
    code: "file.denied",
    names: ["EACCES", "EPERM", "PermissionDenied", "NotCapable", "SecurityError"],
    text: "access is denied. Check the permissions",
  },
  { code: "file.read_only", names: ["EROFS", "ReadOnlyFilesystem"], text: "the file system is read-only" },
  {
    code: "file.no_space",
    names: ["ENOSPC", "EDQUOT", "StorageFull", "FilesystemQuotaExceeded", "QuotaExceededError"],
    text: "no space is left",
  },
  {
    code: "file.kind",
    names: ["ENOTDIR", "NotADirectory"],
    text: "a part of that path is a file, where a folder was expected. Check the path",
  },
  {
    code: "file.kind",
    names: ["EISDIR", "EEXIST", "IsADirectory", "AlreadyExists"],
    text: "found a folder where a file was expected, or a file where a folder was. Check the path",
  },
];

/** Where there is more to say than of every error of its kind. */
function ownText(kind: Kind | undefined, action: string, path: string, message = ""): string | undefined {
  const folder = /^(.*)[/\\]/.exec(path)?.[1] ?? "";
  if (kind?.code === "file.not_found" && action === "write" && folder !== "") {
    return `there is no folder ${folder}. Create it first`;
  }
  const flag = /--allow-[a-z]+/.exec(message)?.[0];
  return kind?.code === "file.denied" && flag !== undefined ? `that is not permitted. Deno needs ${flag}` : undefined;
}

/** @param action such as `read` */
export function fileError(action: string, path: string, cause: unknown): FoveaError {
  if (cause instanceof FoveaError) return cause;
  const { code, name, message } = cause as { code?: string; name?: string; message?: string };
  const kind =
    KINDS.find((k) => code !== undefined && k.names.includes(code)) ??
    KINDS.find((k) => name !== undefined && k.names.includes(name));
  const text = ownText(kind, action, path, message) ?? kind?.text ?? `the system says "${message ?? String(cause)}"`;
  return new FoveaError(kind?.code ?? "file.failed", `Cannot ${action} ${path}: ${text}.`, { cause });
}

/** Runs a file operation and puts its errors into sentences. */
export async function withFileErrors<T>(action: string, path: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw fileError(action, path, error);
  }
}
