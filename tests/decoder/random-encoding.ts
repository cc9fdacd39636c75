// Random code bytes that should decode to a given form of the table.

import type { CompiledForm } from '../../src/cpu/isa/compile.ts';

/** xorshift32: the same bytes on every machine. */
export class Random {
  private x: number;
  constructor(seed: number) {
    this.x = seed | 1;
  }
  next(): number {
    this.x ^= this.x << 13;
    this.x ^= this.x >>> 17;
    this.x ^= this.x << 5;
    return this.x >>> 0;
  }
  below(n: number): number {
    return (this.next() >>> 3) % n;
  }
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
}

const SEGMENTS = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];

/** Prefixes, opcode, ModRM and fifteen random bytes for whatever follows. */
export function randomEncoding(f: CompiledForm, mode: 16 | 32 | 64, random: Random): Uint8Array {
  const bytes: number[] = [];
  if (random.chance(15)) bytes.push(SEGMENTS[random.below(6)] as number);
  if (random.chance(15)) bytes.push(0x67);
  if (random.chance(20)) bytes.push(0x66);
  if (f.form.lock && random.chance(20)) bytes.push(0xf0);
  if (f.form.rep && random.chance(40)) bytes.push(random.chance(50) ? 0xf2 : 0xf3);
  bytes.push(...f.mandatory);
  const w = f.rexW === 1 ? 8 : f.rexW === 0 ? 0 : random.chance(30) ? 8 : 0;
  if (mode === 64 && (w !== 0 || random.chance(30))) bytes.push(0x40 | w | random.below(8));
  if (f.map > 0) bytes.push(0x0f);
  if (f.map > 1) bytes.push(f.map === 2 ? 0x38 : 0x3a);
  bytes.push(f.opcode + random.below(f.span));
  if (f.hasModrm) bytes.push(randomModrm(f, random));
  while (bytes.length < 24) bytes.push(random.chance(20) ? 0 : random.below(256));
  return Uint8Array.from(bytes);
}

function randomModrm(f: CompiledForm, random: Random): number {
  if (f.exact >= 0) return f.exact + random.below(f.exactSpan);
  const reg = f.digit >= 0 ? f.digit : random.below(8);
  const isRegister = f.mod === 'reg' || (f.mod !== 'mem' && random.chance(50));
  return ((isRegister ? 3 : random.below(3)) << 6) | (reg << 3) | random.below(8);
}
