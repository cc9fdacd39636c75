// Guests whose kernel runs in ring 1: how it gets there, how events reach it, and what it may execute that ring 0 alone can.

import type { PolicyExit } from '../../cpu/border.ts';
import { GP, NMI, PF } from '../../cpu/control-bits.ts';
import { decode } from '../../cpu/decode.ts';
import { deliver, type Event, enterHandler } from '../../cpu/deliver.ts';
import { CS, LDTR, SS_REG, TR } from '../../cpu/descriptors.ts';
import {
  EXIT_VECTOR,
  type ExitPolicy,
  POLICY_INT,
  POLICY_INTERRUPTS,
  POLICY_SYSENTER,
} from '../../cpu/policy.ts';
import { ATTR_DPL_SHIFT, FIELDS, SEG_ATTR, SEG_LIMIT, SEG_SELECTOR } from '../../cpu/state.ts';
import { reloadSegments } from './calls/descriptors.ts';
import { rewriteTables } from './descriptor-rules.ts';
import { settle } from './lazy.ts';
import { kernelRing, natively, setIopl, type VmiVcpu } from './vcpu.ts';

/** Whatever goes through the guest's IDT, and the one instruction that enters ring 0 without it. */
export const RING1_POLICY: ExitPolicy = {
  exceptions: -1,
  instructions: POLICY_INT | POLICY_INTERRUPTS | POLICY_SYSENTER,
};
const MAX_BYTES = 15;
/** ESP0, SS0, ESP1 and SS1 in a 32-bit TSS (SDM 3A 7.2.1). */
const STACKS_AT = 4;
const STACKS_BYTES = 16;
const IN_LDT = 4;

/** From the first call on: RPL and DPL 1, and IOPL 1, so that IF and ports are the kernel's as in ring 0. */
export function enterRing1(vcpu: VmiVcpu): void {
  const { cx } = vcpu.platform.cpu;
  const { state } = cx;
  rewriteTables(vcpu);
  state.set(FIELDS.cpl, 1);
  moveToRing1(vcpu, CS);
  moveToRing1(vcpu, SS_REG);
  setIopl(vcpu, 0);
  reloadSegments(vcpu, 0);
  reloadSegments(vcpu, IN_LDT);
}

export function onRing1Exit(vcpu: VmiVcpu, exit: PolicyExit): void {
  switch (exit.kind) {
    case 'exception': {
      const { vector, error } = exit;
      if (vector === PF && settle(vcpu)) return; // What waited may be what was missed: once more.
      if (vector === GP && error === 0 && executePrivileged(vcpu)) return;
      return giveEvent(vcpu, { vector, error, kind: vector === NMI ? 'interrupt' : 'fault' });
    }
    case 'interrupt': {
      const vector = vcpu.platform.cpu.cx.border.acknowledgeInterrupt();
      if (vector >= 0) giveEvent(vcpu, { vector, error: null, kind: 'interrupt' });
      return;
    }
    case 'instruction':
      return exit.policy === POLICY_SYSENTER
        ? enterBySysenter(vcpu, exit.bytes)
        : interrupt(vcpu, exit.bytes);
  }
}

/** Through the guest's IDT at RIP as it stands. */
export function giveEvent(vcpu: VmiVcpu, event: Event): void {
  const { cpu, power } = vcpu.platform;
  if (onRing1Stack(vcpu, () => deliver(cpu.cx, event)) === 'ok') return;
  power.crash(`triple fault; the first exception was vector ${event.vector}`);
}

/** INT n and its kin: gates say who may, and the kernel may by all, as in ring 0. */
function interrupt(vcpu: VmiVcpu, bytes: number): void {
  const { cpu } = vcpu.platform;
  const { state } = cpu;
  const [vector, kind] = [state.arg32(0), state.arg32(1)];
  const at = state.getVa(FIELDS.rip);
  cpu.complete(bytes);
  const isKernel = state.get(FIELDS.cpl) === kernelRing(vcpu);
  const enter = () =>
    isKernel
      ? enterHandler(cpu.cx, { vector, error: null, kind: 'trap' })
      : natively(vcpu, 'int', vector, kind);
  if (onRing1Stack(vcpu, enter) === 0) return;
  state.setVa(FIELDS.rip, at);
  const fault = raised(vcpu);
  // A fault on the way of an INT n has EXT clear (SDM 3A 6.13); bit 0 of a page fault's code is another.
  const error = fault.error === null || fault.vector === PF ? fault.error : fault.error & ~1;
  giveEvent(vcpu, { ...fault, error });
}

