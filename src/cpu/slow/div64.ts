// Division of 128 by 64 bits, signed and unsigned: too wide for the IR.

import { type Cx, defineSlow } from './define.ts';

const DE = 0;

export const div64 = defineSlow({
  name: 'div64',
  ref: 'SDM 2A DIV',
  pure: true,
  run: (cx) => divide(cx, BigInt.asUintN),
});

export const idiv64 = defineSlow({
  name: 'idiv64',
  ref: 'SDM 2A IDIV',
  pure: true,
  run: (cx) => divide(cx, BigInt.asIntN),
});

/** Arguments: high and low half of the dividend, divisor. Results: quotient, remainder. */
function divide(cx: Cx, as: (bits: number, value: bigint) => bigint): 0 | 1 {
  const { state } = cx;
  const divisor = as(64, state.arg64(2));
  if (divisor === 0n) return state.raise(DE, null);
  const dividend = as(128, (state.arg64(0) << 64n) | state.arg64(1));
  const quotient = dividend / divisor; // Truncates, as the instruction does.
  if (as(64, quotient) !== quotient) return state.raise(DE, null);
  state.ret64(0, quotient);
  state.ret64(1, dividend % divisor);
  return 0;
}
