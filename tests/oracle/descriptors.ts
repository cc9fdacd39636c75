// Segment descriptors and gates by their parts. SDM 3A 3.4.5, 5.8.3, 6.11, 6.14.1.

export interface Descriptor {
  readonly base?: number;
  /** As in the descriptor: 20 bits. */
  readonly limit?: number;
  /** Bits 8..15 and 20..23 of the second word, as 0xf0ff: type, S, DPL, P, AVL, L, D/B, G. */
  readonly attr: number;
}

export interface Gate {
  readonly selector: number;
  readonly target: number;
  /** Bits 8..15 of the second word: type, DPL, P. */
  readonly attr: number;
  /** Parameters of a call gate, or the IST of a 64-bit interrupt gate. */
  readonly count?: number;
}

/** Attribute words of flat segments. */
export const FLAT_CODE32 = 0xc09b;
export const FLAT_DATA32 = 0xc093;
export const FLAT_CODE64 = 0xa09b;
export const dpl = (level: number) => level << 5;

export function encodeDescriptor({ base = 0, limit = 0xfffff, attr }: Descriptor): number[] {
  return [
    limit & 0xff,
    (limit >> 8) & 0xff,
    base & 0xff,
    (base >> 8) & 0xff,
    (base >> 16) & 0xff,
    attr & 0xff,
    ((limit >> 16) & 0xf) | ((attr >> 8) & 0xf0),
    (base >>> 24) & 0xff,
  ];
}

export function encodeGate32({ selector, target, attr, count = 0 }: Gate): number[] {
  return [
    target & 0xff,
    (target >> 8) & 0xff,
    selector & 0xff,
    (selector >> 8) & 0xff,
    count,
    attr,
    (target >> 16) & 0xff,
    (target >>> 24) & 0xff,
  ];
}

/** `target` is an address below 4 GiB, or a signed one. */
export function encodeGate64(gate: Gate): number[] {
  const high = Math.floor(gate.target / 4294967296);
  const low = encodeGate32({ ...gate, target: gate.target | 0 });
  return [
    ...low,
    high & 0xff,
    (high >> 8) & 0xff,
    (high >> 16) & 0xff,
    (high >>> 24) & 0xff,
    0,
    0,
    0,
    0,
  ];
}
