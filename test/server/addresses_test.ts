/** Which addresses a server may be sent to: public ones, in every spelling, and no others. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isPublicAddress } from "../../runtime/server/addresses.ts";

const PUBLIC = [
  "93.184.216.34",
  "8.8.8.8",
  "172.15.0.1",
  "172.32.0.1",
  "2606:2800:220:1::1",
  "2a00:1450:4001:830::200e",
];

/** By what they are. */
const INSIDE: Readonly<Record<string, readonly string[]>> = {
  loopback: ["127.0.0.1", "127.1.2.3", "::1", "0:0:0:0:0:0:0:1"],
  unspecified: ["0.0.0.0", "0.1.2.3", "::"],
  private: ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12:3456::1"],
  "link-local, with the metadata of clouds": ["169.254.169.254", "fe80::1", "fe80::1%eth0"],
  shared: ["100.64.0.1", "100.127.255.255"],
  "multicast and broadcast": ["224.0.0.1", "239.255.255.250", "255.255.255.255", "ff02::1"],
  "documentation and benchmarks": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "2001:db8::1"],
  reserved: ["240.0.0.1", "192.0.0.1", "4000::1"],
  "IPv6 that carries IPv4": [
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:93.184.216.34",
    "::127.0.0.1",
    "::93.184.216.34",
    "64:ff9b::7f00:1",
    "64:ff9b:1::10.0.0.1",
    "2002:7f00:1::",
    "2001:0:7f00:1::1",
  ],
  "no address": ["", "localhost", "example.com", "1.2.3", "1.2.3.4.5", "300.1.1.1", ":::1"],
};

test("public addresses are public", () => {
  for (const address of PUBLIC) assert.equal(isPublicAddress(address), true, address);
});

test("no address of another kind is", () => {
  for (const [kind, addresses] of Object.entries(INSIDE)) {
    for (const address of addresses) assert.equal(isPublicAddress(address), false, `${address}, ${kind}`);
  }
});
