// Debug registers: which breakpoints are armed, what they match, and how their hits reach DR6. SDM 3B 18.2.

import { CR4_DE } from './control-bits.ts';
import type { Cx } from './slow/define.ts';
import { FIELDS, type FieldName, type State } from './state.ts';

export const DR6_BREAKPOINTS = 0xf;
export const DR6_BD = 1 << 13;
export const DR6_BS = 1 << 14;
export const DR6_BT = 1 << 15;
export const DR7_GD = 1 << 13;
/** L0..L3 and LE: a task switch clears them. SDM 3A 7.3. */
export const DR7_LOCAL = 0x155;
/** L0..L3 and G0..G3. */
export const DR7_ENABLED = 0xff;

/** Values of R/Wn. */
const EXECUTE = 0;
const WRITE = 1;
const PORT = 2;

export const DEBUG_ADDRESSES = ['dr0', 'dr1', 'dr2', 'dr3'] as const satisfies readonly FieldName[];

/** Bytes by LENn; 10b is 8. SDM 3B 18.2.4. */
const LENGTHS = [1, 2, 8, 4] as const;

/** An armed breakpoint on data. Linear addresses are signed numbers. */
export interface DataWatch {
  readonly bit: number;
  readonly from: number;
  readonly bytes: number;
  readonly writesOnly: boolean;
}

interface Armed {
  readonly bit: number;
  readonly kind: number;
  readonly from: number;
  readonly bytes: number;
}

/** Whether DR7 enables anything at all: what is asked often. */
export function anyArmed(state: State): boolean {
  return (state.word(FIELDS.dr7) & DR7_ENABLED) !== 0;
}

/** The low bits of the address that the length covers do not count. */
function armed(state: State): Armed[] {
  const dr7 = state.word(FIELDS.dr7);
  const found: Armed[] = [];
  for (const [n, name] of DEBUG_ADDRESSES.entries()) {
    if (((dr7 >>> (2 * n)) & 3) === 0) continue;
    const control = dr7 >>> (16 + 4 * n);
    const bytes = LENGTHS[(control >>> 2) & 3] as number;
    const at = state.getVa(name);
    found.push({ bit: 1 << n, kind: control & 3, from: at - (at & (bytes - 1)), bytes });
  }
  return found;
}

/** R/W 10b means ports with CR4.DE and is undefined without: nothing is watched then. */
export function dataWatches(state: State): DataWatch[] {
  if (!anyArmed(state)) return [];
  return armed(state)
    .filter((b) => b.kind !== EXECUTE && b.kind !== PORT)
    .map(({ bit, from, bytes, kind }) => ({ bit, from, bytes, writesOnly: kind === WRITE }));
}

/** Whether an instruction may be stopped at by its address. */
export function codeArmed(state: State): boolean {
  return anyArmed(state) && armed(state).some((b) => b.kind === EXECUTE);
}

/** DR6 bits for the instruction at a linear address. Only a length of one byte is defined. SDM 3B 18.2.5. */
export function codeHits(state: State, linear: number): number {
  let bits = 0;
  for (const b of armed(state))
    if (b.kind === EXECUTE && b.bytes === 1 && b.from === linear) bits |= b.bit;
  return bits;
}

/** DR6 bits for an access to ports. Needs CR4.DE. */
export function portHits(state: State, port: number, bytes: number): number {
  if (!anyArmed(state) || (state.word(FIELDS.cr4) & CR4_DE) === 0) return 0;
  let bits = 0;
  for (const b of armed(state))
    if (b.kind === PORT && b.from < port + bytes && port < b.from + b.bytes) bits |= b.bit;
  return bits;
}

/** Remembers hits for the boundary after the running instruction. The caller makes the engine stop there. */
export function pendDebug(state: State, bits: number): void {
  state.setWord(FIELDS.pendingDebug, state.word(FIELDS.pendingDebug) | bits);
}

/** What a debug exception leaves in DR6: B0..B3 are this one's, all other bits stay until software clears them. */
export function commitDebug(state: State, bits: number): void {
  state.setWord(FIELDS.dr6, (state.word(FIELDS.dr6) & ~DR6_BREAKPOINTS) | bits);
}

/** RF is 1 for the instruction after the running one. It is kept as a count, so that nobody has to clear it. */
export function resumeNext(state: State, retired: number): void {
  state.setVa(FIELDS.rfAt, retired + 2);
}

/** Whether RF is 1 when `retired` instructions are completed. */
export function resuming(state: State, retired: number): boolean {
  return state.getVa(FIELDS.rfAt) === retired + 1;
}

/** Interrupts (kind 1, STI; kind 2, MOV SS: debug traps too) wait for one instruction after the running one. SDM 3A 6.8.3. */
export function castShadow(cx: Cx, kind: number): void {
  cx.state.setWord(FIELDS.shadow, kind);
  cx.state.setVa(FIELDS.shadowAt, cx.retired() + 2);
  cx.checkInterrupts();
}
