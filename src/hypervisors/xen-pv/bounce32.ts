// Bounce frames of 32-bit guests: those of the processor in ring 1, with the event mask beside CS.

import { EFLAGS_NT, EFLAGS_RF, EFLAGS_TF, EFLAGS_VM } from '../../cpu/control-bits.ts';
import { baseOf, CS, SS_REG } from '../../cpu/descriptors.ts';
import { readFlags, writeFlags } from '../../cpu/flags.ts';
import { SEG_SELECTOR } from '../../cpu/state.ts';
import type { Handler } from './bounce.ts';
import { eventsMasked, guestFlags, maskEvents } from './events-mask.ts';
import { crashDomain, currentVcpu, hex, type PvDomain } from './pv-domain.ts';
import { loadReturnSegments, stackOf } from './segments.ts';

const RSP = 4;
const CLEARED = EFLAGS_VM | EFLAGS_RF | EFLAGS_NT | EFLAGS_TF;
const ALL_FLAGS = 0x3f7fd5;
/** EIP, CS and the old mask, EFLAGS. */
const WORDS = 3;
/** ESP and SS, when a program was interrupted; DS, ES, FS and GS before all others, when a return has failed. */
const STACK_WORDS = 2;
const SELECTOR_WORDS = 4;
/** DS, ES, FS, GS as the state numbers them. */
const DATA_SEGMENTS = [3, 0, 4, 5] as const;

/** Rings 2 and 3 begin on the stack that stack_switch has named, others go on where they are (fact sheet 5.3). */
export function bounce32(
  pv: PvDomain,
  to: Handler,
  error: number | null,
  masks: boolean,
  selectors: boolean,
): void {
  const { state, mmu } = pv.cpu;
  const vcpu = currentVcpu(pv);
  const cs = state.seg(CS, SEG_SELECTOR);
  const outer = (cs & 2) !== 0;
  const ss = outer ? vcpu.kernelSs : state.seg(SS_REG, SEG_SELECTOR);
  const extra = selectors ? SELECTOR_WORDS : error === null ? 0 : 1;
  const bytes = (WORDS + (outer ? STACK_WORDS : 0) + extra) * 4;
  const sp = ((outer ? vcpu.kernelSp : state.gpr32(RSP)) - bytes) >>> 0;
  const stack = stackOf(pv, ss, to.cs & 3);
  if (stack === null)
    return crashDomain(pv, `the stack segment for its handler, 0x${hex(ss)}, cannot be loaded`);
  const masked = eventsMasked(pv);
  const { buf } = mmu;
  let at = 0;
  const put = (word: number) => {
    buf.setUint32(at, word, true);
    at += 4;
  };
  if (selectors) for (const n of DATA_SEGMENTS) put(state.seg(n, SEG_SELECTOR));
  else if (error !== null) put(error);
  put(state.get('rip'));
  put(cs | (masked ? 1 << 16 : 0));
  put(guestFlags(pv, readFlags(state), masked));
  if (outer) {
    put(state.gpr32(RSP));
    put(state.seg(SS_REG, SEG_SELECTOR));
  }
  // By Xen's own rights: a program's do not reach the kernel's stack.
  if (!mmu.write((baseOf(stack) + sp) >>> 0, bytes, 'system'))
    return crashDomain(pv, `the stack for its handler, 0x${hex(sp)}, cannot be written`);
  if (!loadReturnSegments(pv, to.cs, ss, to.address))
    return crashDomain(pv, `its handler at 0x${hex(to.cs)}:0x${hex(to.address)} cannot be entered`);
  state.setVa('rip', to.address);
  state.setGpr32(RSP, sp);
  writeFlags(state, 0, CLEARED & ALL_FLAGS);
  state.setVa('rfAt', 0);
  if (masks) maskEvents(pv, true);
}
