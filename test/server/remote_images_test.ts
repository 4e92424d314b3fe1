/** Pictures by address: who may be asked, and every way around it that is known. The network is real where it is loopback. */
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { requestFrom, resolveName } from "../../runtime/host/pinned_request.ts";
import { createImageFetcher, type RemoteImageOptions, type RemoteNetwork } from "../../runtime/server/remote_images.ts";
import { hasCode } from "../kit/assertions.ts";
import { TWO } from "./served.ts";

const PUBLIC = "93.184.216.34";
const never = new AbortController().signal;

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

interface Seen {
  /** Addresses that connections went to. */
  readonly addresses: string[];
  readonly hosts: string[];
  readonly names: string[];
}

/**
 * Fetches from a server on loopback that stands for every public address: what would go there goes to it, over real
 * connections with the names and headers of the true request.
 */
async function fetchFrom(
  address: string,
  answer: Answer,
  {
    names = {},
    ...options
  }: Partial<RemoteImageOptions> & { readonly names?: Readonly<Record<string, readonly string[]>> } = {},
  signal: AbortSignal = never,
): Promise<{ readonly bytes?: Uint8Array; readonly error?: unknown; readonly seen: Seen }> {
  const seen: Seen = { addresses: [], hosts: [], names: [] };
  const server = createServer((request, response) => {
    seen.hosts.push(request.headers.host ?? "");
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.address() as AddressInfo;
  const network: RemoteNetwork = {
    resolve: async (name) => {
      seen.names.push(name);
      const found = names[name];
      if (found === undefined) throw new Error("ENOTFOUND");
      return found;
    },
    request: async (url, to, how) => {
      seen.addresses.push(to);
      // Only the port and the address differ from what the fetcher asked for.
      const local = new URL(url);
      local.port = String(port);
      return requestFrom(local, "127.0.0.1", how);
    },
  };
  const fetcher = createImageFetcher({ hosts: ["img.test"], maxBytes: 5000, timeoutMs: 2000, ...options }, network);
  try {
    return { bytes: await fetcher(new URL(address), signal), seen };
  } catch (error) {
    return { error, seen };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const NAMES = { "img.test": [PUBLIC], "other.test": [PUBLIC], "cdn.img.test": [PUBLIC], "inside.test": ["10.0.0.5"] };
const picture: Answer = (_, response) => response.writeHead(200, { "content-type": "image/png" }).end(TWO);
const redirect =
  (location: string): Answer =>
  (_, response) =>
    response.writeHead(302, { location }).end();

test("a picture of a listed host arrives, over the address that was checked", async () => {
  const { bytes, seen } = await fetchFrom("http://img.test/a.png?size=2", picture, { names: NAMES });
  assert.deepEqual(bytes, TWO);
  assert.deepEqual(seen.addresses, [PUBLIC]);
  assert.deepEqual(seen.names, ["img.test"]);
  assert.match(seen.hosts[0], /^img\.test(:\d+)?$/);
});

interface Refused {
  readonly address: string;
  readonly code: string;
  readonly says: RegExp;
  readonly hosts?: readonly string[];
}

/** Refused before any connection. */
const UNASKED: readonly Refused[] = [
  {
    address: "http://other.test/a.png",
    code: "image_url.not_allowed",
    says: /not fetched from other\.test; this server allows img\.test/,
  },
  { address: "http://img.test:8080/a.png", code: "image_url.not_allowed", says: /img\.test:8080/ },
  { address: "http://img.test.evil.test/a.png", code: "image_url.not_allowed", says: /img\.test\.evil\.test/ },
  { address: "http://evilimg.test/", code: "image_url.not_allowed", says: /evilimg/, hosts: ["*.img.test"] },
  { address: "http://img.test/", code: "image_url.not_allowed", says: /img\.test/, hosts: ["*.img.test"] },
  { address: "ftp://img.test/a.png", code: "image_url.scheme", says: /no http or https address/ },
  { address: "file:///etc/passwd", code: "image_url.scheme", says: /no http or https/ },
  {
    address: "http://me:secret@img.test/a.png",
    code: "image_url.credentials",
    says: /img\.test holds a name or a password/,
  },
  {
    address: "http://nowhere.test/a.png",
    code: "image_url.unreachable",
    says: /nowhere\.test cannot be resolved/,
    hosts: ["nowhere.test"],
  },
  {
    address: "http://inside.test/a.png",
    code: "image_url.private",
    says: /inside\.test does not lead to a public/,
    hosts: ["inside.test"],
  },
];

/** Spellings of addresses inside the network; each is on the list, so that only the check of addresses is left. */
const SPELLINGS: readonly string[] = [
  "http://127.0.0.1/",
  "http://127.1/",
  "http://2130706433/",
  "http://0x7f000001/",
  "http://0177.0.0.1/",
  "http://0x7f.0.0.1/",
  "http://127.0.0.1./",
  "http://0/",
  "http://169.254.169.254/latest/meta-data/",
  "http://[::1]/",
  "http://[::]/",
  "http://[::ffff:127.0.0.1]/",
  "http://[::ffff:7f00:1]/",
  "http://[0:0:0:0:0:ffff:0a00:0001]/",
  "http://[64:ff9b::7f00:1]/",
  "http://[fd00::1]/",
  "http://[fe80::1]/",
];

test("what is not allowed is refused before anyone is asked", async () => {
  for (const { address, code, says, hosts } of UNASKED) {
    const { error, seen } = await fetchFrom(address, picture, {
      names: NAMES,
      ...(hosts === undefined ? {} : { hosts }),
    });
    assert.ok(hasCode(code, says)(error));
    assert.deepEqual(seen.addresses, []);
    assert.doesNotMatch((error as Error).message, /secret/);
  }
});

test("no spelling of an address leads inside, even of a host on the list", async () => {
  for (const address of SPELLINGS) {
    const { hostname } = new URL(address);
    const { error, seen } = await fetchFrom(address, picture, { hosts: [hostname], names: NAMES });
    assert.ok(hasCode("image_url.private", /does not lead to a public address/)(error), address);
    assert.deepEqual(seen.addresses, []);
  }
});

test("a name with one address inside the network is refused", async () => {
  for (const inside of ["127.0.0.1", "::1", "::ffff:10.0.0.1", "192.168.0.9"]) {
    const { error, seen } = await fetchFrom("http://img.test/", picture, { names: { "img.test": [PUBLIC, inside] } });
    assert.ok(hasCode("image_url.private", /img\.test/)(error));
    assert.deepEqual(seen.addresses, []);
  }
  const { error } = await fetchFrom("http://img.test/", picture, { names: { "img.test": [] } });
  assert.ok(hasCode("image_url.private", /img\.test/)(error));
});

test("the connection goes to the address that was checked, whatever the name says by then", async () => {
  let asked = 0;
  const network: RemoteNetwork = {
    // The second answer is the attack: a name that moves between check and use.
    resolve: async () => (asked++ === 0 ? [PUBLIC] : ["127.0.0.1"]),
    request: async (_, address) => {
      assert.equal(address, PUBLIC);
      const body = (async function* () {
        yield TWO;
      })();
      return { status: 200, headers: {}, body, close: () => {} };
    },
  };
  const fetcher = createImageFetcher({ hosts: ["img.test"], maxBytes: 5000, timeoutMs: 1000 }, network);
  assert.deepEqual(await fetcher(new URL("http://img.test/"), never), TWO);
  assert.equal(asked, 1);
});

test("redirects are followed to listed hosts, and checked like the first address", async () => {
  const hops: Answer = (request, response) =>
    request.url === "/a" ? redirect("http://cdn.img.test/b")(request, response) : picture(request, response);
  const hosts = ["img.test", "*.img.test", "inside.test", "127.0.0.1"];
  const { bytes, seen } = await fetchFrom("http://img.test/a", hops, { hosts, names: NAMES });
  assert.deepEqual(bytes, TWO);
  assert.deepEqual(seen.names, ["img.test", "cdn.img.test"]);
  const refused: readonly (readonly [string, string, RegExp])[] = [
    ["http://127.0.0.1/", "image_url.private", /127\.0\.0\.1 does not lead/],
    ["http://inside.test/", "image_url.private", /inside\.test/],
    ["http://other.test/", "image_url.not_allowed", /other\.test/],
    ["file:///etc/passwd", "image_url.scheme", /no http or https/],
    ["//other.test/x", "image_url.not_allowed", /other\.test/],
    ["http://[", "image_url.failed", /redirects to nowhere/],
    ["/a", "image_url.failed", /redirects more than 3 times/],
  ];
  for (const [location, code, says] of refused) {
    const { error } = await fetchFrom("http://img.test/a", redirect(location), { hosts, names: NAMES });
    assert.ok(hasCode(code, says)(error), location);
  }
  const nowhere: Answer = (_, response) => response.writeHead(302).end();
  const { error } = await fetchFrom("http://img.test/a", nowhere, { names: NAMES });
  assert.ok(hasCode("image_url.failed", /redirects to nowhere/)(error));
});

test("pictures beyond the limit end the connection, whether they say their size or not", async () => {
  const said: Answer = (_, response) => response.writeHead(200, { "content-length": "6000" }).end(new Uint8Array(6000));
  let sent = 0;
  const streamed: Answer = (_, response) => {
    response.writeHead(200);
    const more = setInterval(() => {
      sent += 1000;
      response.write(new Uint8Array(1000));
    }, 1);
    response.on("close", () => clearInterval(more));
    response.on("error", () => clearInterval(more));
  };
  for (const answer of [said, streamed]) {
    const { error } = await fetchFrom("http://img.test/big", answer, { names: NAMES });
    assert.ok(hasCode("image_url.too_large", /img\.test\/big has more than 5000 bytes/)(error));
    assert.equal((error as { status: number }).status, 413);
  }
  assert.ok(sent < 2_000_000, `${sent} bytes were sent`);
});

test("a host that takes too long, fails or breaks off is named", async () => {
  const silent = await fetchFrom("http://img.test/slow?token=x", () => {}, { names: NAMES, timeoutMs: 60 });
  assert.ok(hasCode("image_url.timeout", /http:\/\/img\.test\/slow did not answer within 60 ms/)(silent.error));
  const missing: Answer = (_, response) => response.writeHead(404).end();
  const failed = await fetchFrom("http://img.test/none", missing, { names: NAMES });
  assert.ok(hasCode("image_url.failed", /answered with status 404/)(failed.error));
  const broken: Answer = (_, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("x");
    setTimeout(() => response.destroy(), 5);
  };
  const off = await fetchFrom("http://img.test/broken", broken, { names: NAMES });
  assert.ok(hasCode("image_url.failed", /cannot be fetched: the connection failed/)(off.error));
});

test("a resolver that never answers is given up, and so is a fetch that nobody waits for", async () => {
  const network: RemoteNetwork = {
    resolve: () => new Promise(() => {}),
    request: () => assert.fail("nothing was resolved"),
  };
  const fetcher = createImageFetcher({ hosts: ["img.test"], maxBytes: 10, timeoutMs: 30 }, network);
  await assert.rejects(fetcher(new URL("http://img.test/"), never), hasCode("image_url.timeout", /30 ms/));
  const controller = new AbortController();
  const left = fetcher(new URL("http://img.test/"), controller.signal);
  controller.abort(new Error("left"));
  await assert.rejects(left, /left/);
  await assert.rejects(fetcher(new URL("http://img.test/"), AbortSignal.abort(new Error("before"))), /before/);
});

test("names are resolved by the system", async () => {
  const found = await resolveName("localhost");
  assert.ok(found.includes("127.0.0.1") || found.includes("::1"), String(found));
});
