/** A hub on this machine: its API, and beside it the server that large files are sent from, with faults on demand. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface HubFile {
  readonly bytes: Uint8Array;
  /** Large files have a SHA-256, and are sent by the other server. */
  readonly large: boolean;
}

export interface HubModel {
  commit: string;
  files: Map<string, HubFile>;
  /** Revisions beside `main` and the commit itself. */
  readonly revisions?: readonly string[];
  readonly access?: "gated" | "private";
}

/** A request that a server got. */
export interface Asked {
  readonly server: "hub" | "store";
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
  /** Bytes of files that were sent. */
  sent: number;
}

/** What goes wrong with a request; nothing unless it returns something. */
export interface Fault {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** The connection is closed after so many bytes of the body. */
  readonly cutAfter?: number;
  /** Nothing more comes after so many bytes of the body. */
  readonly stallAfter?: number;
  /** A range is answered with the whole file. */
  readonly ignoreRange?: boolean;
  /** Changes the bytes that are sent. */
  readonly damage?: boolean;
}

export interface HubServer {
  readonly url: string;
  readonly token: string;
  readonly asked: readonly Asked[];
  /** Decides about each request by its path. */
  fault: (asked: Asked) => Fault | undefined;
  /** Bytes of files sent since the last call. */
  takeSent(): number;
  forget(): void;
  close(): Promise<void>;
}

const PAGE = 3;

const hex = (algorithm: string, ...parts: readonly (Uint8Array | string)[]): string => {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
};

export const sha256Of = (file: HubFile): string => hex("sha256", file.bytes);

const gitDigest = (bytes: Uint8Array | string): string => hex("sha1", `blob ${bytes.length}\0`, bytes);

