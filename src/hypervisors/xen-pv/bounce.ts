// Bounce frames: how Xen lets a guest's kernel know of an exception, a system call or an event.

import { EFLAGS_AC, EFLAGS_NT, EFLAGS_RF, EFLAGS_TF, EFLAGS_VM } from '../../cpu/control-bits.ts';
import { CS, DPL3, FLAT_CODE64, FLAT_DATA, SS_REG, setSegmentTo } from '../../cpu/descriptors.ts';
import { readFlags, writeFlags } from '../../cpu/flags.ts';
import { FIELDS, GPR_AT, SEG_SELECTOR } from '../../cpu/state.ts';
import { FLAT_RING3_CS64, FLAT_RING3_DS } from './abi.ts';
import { bounce32 } from './bounce32.ts';
import { eventsMasked, guestFlags, maskEvents } from './events-mask.ts';
import { writeFrame } from './frame-words.ts';
import {
  crashDomain,
  currentVcpu,
  hex,
  isGuestAddress,
  type PvDomain,
  toggleMode,
} from './pv-domain.ts';

const RCX = 1;
const RSP = 4;
const R11 = 11;
const FLAT_LIMIT = 0xffffffff;
const CLEARED = EFLAGS_AC | EFLAGS_VM | EFLAGS_RF | EFLAGS_NT | EFLAGS_TF;
const ENTRY_FLAGS = 0x3f7fd5;

/** RCX and R11, [error code], RIP, CS and the old mask, RFLAGS, RSP, SS (arch-x86/xen-x86_64.h; fact sheet 5.3). */
const WORDS = 7;
/** DS, ES, FS, GS as the state numbers them. */
const DATA_SEGMENTS = [3, 0, 4, 5] as const;

/** Where a bounce leads: 64-bit kernels run in one flat segment, others name theirs. */
export interface Handler {
  readonly address: number;
  readonly cs: number;
}

/**
 * Goes on in the kernel, with a frame that tells where it was. `selectors`: the data segments, which a
 * failsafe frame has where others have an error code.
 */
export function bounce(
  pv: PvDomain,
  to: Handler,
  error: number | null,
  masks: boolean,
  selectors = false,
): void {
  const { cpu } = pv;
  const { state } = cpu;
  const handler = to.address;
  const none = pv.state.narrow ? (to.cs & ~3) === 0 : handler === 0;
  if (none) return crashDomain(pv, 'it has no handler for what happened to it');
  // A handler that cannot run its first instruction bounces again and again: time passes, so that the run comes to its end.
  if (pv.state.lastBounce === cpu.retired()) cpu.complete(0);
  pv.state.lastBounce = cpu.retired();
  if (pv.state.narrow) return bounce32(pv, to, error, masks, selectors);
  const vcpu = currentVcpu(pv);
  const fromKernel = vcpu.kernelMode;
  let sp = fromKernel ? state.vaAt(GPR_AT + RSP * 8) : vcpu.kernelSp;
  if (!fromKernel) toggleMode(pv, vcpu);
  const extra = selectors ? 4 : error === null ? 0 : 1;
  const bytes = (WORDS + extra) * 8;
  sp = sp - (sp & 15) - bytes;
  const masked = eventsMasked(pv);
  const { frame } = pv;
  copyGpr(pv, RCX, 0);
  copyGpr(pv, R11, 2);
  let at = 4;
  if (selectors) {
    for (const n of DATA_SEGMENTS) {
      put(frame, at, state.seg(n, SEG_SELECTOR), 0);
      at += 2;
    }
  } else if (error !== null) {
    put(frame, at, error, 0);
    at += 2;
  }
  const rip = state.getVa(FIELDS.rip);
  put(frame, at, rip >>> 0, Math.floor(rip / 4294967296) >>> 0);
  const cs = state.seg(CS, SEG_SELECTOR);
  put(frame, at + 2, fromKernel ? cs & ~3 : cs, masked ? 1 : 0);
  put(frame, at + 4, guestFlags(pv, readFlags(state), masked), 0);
  copyGpr(pv, RSP, at + 6);
  put(frame, at + 8, state.seg(SS_REG, SEG_SELECTOR), 0);
  if (!isGuestAddress(pv, sp) || !isGuestAddress(pv, sp + bytes) || !writeFrame(pv, sp, bytes))
    return crashDomain(pv, `the stack for its handler, 0x${hex(sp)}, cannot be written`);
  enterHandler(pv, handler, sp);
  if (masks) maskEvents(pv, true);
}

function enterHandler({ cpu }: PvDomain, handler: number, sp: number): void {
  const { state } = cpu;
  const trapped = state.get(FIELDS.eflags);
  if (state.seg(CS, SEG_SELECTOR) !== FLAT_RING3_CS64)
    setSegmentTo(state, CS, FLAT_RING3_CS64, 0, FLAT_LIMIT, FLAT_CODE64 | DPL3);
  if (state.seg(SS_REG, SEG_SELECTOR) !== FLAT_RING3_DS)
    setSegmentTo(state, SS_REG, FLAT_RING3_DS, 0, FLAT_LIMIT, FLAT_DATA | DPL3);
  state.setVa(FIELDS.rip, handler);
  state.setVaAt(GPR_AT + RSP * 8, sp);
  writeFlags(state, 0, CLEARED & ENTRY_FLAGS);
  state.setVa(FIELDS.rfAt, 0);
  if (state.get(FIELDS.codeMode) !== 64 || trapped & EFLAGS_AC) cpu.stateChanged();
}

function put(frame: Uint32Array, at: number, lo: number, hi: number): void {
  frame[at] = lo;
  frame[at + 1] = hi;
}

function copyGpr({ cpu: { state }, frame }: PvDomain, register: number, at: number): void {
  const i = (state.base + GPR_AT + register * 8) >> 2;
  put(frame, at, state.views.u32[i]!, state.views.u32[i + 1]!);
}
