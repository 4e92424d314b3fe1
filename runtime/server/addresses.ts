/** Which addresses of the network a server may be sent to by its clients: public ones alone. */
import ipaddr from "ipaddr.js";

/**
 * True for an address of the public internet, in any spelling. Private, loopback, link-local, shared, multicast, documentation
 * and reserved ranges are not, nor are IPv6 forms that carry an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo): a
 * gateway on the way would unpack what no check saw.
 */
export function isPublicAddress(address: string): boolean {
  const bare = address.replace(/%.*$/, "");
  // Shorter and octal spellings of IPv4 mean different things to different programs.
  if (!ipaddr.IPv6.isValid(bare) && !ipaddr.IPv4.isValidFourPartDecimal(bare)) return false;
  const parsed = ipaddr.parse(bare);
  if (parsed.range() !== "unicast") return false;
  if (parsed.kind() === "ipv4") return true;
  // IPv4-compatible addresses (::1.2.3.4) count as unicast; global unicast is 2000::/3.
  return (parsed.toByteArray()[0] & 0xe0) === 0x20;
}
