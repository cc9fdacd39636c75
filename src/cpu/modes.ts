// What follows from CR0, CR4, EFER, segments, CPL and AC: the code mode, what decoding depends on, and which TLBs apply.

import { CR0_AM, CR4_SMAP, EFER_LMA, EFLAGS_AC } from './control-bits.ts';
import { recomputeFpuFaults } from './fpu-fault.ts';
import { isFlatData } from './segment-check.ts';
import {
  ATTR_D,
  ATTR_L,
  DATA_TLB_ENTRIES,
  DATA_TLB_STRIDE,
  FETCH_TLB_ENTRIES,
  FETCH_TLB_STRIDE,
  FIELDS,
  type Layout,
  MODE_KEY_FLAT,
  MODE_KEY_LIMIT,
  MODE_KEY_STACK,
  SEG_ATTR,
  SEG_LIMIT,
  type State,
} from './state.ts';

const ES = 0;
const CS = 1;
const SS = 2;
const DS = 3;

/** Numbers of the three data TLBs, see `Layout.dataTlbs`. */
const SUPERVISOR = 0;
const SUPERVISOR_OPEN = 1;
const USER = 2;
/** The one without entries: while alignment is checked, every access comes to the MMU. */
const CHECKED = 3;

/** Call after any change of the above: a segment register's descriptor counts. Flushing the TLB, where one is due, is up to who changed what. */
export function modeChanged(state: State, layout: Layout): void {
  const user = state.word(FIELDS.cpl) === 3;
  const data = user
    ? alignmentChecked(state)
      ? CHECKED
      : USER
    : smapInForce(state)
      ? SUPERVISOR
      : SUPERVISOR_OPEN;
  state.setWord(FIELDS.dataTlb, layout.dataTlbs + data * DATA_TLB_ENTRIES * DATA_TLB_STRIDE);
  state.setWord(
    FIELDS.fetchTlb,
    layout.fetchTlbs + (user ? FETCH_TLB_ENTRIES * FETCH_TLB_STRIDE : 0),
  );
  const mode = codeModeOf(state);
  state.setWord(FIELDS.codeMode, mode);
  state.setWord(FIELDS.modeKey, modeKeyOf(state, mode));
  recomputeFpuFaults(state);
}

function modeKeyOf(state: State, mode: 16 | 32 | 64): number {
  if (mode === 64) return mode;
  const big = (state.seg(SS, SEG_ATTR) & ATTR_D) !== 0;
  const flat = isFlatData(state, ES) && isFlatData(state, SS) && isFlatData(state, DS);
  return (
    mode |
    ((mode === 32) !== big ? MODE_KEY_STACK : 0) |
    (flat ? MODE_KEY_FLAT : 0) |
    (state.seg(CS, SEG_LIMIT) !== 0xffffffff ? MODE_KEY_LIMIT : 0)
  );
}

/** In ring 3 only, which virtual-8086 mode is. SDM 3A 2.5, CR0.AM. */
function alignmentChecked(state: State): boolean {
  return (state.word(FIELDS.cr0) & CR0_AM) !== 0 && (state.word(FIELDS.eflags) & EFLAGS_AC) !== 0;
}

function smapInForce(state: State): boolean {
  return (state.word(FIELDS.cr4) & CR4_SMAP) !== 0 && (state.word(FIELDS.eflags) & EFLAGS_AC) === 0;
}

/** The cached attributes of CS decide, also in real mode. SDM 3A 3.4.5.1. */
function codeModeOf(state: State): 16 | 32 | 64 {
  const attr = state.seg(CS, SEG_ATTR);
  if (state.word(FIELDS.efer) & EFER_LMA && attr & ATTR_L) return 64;
  return attr & ATTR_D ? 32 : 16;
}
