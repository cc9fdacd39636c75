// Slow paths around interrupts: INT n and its relatives, POPF, STI, HLT, CLAC and STAC.

import {
  EFLAGS_AC,
  EFLAGS_DF,
  EFLAGS_ID,
  EFLAGS_IF,
  EFLAGS_IOPL,
  EFLAGS_IOPL_SHIFT,
  EFLAGS_NT,
  EFLAGS_OF,
  EFLAGS_STATUS,
  EFLAGS_TF,
  GP,
} from '../control-bits.ts';
import { castShadow } from '../debug.ts';
import { enterHandler } from '../deliver.ts';
import { inVm86 } from '../descriptors.ts';
import { readFlags, writeFlags } from '../flags.ts';
import { exits, POLICY_HLT, POLICY_INT } from '../policy.ts';
import { FIELDS } from '../state.ts';
import { type Cx, defineSlow } from './define.ts';

/** Kinds of software interrupt, as the table passes them. */
const INT_N = 0;
const INTO = 2;
const ICEBP = 3;
const SHADOW_STI = 1;

/** Args: vector (32), kind (32): 0 INT n, 1 INT3, 2 INTO, 3 ICEBP. */
export const int = defineSlow({
  name: 'int',
  ref: 'SDM 2A INT n/INTO/INT3/INT1',
  run(cx) {
    const { state } = cx;
    const vector = state.arg32(0) & 0xff;
    const kind = state.arg32(1);
    if (kind === INTO && (readFlags(state) & EFLAGS_OF) === 0) return 0;
    if (kind === INT_N && inVm86(state) && (state.get(FIELDS.eflags) & EFLAGS_IOPL) !== EFLAGS_IOPL)
      return state.raise(GP, 0);
    if (exits(state, POLICY_INT)) return 1;
    if (kind === ICEBP) state.setVa(FIELDS.rfAt, 0); // RF ends with this instruction, before its trap.
    return enterHandler(cx, { vector, error: null, kind: kind === ICEBP ? 'trap' : 'software' });
  },
});

/** Args: the image (64), already popped. Cannot fault. */
export const popf = defineSlow({
  name: 'popf',
  ref: 'SDM 2B POPF/POPFD/POPFQ',
  run(cx) {
    const { state } = cx;
    const cpl = state.get(FIELDS.cpl);
    const iopl = (state.get(FIELDS.eflags) & EFLAGS_IOPL) >> EFLAGS_IOPL_SHIFT;
    const wide = cx.insn.osize > 16;
    let mask = EFLAGS_STATUS | EFLAGS_TF | EFLAGS_DF | EFLAGS_NT;
    if (wide) mask |= EFLAGS_AC | EFLAGS_ID;
    if (cpl <= iopl) mask |= EFLAGS_IF;
    if (cpl === 0) mask |= EFLAGS_IOPL;
    const before = state.get(FIELDS.eflags);
    writeFlags(state, state.arg32(0), mask);
    noticeFlags(cx, before);
    return 0;
  },
});

/** IF is set; interrupts stay blocked for one more instruction if it was clear. SDM 2B STI. */
export const sti = defineSlow({
  name: 'sti',
  ref: 'SDM 2B STI',
  run(cx) {
    const { state } = cx;
    const flags = state.get(FIELDS.eflags);
    if (state.get(FIELDS.cpl) > (flags & EFLAGS_IOPL) >> EFLAGS_IOPL_SHIFT)
      return state.raise(GP, 0);
    if (flags & EFLAGS_IF) return 0;
    state.set(FIELDS.eflags, flags | EFLAGS_IF);
    castShadow(cx, SHADOW_STI);
    return 0;
  },
});

export const hlt = defineSlow({
  name: 'hlt',
  ref: 'SDM 2A HLT',
  run(cx) {
    if (exits(cx.state, POLICY_HLT)) return 1;
    cx.state.set(FIELDS.halted, 1);
    // The engine leaves its loop at this boundary and finds the vCPU halted.
    cx.state.set(FIELDS.attention, 1);
    return 0;
  },
});

/** Args: 1 for STAC, 0 for CLAC (32). */
export const setAc = defineSlow({
  name: 'set_ac',
  ref: 'SDM 2A CLAC, SDM 2B STAC',
  pure: true,
  movesTlb: true,
  run(cx) {
    const { state } = cx;
    writeFlags(state, state.arg32(0) ? EFLAGS_AC : 0, EFLAGS_AC);
    cx.modeChanged();
    return 0;
  },
});

function noticeFlags(cx: Cx, before: number): void {
  const changed = before ^ cx.state.get(FIELDS.eflags);
  if (changed & EFLAGS_AC) cx.modeChanged();
  if (changed & EFLAGS_IF) cx.checkInterrupts();
  // Single-stepping begins with the next instruction: the engine must not run into a block.
  if (changed & EFLAGS_TF) cx.state.set(FIELDS.attention, 1);
}
