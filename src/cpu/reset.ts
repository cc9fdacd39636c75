// The state after RESET. SDM 3A 10.1.

import { CR0_CD, CR0_ET, CR0_NW } from './control-bits.ts';
import { DEFAULT_MODEL } from './cpuid.ts';
import { setSegmentTo } from './descriptors.ts';
import { resetMsrs } from './msr.ts';
import { FL_FULL, GPR_AT, MSR_AT, type State } from './state.ts';

const ES = 0;
const CS = 1;
const SS = 2;
const DS = 3;
const FS = 4;
const GS = 5;
const LDTR = 6;
const TR = 7;

const PRESENT_DATA = 0x93;
const PRESENT_CODE = 0x9b;
const PRESENT_LDT = 0x82;
const PRESENT_TSS32 = 0x8b;
const RDX = 2;

/** All fields are zeroed, the engine's own too; what stays is the exit policy, which belongs to the interface, and `skipped`, the clock's. The caller calls `modeChanged`. */
export function reset(state: State): void {
  const { u8 } = state.views;
  const policy = [state.get('policyExceptions'), state.get('policy')] as const;
  const skipped = state.getVa('skipped');
  u8.fill(0, state.base + GPR_AT, state.base + MSR_AT);
  state.setVa('skipped', skipped);
  state.set('policyExceptions', policy[0]);
  state.set('policy', policy[1]);
  state.set('eflags', 2);
  state.set('flOp', FL_FULL * 4);
  state.set('cr0', CR0_CD | CR0_NW | CR0_ET);
  state.set('dr6', 0xffff0ff0);
  state.set('dr7', 0x400);
  state.set('fcw', 0x40);
  state.set('mxcsr', 0x1f80);
  state.set('xcr0', 1);
  state.set('gdtrLimit', 0xffff);
  state.set('idtrLimit', 0xffff);
  for (const n of [ES, SS, DS, FS, GS]) setSegmentTo(state, n, 0, 0, 0xffff, PRESENT_DATA);
  setSegmentTo(state, CS, 0xf000, 0xffff0000, 0xffff, PRESENT_CODE);
  setSegmentTo(state, LDTR, 0, 0, 0xffff, PRESENT_LDT);
  setSegmentTo(state, TR, 0, 0, 0xffff, PRESENT_TSS32);
  state.setVa('rip', 0xfff0);
  state.setGpr32(RDX, (DEFAULT_MODEL.family << 8) | (DEFAULT_MODEL.model << 4));
  resetMsrs(state);
}
