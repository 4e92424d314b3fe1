/** Who may ask, how often, and from which pages: middleware of hono and of its rate limiter. */
import type { Context, MiddlewareHandler } from "hono";
import { bearerAuth } from "hono/bearer-auth";
import { cors } from "hono/cors";
import { rateLimiter } from "hono-rate-limiter";
import { errorBody, errorResponse, HttpError } from "./http_error.ts";
import type { ServerEnv } from "./service.ts";

/** Bearer tokens, compared in constant time. */
export function tokenCheck(tokens: readonly string[]): MiddlewareHandler<ServerEnv> {
  const body = (code: string, message: string) => (c: Context<ServerEnv>) => {
    const refusal = new HttpError(401, code, message);
    c.set("refusal", refusal);
    return errorBody(refusal);
  };
  return bearerAuth({
    token: [...tokens],
    realm: "fovea",
    noAuthenticationHeader: {
      message: body("token_missing", "A token is needed: send it in the header Authorization as `Bearer <token>`."),
    },
    invalidAuthenticationHeader: {
      message: body("token_malformed", "The header Authorization is not `Bearer <token>`."),
    },
    invalidToken: { message: body("token_wrong", "The token is wrong.") },
  });
}

/** What tells of a connection: `serve` by itself, and the servers that an application may be given to as it is. */
interface Connection {
  readonly address?: unknown;
  /** Of Bun. */
  readonly requestIP?: (request: Request) => { readonly address: string } | null;
  /** Of Deno. */
  readonly remoteAddr?: { readonly hostname?: string };
  /** Of hono's adapter for Node. */
  readonly incoming?: { readonly socket?: { readonly remoteAddress?: string } };
}

/** Address of the connection's other end. Bun's server has an `address` too, its own. */
function addressOf(c: Context<ServerEnv>): string | undefined {
  const connection = (c.env ?? {}) as Connection;
  if (typeof connection.address === "string") return connection.address;
  const { remoteAddr, incoming } = connection;
  return connection.requestIP?.(c.req.raw)?.address ?? remoteAddr?.hostname ?? incoming?.socket?.remoteAddress;
}

/** Counts requests by the address of the connection's other end, which behind a proxy is the proxy's. */
export function requestLimit(requests: number, windowMs: number): MiddlewareHandler<ServerEnv> {
  return rateLimiter<ServerEnv>({
    windowMs,
    limit: requests,
    standardHeaders: "draft-6",
    keyGenerator: (c) => addressOf(c) ?? "unknown",
    handler: (c) => {
      const { resetTime } = (c.get as (name: string) => { readonly resetTime?: Date })("rateLimit");
      const retryAfter = ((resetTime?.getTime() ?? Date.now() + windowMs) - Date.now()) / 1000;
      const refusal = new HttpError(
        429,
        "rate_limit",
        `More than ${requests} requests within ${windowMs / 1000} s came from this address; ask again after the time in Retry-After.`,
        { retryAfter },
      );
      c.set("refusal", refusal);
      return errorResponse(refusal);
    },
  });
}

/** Whatever headers a page asks for are allowed: clients have some of their own, such as `x-stainless-lang` of OpenAI's. */
export function pageAccess(origins: readonly string[]): MiddlewareHandler<ServerEnv> {
  return cors({
    origin: origins.includes("*") ? "*" : [...origins],
    allowMethods: ["GET", "POST"],
    exposeHeaders: ["x-request-id", "retry-after"],
    maxAge: 600,
  });
}
