// iret of a 32-bit guest, for what the instruction cannot do: the event mask with it, and virtual-8086 mode refused.

import {
  EFLAGS_IF,
  EFLAGS_IOPL,
  EFLAGS_IOPL_SHIFT,
  EFLAGS_NT,
  EFLAGS_RF,
  EFLAGS_TF,
  EFLAGS_VM,
  GP,
} from '../../cpu/control-bits.ts';
import { CS, dropInnerSegments, SS_REG } from '../../cpu/descriptors.ts';
import { writeFlags } from '../../cpu/flags.ts';
import { SEG_SELECTOR } from '../../cpu/state.ts';
import { TRAP_MASKS_EVENTS, VMASST_TYPE_architectural_iopl } from './abi.ts';
import { bounce } from './bounce.ts';
import { maskEvents } from './events-mask.ts';
import { crashDomain, currentVcpu, isGuestAddress, type PvDomain } from './pv-domain.ts';
import { loadReturnSegments } from './segments.ts';

const RAX = 0;
const RSP = 4;
const ALL_FLAGS = 0x3f7fd5;
/** EAX, EIP, CS, EFLAGS, and for a return to ring 2 or 3: ESP, SS (fact sheet 5.4; Xen 4.17, pv/iret.c). */
const WORDS = 4;
const OUTER_WORDS = 6;
/** And of a return to virtual-8086 mode: ES, DS, FS, GS. */
const VM86_WORDS = 10;

export function iret32(pv: PvDomain): void {
  const { state } = pv.cpu;
  const vcpu = currentVcpu(pv);
  const sp = state.gpr32(RSP);
  const frame = readWords(pv, sp, WORDS);
  if (!frame) return crashDomain(pv, 'the frame of its iret cannot be read');
  const [eax, eip, csWord, eflags] = frame as [number, number, number, number];
  const cs = csWord & 0xffff;
  state.setGpr32(RAX, eax);
  if (pv.state.assists & (1 << VMASST_TYPE_architectural_iopl))
    vcpu.iopl = (eflags & EFLAGS_IOPL) >> EFLAGS_IOPL_SHIFT;
  if (eflags & EFLAGS_VM) return refuseVm86(pv, sp, eflags);
  if ((cs & 3) === 0) return crashDomain(pv, 'its iret is to ring 0');
  let ss = state.seg(SS_REG, SEG_SELECTOR);
  let esp = (sp + WORDS * 4) >>> 0;
  if ((cs & 3) !== 1) {
    const all = readWords(pv, sp, OUTER_WORDS);
    if (!all) return crashDomain(pv, 'the frame of its iret cannot be read');
    esp = all[4]!;
    ss = all[5]! & 0xffff;
  }
  setFlags(pv, eflags);
  // The end of a handler of NMIs, if it was one.
  state.set('nmiMasked', 0);
  maskEvents(pv, (eflags & EFLAGS_IF) === 0);
  state.setVa('rip', eip);
  state.setGpr32(RSP, esp);
  if (loadReturnSegments(pv, cs, ss, eip)) return dropInnerSegments(state);
  // The registers hold what the guest asked for; that the processor refuses it is what the failsafe callback is for.
  state.setSeg(CS, SEG_SELECTOR, cs);
  state.setSeg(SS_REG, SEG_SELECTOR, ss);
  bounce(pv, vcpu.failsafe, null, vcpu.failsafe.masksEvents, true);
}

function setFlags({ cpu }: PvDomain, eflags: number): void {
  writeFlags(cpu.state, (eflags & ~(EFLAGS_IOPL | EFLAGS_VM | EFLAGS_RF)) | EFLAGS_IF, ALL_FLAGS);
  if (eflags & EFLAGS_RF) cpu.state.setVa('rfAt', cpu.retired() + 1);
}

/** A processor in long mode has no such mode: #GP, as if the first instruction there had raised it. */
function refuseVm86(pv: PvDomain, sp: number, eflags: number): void {
  const { state } = pv.cpu;
  const vcpu = currentVcpu(pv);
  const words = readWords(pv, sp, VM86_WORDS);
  const to = (vcpu.kernelSp - VM86_WORDS * 4) >>> 0;
  if (!words || !writeWords(pv, to, [0, ...words.slice(1)]))
    return crashDomain(pv, 'the frame of its iret to virtual-8086 mode cannot be moved');
  const masks = (vcpu.trapFlags[GP]! & TRAP_MASKS_EVENTS) !== 0;
  setFlags(pv, eflags & ~(EFLAGS_RF | EFLAGS_NT | EFLAGS_TF));
  maskEvents(pv, masks || (eflags & EFLAGS_IF) === 0);
  state.setVa('rip', vcpu.trapAddress[GP]!);
  state.setGpr32(RSP, to);
  if (!loadReturnSegments(pv, vcpu.trapCs[GP]!, vcpu.kernelSs, vcpu.trapAddress[GP]!))
    crashDomain(pv, 'its handler of #GP cannot be entered');
}

function readWords(pv: PvDomain, at: number, count: number): number[] | null {
  const { mmu } = pv.cpu;
  const bytes = count * 4;
  const ours = isGuestAddress(pv, at) && isGuestAddress(pv, at + bytes - 1);
  if (!ours || !mmu.read(at, bytes, 'system')) return null;
  return Array.from({ length: count }, (_, n) => mmu.buf.getUint32(n * 4, true));
}

function writeWords(pv: PvDomain, at: number, words: readonly number[]): boolean {
  const { mmu } = pv.cpu;
  const bytes = words.length * 4;
  if (!isGuestAddress(pv, at) || !isGuestAddress(pv, at + bytes - 1)) return false;
  words.forEach((word, n) => {
    mmu.buf.setUint32(n * 4, word, true);
  });
  return mmu.write(at, bytes, 'system');
}
