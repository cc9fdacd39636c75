// iret: the return from a handler of a 64-bit guest, to its kernel or to its user mode.

import {
  EFLAGS_IF,
  EFLAGS_IOPL,
  EFLAGS_IOPL_SHIFT,
  EFLAGS_RF,
  EFLAGS_VM,
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
import { frameInTlb, readFrame } from './frame-words.ts';
import {
  crashDomain,
  currentVcpu,
  isGuestAddress,
  type PvDomain,
  toggleMode,
} from './pv-domain.ts';
import { setReturnRegisters } from './return-registers.ts';
import { loadReturnSegments } from './segments.ts';

const FOUR_GIB = 4294967296;
/** Words of the vCPU's state, as in bounce.ts. */
const RAX = GPR_AT >> 2;
const RCX = (GPR_AT >> 2) + 2 * 1;
const RSP = (GPR_AT >> 2) + 2 * 4;
const R11 = (GPR_AT >> 2) + 2 * 11;
const RIP = FIELDS.rip.at >> 2;
const EFLAGS = FIELDS.eflags.at >> 2;
const NMI_MASKED = FIELDS.nmiMasked.at >> 2;
const CODE_MODE = FIELDS.codeMode.at >> 2;
const CS_SELECTOR = FIELDS.csSelector.at >> 2;
const ALL_FLAGS = 0x3f7fd5;
/** What the guest says of these is not what it gets. */
const KEPT_FLAGS = ~(EFLAGS_IOPL | EFLAGS_VM | EFLAGS_RF);
const IF = EFLAGS_IF;
const RF = EFLAGS_RF;
const IN_SYSCALL = VGCF_in_syscall;
const CODE = FLAT_RING3_CS64;
const DATA = FLAT_RING3_DS;
const TELLS_IOPL = 1 << VMASST_TYPE_architectural_iopl;
const FLAT_LIMIT = 0xffffffff;

/** struct iret_context (arch-x86/xen-x86_64.h): where its 64-bit words begin, in words of 32. */
const AT = { rax: 0, r11: 2, rcx: 4, flags: 6, rip: 8, cs: 10, rflags: 12, rsp: 14, ss: 16 };
const BYTES = 72;

/** `syscall`: RCX and R11 are still as they were before the instruction. */
export function iret64(pv: PvDomain, syscall: boolean): void {
  const { cpu, words, vcpuWords } = pv;
  const { state } = cpu;
  const place = frameInTlb(pv, vcpuWords[RSP]!, vcpuWords[RSP + 1]!, BYTES, 0);
  const frame = place < 0 ? pv.frame : words;
  const at = Math.max(place, 0);
  // The frame has both as a rule.
  if (syscall && (place < 0 || frame[at + AT.flags]! & IN_SYSCALL)) setReturnRegisters(pv);
  if (place < 0 && !readElsewhere(pv)) return;
  // All of it before anything is written: the guest may have its vcpu_info anywhere.
  const cs = frame[at + AT.cs]! & 0xffff;
  const ss = (frame[at + AT.ss]! & 0xffff) | 3;
  const rflags = frame[at + AT.rflags]!;
  const ripLow = frame[at + AT.rip]!;
  const ripHigh = frame[at + AT.rip + 1]!;
  if ((frame[at + AT.flags]! & IN_SYSCALL) === 0) {
    copy(vcpuWords, R11, frame, at + AT.r11);
    copy(vcpuWords, RCX, frame, at + AT.rcx);
  }
  copy(vcpuWords, RAX, frame, at + AT.rax);
  copy(vcpuWords, RSP, frame, at + AT.rsp);
  const vcpu = currentVcpu(pv);
  if ((cs & 3) === 3) {
    if (vcpu.userTable < 0) return crashDomain(pv, 'it returns to user mode without user tables');
    toggleMode(pv, vcpu);
  }
  if (pv.state.assists & TELLS_IOPL) vcpu.iopl = (rflags & EFLAGS_IOPL) >> EFLAGS_IOPL_SHIFT;
  // The end of a handler of NMIs, if it was one.
  vcpuWords[NMI_MASKED] = 0;
  maskEvents(pv, (rflags & IF) === 0);
  const before = vcpuWords[EFLAGS]!;
  writeFlags(state, (rflags & KEPT_FLAGS) | IF, ALL_FLAGS);
  if (rflags & RF) state.setVa(FIELDS.rfAt, cpu.retired() + 1);
  vcpuWords[RIP] = ripLow;
  vcpuWords[RIP + 1] = ripHigh;
  const flat = (cs | 3) === CODE && ss === DATA;
  if (flat && isCanonicalHigh(ripHigh)) {
    if (vcpuWords[CS_SELECTOR] !== CODE || vcpuWords[CODE_MODE] !== 64) {
      setSegmentTo(state, CS, CODE, 0, FLAT_LIMIT, FLAT_CODE64 | DPL3);
      setSegmentTo(state, SS_REG, DATA, 0, FLAT_LIMIT, FLAT_DATA | DPL3);
      cpu.stateChanged();
    } else if (before !== vcpuWords[EFLAGS]) cpu.stateChanged();
    return;
  }
  // The registers hold what the guest asked for; that the processor refuses it is what the failsafe callback is for.
  if (loadReturnSegments(pv, cs | 3, ss, ripHigh * FOUR_GIB + (ripLow >>> 0))) return;
  state.setSeg(CS, SEG_SELECTOR, cs | 3);
  state.setSeg(SS_REG, SEG_SELECTOR, ss);
  bounce(pv, vcpu.failsafe, null, vcpu.failsafe.masksEvents, true);
}

/** By the MMU, into `PvDomain.frame`. False: it cannot be read, which is the domain's end. */
function readElsewhere(pv: PvDomain): boolean {
  const sp = pv.cpu.state.vaAt(RSP * 4);
  if (isGuestAddress(pv, sp) && isGuestAddress(pv, sp + BYTES) && readFrame(pv, sp, BYTES))
    return true;
  crashDomain(pv, 'the frame of its iret cannot be read');
  return false;
}

/** Bits 47 to 63 are alike. SDM 1 3.3.7.1. */
const isCanonicalHigh = (hi: number): boolean => hi >> 15 === hi >> 31;

function copy(to: Int32Array, at: number, from: Int32Array, source: number): void {
  to[at] = from[source]!;
  to[at + 1] = from[source + 1]!;
}
