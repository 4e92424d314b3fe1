/** Requests to the hub: redirects, credentials, patience, and refusals as sentences. */
import { FoveaError } from "../core/diagnostics.ts";
import type { HubAccess } from "./access.ts";
import type { HubReference } from "./reference.ts";

/** An answer, and what the hub's own servers said before they sent us to another one. */
export interface Answer {
  readonly response: Response;
  /** Commit that the hub answered for. */
  readonly commit?: string;
  /** SHA-256 of a large file, as the hub knows it. */
  readonly linkedEtag?: string;
  /** Server that sent the bytes. */
  readonly server: string;
}

export type HubRequest = (url: string, headers: Headers) => Promise<Answer>;

export interface HubRequestOptions extends HubAccess {
  readonly reference: HubReference;
  /** Milliseconds before the second attempt. */
  readonly firstWait: number;
  readonly signal?: AbortSignal | undefined;
}

/** Milliseconds before the second attempt, unless told otherwise; each further one waits three times as long. */
export const FIRST_WAIT = 300;
const ATTEMPTS = 4;
/** A server that wants more patience is told about instead. */
const LONGEST_WAIT = 60_000;
/** Without an answer for so long, a server counts as not reachable. */
const ANSWER_TIMEOUT = 60_000;
const MOST_REDIRECTS = 8;

const BUSY: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);

