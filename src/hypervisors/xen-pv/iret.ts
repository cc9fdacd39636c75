// iret: the return from a handler of a 64-bit guest, to its kernel or to its user mode.

import {
  EFLAGS_IF,
  EFLAGS_IOPL,
  EFLAGS_IOPL_SHIFT,
  EFLAGS_RF,
  EFLAGS_VM,
  isCanonical,
} from '../../cpu/control-bits.ts';
import { CS, DPL3, FLAT_CODE64, FLAT_DATA, SS_REG, setSegmentTo } from '../../cpu/descriptors.ts';
import { writeFlags } from '../../cpu/flags.ts';
import { FIELDS, GPR_AT, SEG_SELECTOR } from '../../cpu/state.ts';
import {
  FLAT_RING3_CS64,
  FLAT_RING3_DS,
  VGCF_in_syscall,
  VMASST_TYPE_architectural_iopl,
} from './abi.ts';
import { bounce } from './bounce.ts';
import { maskEvents } from './events-mask.ts';
import { readFrame } from './frame-words.ts';
import {
  crashDomain,
  currentVcpu,
  isGuestAddress,
  type PvDomain,
  toggleMode,
} from './pv-domain.ts';
import { loadReturnSegments } from './segments.ts';

const RAX = 0;
const RCX = 1;
const RSP = 4;
const R11 = 11;
const ALL_FLAGS = 0x3f7fd5;
const FLAT_LIMIT = 0xffffffff;

/** struct iret_context (arch-x86/xen-x86_64.h): where its 64-bit words begin, in words of 32. */
const AT = { rax: 0, r11: 2, rcx: 4, flags: 6, rip: 8, cs: 10, rflags: 12, rsp: 14, ss: 16 };
const BYTES = 72;

export function iret64(pv: PvDomain): void {
  const { cpu } = pv;
  const { state } = cpu;
  const sp = state.vaAt(GPR_AT + RSP * 8);
  if (!isGuestAddress(pv, sp) || !isGuestAddress(pv, sp + BYTES) || !readFrame(pv, sp, BYTES))
    return crashDomain(pv, 'the frame of its iret cannot be read');
  const { frame } = pv;
  const flags = frame[AT.flags]!;
  const cs = frame[AT.cs]! & 0xffff;
  const ss = (frame[AT.ss]! & 0xffff) | 3;
  const rflags = frame[AT.rflags]!;
  const rip = (frame[AT.rip + 1]! | 0) * 4294967296 + frame[AT.rip]!;
  if ((flags & VGCF_in_syscall) === 0) {
    setGpr(pv, R11, AT.r11);
    setGpr(pv, RCX, AT.rcx);
  }
  setGpr(pv, RAX, AT.rax);
  setGpr(pv, RSP, AT.rsp);
  const vcpu = currentVcpu(pv);
  if ((cs & 3) === 3) {
    if (vcpu.userTable < 0) return crashDomain(pv, 'it returns to user mode without user tables');
    toggleMode(pv, vcpu);
  }
  if (pv.state.assists & (1 << VMASST_TYPE_architectural_iopl))
    vcpu.iopl = (rflags & EFLAGS_IOPL) >> EFLAGS_IOPL_SHIFT;
  // The end of a handler of NMIs, if it was one.
  state.set(FIELDS.nmiMasked, 0);
  maskEvents(pv, (rflags & EFLAGS_IF) === 0);
  const before = state.get(FIELDS.eflags);
  writeFlags(state, (rflags & ~(EFLAGS_IOPL | EFLAGS_VM | EFLAGS_RF)) | EFLAGS_IF, ALL_FLAGS);
  if (rflags & EFLAGS_RF) state.setVa(FIELDS.rfAt, cpu.retired() + 1);
  state.setVa(FIELDS.rip, rip);
  const flat = (cs | 3) === FLAT_RING3_CS64 && ss === FLAT_RING3_DS;
  if (flat && isCanonical(rip)) {
    if (state.seg(CS, SEG_SELECTOR) !== FLAT_RING3_CS64 || state.get(FIELDS.codeMode) !== 64) {
      setSegmentTo(state, CS, FLAT_RING3_CS64, 0, FLAT_LIMIT, FLAT_CODE64 | DPL3);
      setSegmentTo(state, SS_REG, FLAT_RING3_DS, 0, FLAT_LIMIT, FLAT_DATA | DPL3);
      cpu.stateChanged();
    } else if (before !== state.get(FIELDS.eflags)) cpu.stateChanged();
    return;
  }
  // The registers hold what the guest asked for; that the processor refuses it is what the failsafe callback is for.
  if (loadReturnSegments(pv, cs | 3, ss, rip)) return;
  state.setSeg(CS, SEG_SELECTOR, cs | 3);
  state.setSeg(SS_REG, SEG_SELECTOR, ss);
  bounce(pv, vcpu.failsafe, null, vcpu.failsafe.masksEvents, true);
}

function setGpr({ cpu: { state }, frame }: PvDomain, register: number, at: number): void {
  const i = (state.base + GPR_AT + register * 8) >> 2;
  state.views.u32[i] = frame[at]!;
  state.views.u32[i + 1] = frame[at + 1]!;
}
