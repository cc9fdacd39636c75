// The status flags from their definitions, in BigInt: how the reference computes, stores and reads them.

import { bug } from '../../base/errors.ts';
import { AF, CF, OF, PF, SF, ZF } from '../isa/build.ts';
import type { FlagFn, StatusFlag } from '../isa/ir.ts';
import { FL_ADC, FL_ADD, FL_FULL, FL_LOGIC, FL_MIX, FL_SBB, FL_SUB, type State } from '../state.ts';
import { signed, unsigned } from './integers.ts';

export const FLAG_BITS: Readonly<Record<StatusFlag, number>> = {
  cf: CF,
  pf: PF,
  af: AF,
  zf: ZF,
  sf: SF,
  of: OF,
};
export const STATUS_FLAGS = CF | PF | AF | ZF | SF | OF;

const FN_OF_KIND: Readonly<Record<number, FlagFn>> = {
  [FL_ADD]: 'add',
  [FL_ADC]: 'adc',
  [FL_SUB]: 'sub',
  [FL_SBB]: 'sbb',
  [FL_LOGIC]: 'logic',
  [FL_MIX]: 'mix',
};

/** All six flags at their EFLAGS places. `aux`: the carry that came in (adc, sbb), or the flags of `mix`. */
export function flagsOf(fn: FlagFn, bits: number, res: bigint, x: bigint, aux: bigint): number {
  const common = zeroSignParity(bits, res);
  switch (fn) {
    case 'add':
      return common | addition(bits, x, unsigned(res - x, bits), 0n);
    case 'adc':
      return common | addition(bits, x, unsigned(res - x - aux, bits), aux);
    case 'sub':
      return common | subtraction(bits, x, unsigned(x - res, bits), 0n);
    case 'sbb':
      return common | subtraction(bits, x, unsigned(x - res - aux, bits), aux);
    case 'logic':
      return common;
    case 'mix':
      return common | (Number(aux) & (CF | OF | AF));
  }
}

/** The six flags as the state has them now, whatever the representation. */
export function readStatusFlags(state: State): number {
  const op = state.get('flOp');
  const kind = op >> 2;
  if (kind === FL_FULL) return state.get('flAux') & STATUS_FLAGS;
  const fn = FN_OF_KIND[kind] ?? bug(`flOp ${op} is no kind of flags`);
  const bits = 8 << (op & 3);
  const aux = fn === 'adc' || fn === 'sbb' ? 1n : BigInt(state.get('flAux'));
  return flagsOf(fn, bits, state.get64('flRes'), state.get64('flX'), aux);
}

export function writeStatusFlags(state: State, flags: number): void {
  state.set('flOp', FL_FULL << 2);
  state.set('flAux', flags & STATUS_FLAGS);
}

/** Condition code 0..15 (SDM 1 appendix B). */
export function conditionHolds(flags: number, cc: number): boolean {
  const cf = (flags & CF) !== 0;
  const pf = (flags & PF) !== 0;
  const zf = (flags & ZF) !== 0;
  const sf = (flags & SF) !== 0;
  const of = (flags & OF) !== 0;
  const even = [of, cf, zf, cf || zf, sf, pf, sf !== of, zf || sf !== of][cc >> 1];
  if (even === undefined || cc < 0) return bug(`${cc} is no condition code`);
  return even !== ((cc & 1) !== 0);
}

function zeroSignParity(bits: number, res: bigint): number {
  let ones = 0;
  for (let low = Number(res & 0xffn); low > 0; low >>= 1) ones += low & 1;
  const zero = unsigned(res, bits) === 0n ? ZF : 0;
  return zero | (signed(res, bits) < 0n ? SF : 0) | (ones % 2 === 0 ? PF : 0);
}

function addition(bits: number, x: bigint, y: bigint, carry: bigint): number {
  const exact = signed(x, bits) + signed(y, bits) + carry;
  const cf = (x + y + carry) >> BigInt(bits) !== 0n ? CF : 0;
  const of = exact !== signed(exact, bits) ? OF : 0;
  return cf | of | ((x & 15n) + (y & 15n) + carry > 15n ? AF : 0);
}

function subtraction(bits: number, x: bigint, y: bigint, borrow: bigint): number {
  const exact = signed(x, bits) - signed(y, bits) - borrow;
  const of = exact !== signed(exact, bits) ? OF : 0;
  return (x < y + borrow ? CF : 0) | of | ((x & 15n) < (y & 15n) + borrow ? AF : 0);
}