function raised({ platform }: VmiVcpu): Event {
  const { state } = platform.cpu;
  const error = state.get(FIELDS.faultHasError) ? state.get(FIELDS.faultError) : null;
  return { vector: state.get(FIELDS.faultVector), error, kind: 'fault' };
}

/** It would enter ring 0; the selectors and the flat segments are made ring 1's. */
function enterBySysenter(vcpu: VmiVcpu, bytes: number): void {
  const { cpu } = vcpu.platform;
  const { state } = cpu;
  cpu.complete(bytes);
  natively(vcpu, 'sysenter'); // What it refuses it refuses before its exit.
  if (kernelRing(vcpu) === 0) return;
  state.set(FIELDS.cpl, 1);
  moveToRing1(vcpu, CS);
  moveToRing1(vcpu, SS_REG);
  cpu.stateChanged();
}

function moveToRing1({ platform }: VmiVcpu, n: typeof CS | typeof SS_REG): void {
  const { state } = platform.cpu;
  state.setSeg(n, SEG_SELECTOR, (state.seg(n, SEG_SELECTOR) & ~3) | 1);
  const attr = state.seg(n, SEG_ATTR) & ~(3 << ATTR_DPL_SHIFT);
  state.setSeg(n, SEG_ATTR, attr | (1 << ATTR_DPL_SHIFT));
}

/**
 * The guest's TSS has its kernel's stack as ring 0's, and Linux keeps other things where ring 1's would be. While an event is
 * delivered, ring 1's is the same.
 */
function onRing1Stack<T>(vcpu: VmiVcpu, act: () => T): T {
  const { state, mmu } = vcpu.platform.cpu;
  const at = state.segBase(TR) + STACKS_AT;
  const entersFromOutside = state.get(FIELDS.cpl) > 1 && kernelRing(vcpu) === 1;
  if (!entersFromOutside || !mmu.read(at, STACKS_BYTES, 'system')) return act();
  const words = [0, 4, 8, 12].map((n) => mmu.buf.getUint32(n, true));
  const put = ([esp0, ss0, esp1, ss1]: readonly number[]) => {
    for (const [n, word] of [esp0!, ss0!, esp1!, ss1!].entries())
      mmu.buf.setUint32(4 * n, word, true);
    return mmu.write(at, STACKS_BYTES, 'system');
  };
  const [esp0, ss0] = words;
  if (!put([esp0!, ss0!, esp0!, (ss0! & ~3) | 1])) return act();
  const done = act();
  put(words);
  return done;
}

/** The instruction at RIP, if it is one that the kernel may have in ring 0: MSRs, control registers, HLT and others. */
function executePrivileged(vcpu: VmiVcpu): boolean {
  const { cpu } = vcpu.platform;
  const { state } = cpu;
  if (state.get(FIELDS.cpl) !== 1 || !isPrivileged(vcpu)) return false;
  const before = tablesOf(vcpu);
  if (cpu.stepAt(0)) {
    if (tablesOf(vcpu) !== before) rewriteTables(vcpu);
    return true;
  }
  const fault = raised(vcpu);
  if (fault.vector >= EXIT_VECTOR) return false;
  giveEvent(vcpu, fault);
  return true;
}

function tablesOf({ platform }: VmiVcpu): string {
  const { state } = platform.cpu;
  const gdt = [state.getVa(FIELDS.gdtrBase), state.get(FIELDS.gdtrLimit)];
  return [...gdt, state.segBase(LDTR), state.seg(LDTR, SEG_LIMIT)].join();
}

function isPrivileged({ platform }: VmiVcpu): boolean {
  const { state, mmu } = platform.cpu;
  const va = (state.get(FIELDS.rip) + state.segBase(CS)) >>> 0;
  const code = new Uint8Array(MAX_BYTES);
  let bytes = 0;
  while (bytes < MAX_BYTES && mmu.read((va + bytes) >>> 0, 1, 'system'))
    code[bytes++] = mmu.buf.getUint8(0);
  const d = decode(code, 0, bytes, state.get(FIELDS.codeMode) as 16 | 32);
  return !('failure' in d) && d.insn.privileged === true;
}
