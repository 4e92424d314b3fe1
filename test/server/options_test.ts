/** Options that make no sense are refused before anything is loaded or listens. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createApp, type ServerApp, type ServerOptions, serve } from "../../runtime/server/mod.ts";
import { hasCode } from "../kit/assertions.ts";

const OPTIONS: readonly (readonly [Partial<Record<keyof ServerOptions | "ports", unknown>> | undefined, RegExp])[] = [
  [{}, /createApp needs `runtime`/],
  [{ runtime: { load: () => {} } }, /createApp needs `models`: models by name/],
  [{ models: {} }, /option `models` of createApp/],
  [{ models: { a: {} } }, /option `models` of createApp/],
  [
    { runtime: { load: () => {} }, models: { a: { source: "a", laod: {} } } },
    /createApp's model "a" has no option "laod"; it takes source, load, encoder\. Did you mean "load"\?/,
  ],
  [undefined, /^The options of createApp must be an object; found undefined/],
  [{ runtime: { load: () => {} }, models: { a: { encoder: {} } } }, /`encoder` of createApp's model "a"/],
  [
    { runtime: { load: () => {} }, models: { a: { source: "a", encoder: { encodeItems: () => {} } } } },
    /createApp's model "a" has a source and an encoder; give one of them\./,
  ],
  [{ runtime: { load: () => {} }, models: { a: { source: "a", load: "int8" } } }, /`load` of createApp's model "a"/],
  [{ runtime: { load: () => {} }, models: { a: { encoder: 3 } } }, /`encoder` of createApp's model "a" is 3/],
  [{ ports: 3 }, /createApp has no option "ports"/],
  [{ maxWait: -1 }, /`maxWait`.*milliseconds from 0 on/],
  [{ queue: 0 }, /`queue`.*a number of requests, a whole number from 1 on/],
  [{ tokens: ["with space"] }, /`tokens`.*a list of tokens of letters/],
  [
    { tokens: ["t", undefined] },
    /`tokens` of createApp is a list with nothing at position 1; expected a list of tokens/,
  ],
  [{ rateLimit: 600 }, /`rateLimit`.*such as \{ requests: 600/],
  [
    { rateLimit: { requests: 0, windowMs: 1 } },
    /`requests` of createApp's `rateLimit` is 0; expected a number of requests/,
  ],
  [{ rateLimit: { request: 600 } }, /createApp's `rateLimit` has no option "request".* Did you mean "requests"\?/],
  [
    { rateLimit: { requests: 600 } },
    /createApp's `rateLimit` needs `windowMs`: milliseconds from 1 on, at most 2147483647\./,
  ],
  ...["foo", "https://a.test/", "https://A.test", "https://a.test/x", "a.test:80"].map(
    (origin) =>
      [{ cors: [origin] }, /`cors`.*a list of origins in lower case and without a path, such as https:/] as const,
  ),
  [{ allowImagesFrom: ["http://x"] }, /`allowImagesFrom`.*a list of hosts/],
  [{ remoteImages: { maxBytes: 0 } }, /`maxBytes` of createApp's `remoteImages`/],
  [{ runtime: { load: () => {} }, models: { "": { encoder: {} } } }, /A model has an empty name/],
];

test("options that make no sense are refused", () => {
  for (const [options, says] of OPTIONS) {
    assert.throws(() => createApp(options as unknown as ServerOptions), hasCode("invalid_options", says));
  }
});

test("what is no application, and ports that are none, are refused before anything listens", async () => {
  const app = { fetch: () => {}, drain: () => {}, close: () => {} } as unknown as ServerApp;
  const refused = (given: ServerApp, options: object, says: RegExp): Promise<void> =>
    assert.rejects(serve(given, options), hasCode("invalid_options", says));
  await refused(
    undefined as unknown as ServerApp,
    {},
    /^serve takes an application that createApp made; found undefined\.$/,
  );
  await refused(app, { port: 65536 }, /`port` of serve is 65536; expected a whole number from 0 to 65535\.$/);
  await refused(
    app,
    { graceMs: -1 },
    /`graceMs` of serve is -1; expected milliseconds from 0 on, at most 2147483647\.$/,
  );
  await refused(
    app,
    { prot: 80 },
    /^serve has no option "prot"; it takes hostname, port, graceMs\. Did you mean "port"\?$/,
  );
});

test("times beyond what timers hold are refused, for they would be over at once", () => {
  const given = { runtime: { load: () => Promise.reject(new Error("unused")) }, models: { a: { source: "a" } } };
  const cases: readonly (readonly [object, RegExp])[] = [
    [
      { deadline: 2 ** 31 },
      /`deadline` of createApp is 2147483648; expected milliseconds from 1 on, at most 2147483647/,
    ],
    [{ maxWait: 1e12 }, /`maxWait`.*at most 2147483647/],
    [{ rateLimit: { requests: 1, windowMs: 3e9 } }, /`windowMs` of createApp's `rateLimit`.*at most 2147483647/],
    [{ rateLimit: { requests: 1, windowMs: Number.POSITIVE_INFINITY } }, /`windowMs` of createApp's `rateLimit`/],
    [{ rateLimit: { requests: 1, windowMs: "60000" } }, /`windowMs` of createApp's `rateLimit`/],
    [{ remoteImages: { timeoutMs: 2 ** 31 } }, /`timeoutMs` of createApp's `remoteImages`.*at most 2147483647/],
  ];
  for (const [options, says] of cases) {
    const all = { ...given, ...options } as unknown as ServerOptions;
    assert.throws(() => createApp(all), hasCode("invalid_options", says), JSON.stringify(options));
  }
});
