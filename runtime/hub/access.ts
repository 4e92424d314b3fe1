/** Which hub, and with whose rights. */
import { FoveaError } from "../core/diagnostics.ts";
import type { Host } from "../host/mod.ts";

export interface HubAccess {
  /** Address of the hub, without a slash at its end. */
  readonly endpoint: string;
  readonly token: string | undefined;
}

const PUBLIC_HUB = "https://huggingface.co";

/** A header cannot carry spaces or line ends, and a server would answer to something else. */
function checkedToken(token: string, from: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new FoveaError(
    "bad_token",
    `The hub's token ${from} has characters that no token has; copy it anew from the hub's settings.`,
  );
}

async function savedToken(host: Host): Promise<string | undefined> {
  const path = host.hubTokenPath();
  if (path === undefined) return undefined;
  try {
    const text = new TextDecoder().decode(await host.readFile(path)).trim();
    return text === "" ? undefined : checkedToken(text, `in ${path}`);
  } catch (error) {
    // No login, or no permission to see one: public models need none.
    if (error instanceof FoveaError && error.code.startsWith("file.")) return undefined;
    throw error;
  }
}

function checkedEndpoint(text: string): string {
  if (/^https?:\/\/[^/]/.test(text) && URL.canParse(text)) return text.replace(/\/+$/, "");
  throw new FoveaError("bad_endpoint", `The hub's address "${text}" is no http(s) address.`);
}

/**
 * What was given, else HF_ENDPOINT and HF_TOKEN, else the public hub and the token that a login of the hub's own clients left.
 * An endpoint that was given gets no token but one that was given: the others belong to another hub.
 * @throws FoveaError `bad_token`, `bad_endpoint`
 */
export async function hubAccess(
  host: Host,
  given: { readonly endpoint?: string | undefined; readonly token?: string | undefined },
): Promise<HubAccess> {
  const endpoint = checkedEndpoint(given.endpoint ?? (host.env("HF_ENDPOINT") || PUBLIC_HUB));
  if (given.token !== undefined) return { endpoint, token: checkedToken(given.token.trim(), "that was given") };
  if (given.endpoint !== undefined) return { endpoint, token: undefined };
  const variable = host.env("HF_TOKEN")?.trim();
  return { endpoint, token: variable ? checkedToken(variable, "in HF_TOKEN") : await savedToken(host) };
}