/** @throws the signal's reason */
export function wait(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    if (signal?.aborted === true) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Milliseconds to wait after attempt number `attempt` (from 1). */
export function backOff(attempt: number, firstWait: number): number {
  return firstWait * 3 ** (attempt - 1);
}

/** Node and Deno hide the reason in the cause. */
export function reasonOf(error: unknown): string {
  const inner = error instanceof Error ? error.cause : undefined;
  const told = inner instanceof Error && inner.message !== "" ? inner : error;
  return (told instanceof Error ? told.message : String(told)).replace(/[.!?]$/, "");
}

/** Seconds or a date. */
function retryAfter(response: Response): number | undefined {
  const text = response.headers.get("retry-after");
  if (text === null) return undefined;
  const milliseconds = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(milliseconds) ? Math.max(0, milliseconds) : undefined;
}

const withoutQuotes = (etag: string | null): string | undefined =>
  etag === null ? undefined : etag.replace(/^W\//, "").replaceAll('"', "");

/** One request with its redirects. Credentials go to the hub alone: other servers get signed addresses. */
async function follow(url: string, headers: Headers, options: HubRequestOptions): Promise<Answer> {
  const home = new URL(options.endpoint).origin;
  let facts: { commit?: string; linkedEtag?: string } = {};
  let at = new URL(url);
  for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
    const sent = new Headers(headers);
    sent.delete("authorization");
    // A compressed answer would have other positions and another length.
    sent.set("accept-encoding", "identity");
    if (at.origin === home && options.token !== undefined) sent.set("authorization", `Bearer ${options.token}`);
    const response = await answerOf(at, sent, options.signal);
    const commit = response.headers.get("x-repo-commit");
    const linkedEtag = withoutQuotes(response.headers.get("x-linked-etag"));
    facts = { ...facts, ...(commit === null ? {} : { commit }), ...(linkedEtag === undefined ? {} : { linkedEtag }) };
    const to = response.headers.get("location");
    if (response.status < 300 || response.status > 399 || to === null) return { response, ...facts, server: at.host };
    await response.body?.cancel();
    at = new URL(to, at);
  }
  throw new FoveaError("fetch_failed", `${url} leads in circles: ${MOST_REDIRECTS} redirects were followed.`);
}

async function answerOf(url: URL, headers: Headers, signal: AbortSignal | undefined): Promise<Response> {
  const late = new AbortController();
  const timer = setTimeout(
    () => late.abort(new Error(`no answer came within ${ANSWER_TIMEOUT / 1000} seconds`)),
    ANSWER_TIMEOUT,
  );
  try {
    const signals = signal === undefined ? late.signal : AbortSignal.any([late.signal, signal]);
    const response = await fetch(url, { headers, redirect: "manual", signal: signals });
    // Browsers do not say where a redirect leads; they follow it without credentials for others.
    return response.status === 0 ? await fetch(url, { headers, signal: signals }) : response;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Requests that try again where a server is busy or a connection breaks.
 * @throws FoveaError `hub.not_found`, `hub.denied`, `hub.busy`, `fetch_failed`; the signal's reason on abort
 */
export function createHubRequest(options: HubRequestOptions): HubRequest {
  const { signal, firstWait } = options;
  return async (url, headers) => {
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted();
      let answer: Answer;
      try {
        answer = await follow(url, headers, options);
      } catch (cause) {
        signal?.throwIfAborted();
        if (cause instanceof FoveaError) throw cause;
        if (attempt < ATTEMPTS) {
          await wait(backOff(attempt, firstWait), signal);
          continue;
        }
        throw new FoveaError(
          "fetch_failed",
          `${url} cannot be reached: ${reasonOf(cause)}. Check the connection; what was pulled before can be used with --offline.`,
          { cause },
        );
      }
      const { response } = answer;
      if (response.ok) return answer;
      const pause = retryAfter(response) ?? backOff(attempt, firstWait);
      if (!BUSY.has(response.status) || attempt === ATTEMPTS || pause > LONGEST_WAIT) {
        throw await refusal(url, response, pause, options);
      }
      await response.body?.cancel();
      await wait(pause, signal);
    }
  };
}

/** Where a token is looked for; `--token` of a server is what its own clients send. */
const TOKEN_PLACES = "--token (of `fovea serve`: --hub-token), `hub.token` or HF_TOKEN";

async function refusal(
  url: string,
  response: Response,
  pause: number,
  { reference, endpoint, token }: HubRequestOptions,
): Promise<FoveaError> {
  const { status } = response;
  const code = response.headers.get("x-error-code") ?? "";
  await response.body?.cancel();
  const { repository, revision, text } = reference;
  const page = `${endpoint}/${repository}`;
  const answered = `the hub answered with status ${status}${code === "" ? "" : ` (${code})`}`;
  if (code === "GatedRepo") {
    const next =
      token === undefined
        ? `then give a token of that account with ${TOKEN_PLACES}`
        : "the token that was sent belongs to an account without access";
    return new FoveaError(
      "hub.denied",
      `${text} is gated: ${answered}. Accept its conditions at ${page} with an account of the hub; ${next}.`,
    );
  }
  if (status === 401 || status === 403) {
    const next =
      token === undefined
        ? `No token was sent: check the name, and for a private model give one with ${TOKEN_PLACES}`
        : "The token that was sent is not valid, or may not read this model: check the name and the token";
    return new FoveaError("hub.denied", `${text} does not exist or is not open to everyone: ${answered}. ${next}.`);
  }
  if (status === 404 || status === 410) {
    if (code === "RevisionNotFound") {
      return new FoveaError(
        "hub.not_found",
        `${repository} has no revision "${revision}": ${answered}. Its branches and tags are listed at ${page}/tree/main.`,
      );
    }
    const what = code === "EntryNotFound" ? `${url} does not exist` : `There is no model ${repository}`;
    return new FoveaError("hub.not_found", `${what}: ${answered}. Check the name at ${endpoint}.`);
  }
  if (BUSY.has(status)) {
    const when = pause > LONGEST_WAIT ? `asks to wait ${Math.ceil(pause / 1000)} seconds` : "stayed so";
    return new FoveaError(
      "hub.busy",
      `The hub is busy: ${url} answered with status ${status} and ${when}. Try again later; what was fetched so far is kept.`,
    );
  }
  return new FoveaError("fetch_failed", `${url} failed: ${answered}.`);
}
