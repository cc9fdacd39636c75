// Bounce frames: how Xen lets a guest's kernel know of an exception, a system call or an event.

import { EFLAGS_AC, EFLAGS_NT, EFLAGS_RF, EFLAGS_TF, EFLAGS_VM } from '../../cpu/control-bits.ts';
import { CS, DPL3, FLAT_CODE64, FLAT_DATA, SS_REG, setSegmentTo } from '../../cpu/descriptors.ts';
import { readFlags, writeFlags } from '../../cpu/flags.ts';
import { FIELDS, GPR_AT, SEG_SELECTOR } from '../../cpu/state.ts';
import { FLAT_RING3_CS64, FLAT_RING3_DS } from './abi.ts';
import { bounce32 } from './bounce32.ts';
import { eventsMasked, guestFlags, maskEvents } from './events-mask.ts';
import { frameInTlb, writeFrame } from './frame-words.ts';
import {
  crashDomain,
  currentVcpu,
  hex,
  isGuestAddress,
  type PvDomain,
  toggleMode,
} from './pv-domain.ts';

const FOUR_GIB = 4294967296;
/** Words of the vCPU's state, which is reached directly here: every event comes this way. */
const RCX = (GPR_AT >> 2) + 2 * 1;
const RSP = (GPR_AT >> 2) + 2 * 4;
const R11 = (GPR_AT >> 2) + 2 * 11;
const RIP = FIELDS.rip.at >> 2;
const EFLAGS = FIELDS.eflags.at >> 2;
const RF_AT = FIELDS.rfAt.at >> 2;
const CODE_MODE = FIELDS.codeMode.at >> 2;
const CS_SELECTOR = FIELDS.csSelector.at >> 2;
const SS_SELECTOR = FIELDS.ssSelector.at >> 2;
const FLAT_LIMIT = 0xffffffff;
const CLEARED = EFLAGS_AC | EFLAGS_VM | EFLAGS_RF | EFLAGS_NT | EFLAGS_TF;
const ENTRY_FLAGS = 0x3f7fd5;
const AC = EFLAGS_AC;
const CODE = FLAT_RING3_CS64;
const DATA = FLAT_RING3_DS;

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
  let now = cpu.retired();
  if (pv.state.lastBounce === now) {
    cpu.complete(0);
    now = cpu.retired();
  }
  pv.state.lastBounce = now;
  if (pv.state.narrow) return bounce32(pv, to, error, masks, selectors);
  const vcpu = currentVcpu(pv);
  const fromKernel = vcpu.kernelMode;
  if (!fromKernel) toggleMode(pv, vcpu);
  const { words, vcpuWords } = pv;
  const top = fromKernel ? vcpuWords[RSP]! : vcpu.kernelSp | 0;
  let hi = fromKernel ? vcpuWords[RSP + 1]! : Math.floor(vcpu.kernelSp / FOUR_GIB) | 0;
  const extra = selectors ? 4 : error === null ? 0 : 1;
  const bytes = (WORDS + extra) * 8;
  const down = (top & 15) + bytes;
  if (top >>> 0 < down) hi = (hi - 1) | 0;
  const lo = (top - down) | 0;
  const masked = eventsMasked(pv);
  const place = frameInTlb(pv, lo, hi, bytes, 1);
  // Where the TLB has the stack, the frame is written where it belongs, else first beside it.
  const frame = place < 0 ? pv.frame : words;
  let at = Math.max(place, 0);
  put(frame, at, vcpuWords[RCX]!, vcpuWords[RCX + 1]!);
  put(frame, at + 2, vcpuWords[R11]!, vcpuWords[R11 + 1]!);
  at += 4;
  if (selectors) {
    for (const n of DATA_SEGMENTS) {
      put(frame, at, state.seg(n, SEG_SELECTOR), 0);
      at += 2;
    }
  } else if (error !== null) {
    put(frame, at, error, 0);
    at += 2;
  }
  put(frame, at, vcpuWords[RIP]!, vcpuWords[RIP + 1]!);
  const cs = vcpuWords[CS_SELECTOR]!;
  put(frame, at + 2, fromKernel ? cs & ~3 : cs, masked ? 1 : 0);
  put(frame, at + 4, guestFlags(pv, readFlags(state), masked), 0);
  put(frame, at + 6, vcpuWords[RSP]!, vcpuWords[RSP + 1]!);
  put(frame, at + 8, vcpuWords[SS_SELECTOR]!, 0);
  if (place < 0 && !writeElsewhere(pv, hi * FOUR_GIB + (lo >>> 0), bytes)) return;
  enterHandler(pv, handler, lo, hi);
  if (masks) maskEvents(pv, true);
}

/** By the MMU, and so as it may. False: it may not, which is the domain's end. */
function writeElsewhere(pv: PvDomain, sp: number, bytes: number): boolean {
  if (isGuestAddress(pv, sp) && isGuestAddress(pv, sp + bytes) && writeFrame(pv, sp, bytes))
    return true;
  crashDomain(pv, `the stack for its handler, 0x${hex(sp)}, cannot be written`);
  return false;
}

function enterHandler(pv: PvDomain, handler: number, lo: number, hi: number): void {
  const { cpu, vcpuWords } = pv;
  const { state } = cpu;
  const trapped = vcpuWords[EFLAGS]!;
  if (vcpuWords[CS_SELECTOR] !== CODE)
    setSegmentTo(state, CS, CODE, 0, FLAT_LIMIT, FLAT_CODE64 | DPL3);
  if (vcpuWords[SS_SELECTOR] !== DATA)
    setSegmentTo(state, SS_REG, DATA, 0, FLAT_LIMIT, FLAT_DATA | DPL3);
  vcpuWords[RIP] = handler | 0;
  vcpuWords[RIP + 1] = Math.floor(handler / FOUR_GIB);
  vcpuWords[RSP] = lo;
  vcpuWords[RSP + 1] = hi;
  writeFlags(state, 0, CLEARED & ENTRY_FLAGS);
  vcpuWords[RF_AT] = 0;
  vcpuWords[RF_AT + 1] = 0;
  if (vcpuWords[CODE_MODE] !== 64 || trapped & AC) cpu.stateChanged();
}

function put(frame: Int32Array, at: number, lo: number, hi: number): void {
  frame[at] = lo;
  frame[at + 1] = hi;
}
