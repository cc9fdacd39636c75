// A seeded generator of test values: the same seed gives the same case on every engine.

/** Values at which integer and flag logic changes its mind. */
const EDGES: readonly bigint[] = [0x7fn, 0x80n, 0xffn, 0x7fffn, 0x8000n, 0xffffn, 0x7fffffffn]
  .concat([0x80000000n, 0xffffffffn, 0x7fffffffffffffffn, 0x8000000000000000n])
  .concat([0n, 1n, 2n, 0xffffffffffffffffn]);

/** Single and double floats of every class, in pairs of the same value. */
const FLOATS32 = [
  0n,
  0x80000000n,
  0x3f800000n,
  0xbf800000n,
  0x7f800000n,
  0xff800000n,
  0x7fc00001n,
].concat([0x7f800001n, 1n, 0x807fffffn, 0x7f7fffffn, 0x4f000000n, 0x40490fdbn, 0x3f000000n]);
const FLOATS64 = [0n, 0x8000000000000000n, 0x3ff0000000000000n, 0xbff0000000000000n]
  .concat([0x7ff0000000000000n, 0xfff0000000000000n, 0x7ff8000000000001n, 0x7ff0000000000001n])
  .concat([1n, 0x800fffffffffffffn, 0x7fefffffffffffffn, 0x41e0000000000000n])
  .concat([0x400921fb54442d18n, 0x3fe0000000000000n, 0x43e0000000000000n]);

/** xorshift64* would need BigInt: this is mulberry32, 32 bits of state, good enough to pick test values. */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** 0 .. 2**32-1. */
  u32(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }
  /** 0 .. n-1. */
  below(n: number): number {
    return this.u32() % n;
  }
  /** True in `percent` of 100 cases. */
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }
  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }
  /** An integer as tests like it: an edge, a small one, one bit, or anything. */
  integer(): bigint {
    switch (this.below(5)) {
      case 0:
        return this.pick(EDGES);
      case 1:
        return BigInt(this.below(300));
      case 2:
        return BigInt.asUintN(64, (1n << BigInt(this.below(64))) - BigInt(this.below(2)));
      case 3:
        return BigInt(this.u32());
      default:
        return this.u64();
    }
  }
  /** 64 bits that are often two single or one double float. */
  floats(): bigint {
    switch (this.below(4)) {
      case 0:
        return this.pick(FLOATS64);
      case 1:
        return (this.pick(FLOATS32) << 32n) | this.pick(FLOATS32);
      case 2:
        return (BigInt(this.nearOne()) << 32n) | BigInt(this.nearOne());
      default:
        return this.integer();
    }
  }
  /** A single float (or the upper half of a double) of ordinary size. */
  private nearOne(): number {
    return ((this.u32() & 0x80ffffff) | 0x3f000000) >>> 0;
  }
}
