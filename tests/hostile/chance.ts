// Chance from a seed, with a taste for the values at which registers, lengths and addresses change their meaning.

import { Random } from '../../src/cpu/testing/random.ts';

const EDGES = [
  0, 1, 2, 3, 4, 7, 8, 0xf, 0x10, 0x7f, 0x80, 0xff, 0x100, 0x200, 0xfff, 0x1000, 0x7fff, 0x8000,
  0xffff, 0x10000, 0xfffff, 0x100000, 0x7fffffff, 0x80000000, 0xfffff000, 0xfffffffe, 0xffffffff,
] as const;

export class Chance extends Random {
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  /** 32 bits for a register: an edge, a single bit, a small number, or anything. */
  value(): number {
    switch (this.below(5)) {
      case 0:
        return this.pick(EDGES);
      case 1:
        return (1 << this.below(32)) >>> 0;
      case 2:
        return this.below(256);
      case 3:
        return (this.pick(EDGES) + this.below(17) - 8) >>> 0;
      default:
        return this.u32();
    }
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}