function treeEntry(path: string, file: HubFile): unknown {
  if (!file.large) return { type: "file", path, size: file.bytes.length, oid: gitDigest(file.bytes) };
  const oid = sha256Of(file);
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${file.bytes.length}\n`;
  const lfs = { oid, size: file.bytes.length, pointerSize: pointer.length };
  return { type: "file", path, size: file.bytes.length, oid: gitDigest(pointer), lfs };
}

/** A folder's files; safetensors and those named are large. */
export function folderFiles(folder: string, large: readonly string[] = []): Map<string, HubFile> {
  const files = new Map<string, HubFile>();
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = `${entry.parentPath}/${entry.name}`.replaceAll("\\", "/");
    const name = path.slice(folder.length + 1);
    files.set(name, {
      bytes: new Uint8Array(readFileSync(path)),
      large: name.endsWith(".safetensors") || large.includes(name),
    });
  }
  return files;
}

const listen = (server: Server): Promise<string> =>
  new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
  });

const close = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });

/** Starts both servers. */
export async function startHub(models: Readonly<Record<string, HubModel>>): Promise<HubServer> {
  const token = "hf_right";
  let asked: Asked[] = [];
  let taken = 0;

  const note = (server: Asked["server"], request: IncomingMessage): Asked => {
    const { range, authorization } = request.headers;
    const one: Asked = { server, path: decodeURIComponent(request.url ?? ""), range, authorization, sent: 0 };
    asked.push(one);
    return one;
  };

  const say = (
    response: ServerResponse,
    status: number,
    headers: Readonly<Record<string, string>>,
    body = "",
  ): void => {
    response.writeHead(status, headers);
    response.end(body);
  };

  /** Answers as the fault says; true when it did. */
  const failed = (fault: Fault | undefined, response: ServerResponse): boolean => {
    if (fault?.status === undefined) return false;
    say(response, fault.status, fault.headers ?? {}, "it went wrong");
    return true;
  };

  const send = (
    one: Asked,
    response: ServerResponse,
    bytes: Uint8Array,
    headers: Readonly<Record<string, string>>,
    fault: Fault | undefined,
  ): void => {
    const found = fault?.ignoreRange === true ? null : /^bytes=(\d+)-(\d+)$/.exec(one.range ?? "");
    const [from, to] = found === null ? [0, bytes.length] : [Number(found[1]), Number(found[2]) + 1];
    const part = Uint8Array.from(bytes.subarray(from, to));
    if (fault?.damage === true) part[part.length >> 1] ^= 1;
    response.writeHead(found === null ? 200 : 206, {
      ...headers,
      ...fault?.headers,
      "content-length": String(part.length),
      "accept-ranges": "bytes",
      ...(found === null ? {} : { "content-range": `bytes ${from}-${to - 1}/${bytes.length}` }),
    });
    const end = fault?.cutAfter ?? fault?.stallAfter ?? part.length;
    const sent = part.subarray(0, end);
    one.sent = sent.length;
    if (end >= part.length) response.end(sent);
    else if (fault?.stallAfter !== undefined) response.write(sent);
    // What was written is let out before the connection breaks.
    else response.write(sent, () => setTimeout(() => response.destroy(), 50));
  };

  const refused = (model: HubModel | undefined, one: Asked, response: ServerResponse): boolean => {
    const known = one.authorization === `Bearer ${token}`;
    const code = (name: string): Readonly<Record<string, string>> => ({ "x-error-code": name });
    if (one.authorization !== undefined && !known) say(response, 401, {}, "Invalid credentials");
    else if (model === undefined) say(response, known ? 404 : 401, code("RepoNotFound"));
    else if (model.access === "gated" && !known) say(response, 401, code("GatedRepo"));
    else if (model.access === "private" && !known) say(response, 401, code("RepoNotFound"));
    else return false;
    return true;
  };

  const store = createServer((request, response) => {
    const one = note("store", request);
    const fault = hub.fault(one);
    if (failed(fault, response)) return;
    const sha256 = /^\/objects\/([0-9a-f]{64})\?signature=x$/.exec(one.path)?.[1];
    const all = Object.values(models).flatMap((m) => [...m.files.values()]);
    const file = all.find((f) => f.large && sha256Of(f) === sha256);
    if (file === undefined) say(response, 404, {});
    else send(one, response, file.bytes, { etag: `"${sha256}"` }, fault);
  });
  const storeUrl = await listen(store);

  const main = createServer((request, response) => {
    const one = note("hub", request);
    const fault = hub.fault(one);
    if (failed(fault, response)) return;
    const api = /^\/api\/models\/([^/]+\/[^/]+)\/(revision|tree)\/([^?]+)\?(.*)$/.exec(one.path);
    const file = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(one.path);
    const name = api?.[1] ?? file?.[1] ?? "";
    const model = models[name];
    if (refused(model, one, response)) return;
    const revision = api?.[3] ?? file?.[2] ?? "";
    const { commit, revisions = [] } = model;
    if (![commit, "main", ...revisions].includes(revision)) {
      say(response, 404, { "x-error-code": "RevisionNotFound" });
    } else if (api?.[2] === "revision") {
      const info = { _id: "1", id: name, private: false, gated: false, downloads: 0, likes: 0, sha: commit };
      const body = JSON.stringify({ ...info, lastModified: "2025-01-01T00:00:00.000Z" });
      say(response, 200, { "content-type": "application/json" }, body);
    } else if (api !== null) {
      const from = Number(new URLSearchParams(api[4]).get("cursor") ?? 0);
      const entries = [...model.files].map(([path, f]) => treeEntry(path, f));
      const next = `${hub.url}/api/models/${name}/tree/${revision}?recursive=true&cursor=${from + PAGE}`;
      const link: Readonly<Record<string, string>> =
        from + PAGE < entries.length ? { link: `<${next}>; rel="next"` } : {};
      const body = JSON.stringify(entries.slice(from, from + PAGE));
      say(response, 200, { "content-type": "application/json", ...link }, body);
    } else {
      const found = model.files.get(file?.[3] ?? "");
      const head = { "x-repo-commit": commit };
      if (found === undefined) say(response, 404, { ...head, "x-error-code": "EntryNotFound" });
      else if (found.large) {
        const sha256 = sha256Of(found);
        const linked = { "x-linked-etag": `"${sha256}"`, "x-linked-size": String(found.bytes.length) };
        const location = `${storeUrl}/objects/${sha256}?signature=x`;
        say(response, 302, { ...head, ...linked, ...fault?.headers, location });
      } else send(one, response, found.bytes, { ...head, etag: `"${gitDigest(found.bytes)}"` }, fault);
    }
  });

  const hub: HubServer = {
    url: await listen(main),
    token,
    get asked() {
      return asked;
    },
    fault: () => undefined,
    takeSent: () => {
      const all = asked.reduce((n, a) => n + a.sent, 0);
      const fresh = all - taken;
      taken = all;
      return fresh;
    },
    forget: () => {
      asked = [];
      taken = 0;
    },
    close: async () => {
      await close(main);
      await close(store);
    },
  };
  return hub;
}
