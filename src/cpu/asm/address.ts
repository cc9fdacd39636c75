// ModRM, SIB and displacement of a memory operand.

import type { MemOperand } from './operands.ts';

/** The reg field is left 0. `label` marks a displacement that is filled in later. */
export interface EncodedAddress {
  readonly bytes: readonly number[];
  readonly rexX: number;
  readonly rexB: number;
  /** Offset of a 4- or 2-byte displacement in `bytes`, or -1: what a label or RIP needs. */
  readonly dispAt: number;
}

/** The address size that an operand's registers ask for; 0: any. */
export function addressSizeOf(m: MemOperand): number {
  return m.rip || m.base?.size || m.index?.size || 0;
}

/** null: no such address. SDM 2A 2.1.5. */
export function encodeAddress(m: MemOperand, asize: number, mode: number): EncodedAddress | null {
  for (const r of [m.base, m.index]) if (r && (r.file !== 'gpr' || r.size !== asize)) return null;
  const disp = BigInt.asIntN(asize, m.disp);
  if (m.disp < -(1n << BigInt(asize - 1)) || m.disp >= 1n << BigInt(asize)) return null;
  if (asize === 16) return m.rip === 0 ? encode16(m, disp) : null;
  if (BigInt.asIntN(32, disp) !== disp) return null;
  if (m.rip !== 0 || (m.label && mode === 64 && !m.base && !m.index)) {
    return mode === 64 && !m.base && !m.index ? plain([0x05], disp, 4) : null;
  }
  return encode32(m, disp, mode);
}

function plain(head: number[], disp: bigint, bytes: number): EncodedAddress {
  return {
    bytes: [...head, ...little(disp, bytes)],
    rexX: 0,
    rexB: 0,
    dispAt: bytes > 1 ? head.length : -1,
  };
}

function encode32(m: MemOperand, disp: bigint, mode: number): EncodedAddress | null {
  if (m.index?.number === 4) return null;
  if (!m.base && !m.index) return plain(mode === 64 ? [0x04, 0x25] : [0x05], disp, 4);
  const base = m.base?.number ?? 5;
  const index = m.index?.number ?? 4;
  const scale = [1, 2, 4, 8].indexOf(m.scale);
  const dispBytes = displacementBytes(m, disp, m.base !== null && (base & 7) === 5);
  const mod = !m.base || dispBytes === 0 ? 0 : dispBytes === 1 ? 0x40 : 0x80;
  const needsSib = m.index !== null || (base & 7) === 4;
  const head = needsSib
    ? [mod | 4, (scale << 6) | ((index & 7) << 3) | (base & 7)]
    : [mod | (base & 7)];
  return {
    bytes: [...head, ...little(disp, dispBytes)],
    rexX: m.index ? index >> 3 : 0,
    rexB: m.base ? base >> 3 : 0,
    dispAt: dispBytes === 4 ? head.length : -1,
  };
}

function displacementBytes(m: MemOperand, disp: bigint, mustHave: boolean): 0 | 1 | 4 {
  if (!m.base || m.label) return 4;
  if (disp === 0n && !mustHave) return 0;
  return BigInt.asIntN(8, disp) === disp ? 1 : 4;
}

/** Base and index registers by rm. SDM 2A, table 2-1. */
const FORMS16 = ['3,6', '3,7', '5,6', '5,7', '6,', '7,', '5,', '3,'];

function encode16(m: MemOperand, disp: bigint): EncodedAddress | null {
  if (!m.base && !m.index) return plain([0x06], disp, 2);
  if (m.scale !== 1 || !m.base) return null;
  const rm = FORMS16.indexOf(`${m.base.number},${m.index?.number ?? ''}`);
  if (rm < 0) return null;
  const bytes = m.label ? 2 : disp === 0n && rm !== 6 ? 0 : BigInt.asIntN(8, disp) === disp ? 1 : 2;
  return plain([(bytes << 6) | rm], disp, bytes);
}

/** The low `bytes` bytes of a number, lowest first. */
export function little(value: bigint, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, n) => Number((value >> BigInt(8 * n)) & 0xffn));
}
