// The x86 filter of xz: absolute branch targets, which compress better, back to relative ones.

/** By recent-opcode mask: which of the displacement's bytes tells whether this opcode is inside another's displacement. */
const SUSPECT_BYTE = Uint8Array.of(0, 1, 2, 2, 3, 3, 3, 3);
/** Masks with at most one recent opcode byte; with more the encoder leaves the place alone. */
const CONVERTIBLE = [true, true, true, false, true, false, false, false];

/**
 * Undoes the filter in place; `start` is the position of the first byte in the executable. Displacements of call and jmp
 * (e8, e9) whose top byte is 00 or ff were made absolute. Ref: xz-file-format.txt 5.3.2, 7-Zip's BCJ x86 converter.
 */
export function undoBcjX86(bytes: Uint8Array, start: number): void {
  const end = bytes.length - 4;
  let opcodeAt = -1;
  let mask = 0; // Bit n: the byte n + 1 places before this opcode looked like an opcode too.
  for (let at = 0; at < end; at++) {
    if ((bytes[at]! & 0xfe) !== 0xe8) continue;
    const gap = at - opcodeAt;
    opcodeAt = at;
    mask = gap > 3 ? 0 : (mask << (gap - 1)) & 7;
    if (mask !== 0 && (!CONVERTIBLE[mask] || isSign(bytes[at + 4 - SUSPECT_BYTE[mask]!]!))) {
      mask = (mask << 1) | 1;
      continue;
    }
    if (!isSign(bytes[at + 4]!)) {
      mask = (mask << 1) | 1;
      continue;
    }
    const absolute =
      bytes[at + 1]! | (bytes[at + 2]! << 8) | (bytes[at + 3]! << 16) | (bytes[at + 4]! << 24);
    const relative = toRelative(absolute, start + at + 5, mask);
    bytes[at + 1] = relative;
    bytes[at + 2] = relative >>> 8;
    bytes[at + 3] = relative >>> 16;
    bytes[at + 4] = (relative >>> 24) & 1 ? 0xff : 0;
    at += 4;
  }
}

function toRelative(absolute: number, next: number, mask: number): number {
  let relative = (absolute - next) | 0;
  if (mask === 0) return relative;
  const shift = SUSPECT_BYTE[mask]! * 8;
  // The encoder flipped the low bits until the suspect byte no longer looked like a sign.
  while (isSign((relative >>> (24 - shift)) & 0xff)) {
    relative = ((relative ^ ((1 << (32 - shift)) - 1)) - next) | 0;
  }
  return relative;
}

function isSign(byte: number): boolean {
  return byte === 0 || byte === 0xff;
}
