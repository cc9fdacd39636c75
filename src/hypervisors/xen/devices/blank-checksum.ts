// Fills the TCP or UDP checksum of an IPv4 packet whose sender has left it to the hardware.

const ETHERTYPE_AT = 12;
const ETHERTYPE_IPV4 = 0x0800;
const IP_AT = 14;
const IP_HEADER_MIN = 20;
/** RFC 9293 3.1, RFC 768: where in the header the checksum lies. */
const CHECKSUM_AT: Readonly<Record<number, number>> = { 6: 16, 17: 6 };

/** In place, over pseudo-header and payload (RFC 793 3.1, RFC 768). Leaves alone what is no whole IPv4 packet of the two. */
export function fillBlankChecksum(bytes: Uint8Array): void {
  if (bytes.length < IP_AT + IP_HEADER_MIN || be16(bytes, ETHERTYPE_AT) !== ETHERTYPE_IPV4) return;
  const headerBytes = (bytes[IP_AT]! & 0xf) * 4;
  const end = IP_AT + be16(bytes, IP_AT + 2);
  const protocol = bytes[IP_AT + 9]!;
  const at = IP_AT + headerBytes;
  const checksumAt = at + (CHECKSUM_AT[protocol] ?? Number.NaN);
  if (headerBytes < IP_HEADER_MIN || end > bytes.length || !(checksumAt + 2 <= end)) return;
  bytes.fill(0, checksumAt, checksumAt + 2);
  let sum = protocol + (end - at);
  for (let n = IP_AT + 12; n < IP_AT + 20; n += 2) sum += be16(bytes, n); // Source and destination.
  for (let n = at; n < end; n += 2) sum += n + 1 < end ? be16(bytes, n) : bytes[n]! << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  const checksum = ~sum & 0xffff || 0xffff; // 0 means 'none' to UDP, and is the same number to both.
  bytes[checksumAt] = checksum >>> 8;
  bytes[checksumAt + 1] = checksum & 0xff;
}

const be16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;
