// One vCPU under VMI: what its guest has told us, what waits in its lazy queue, and how calls reach registers and memory.

import { EFLAGS_IOPL, EFLAGS_IOPL_SHIFT } from '../../cpu/control-bits.ts';
import { slowPath } from '../../cpu/slow/registry.ts';
import { FIELDS, RET_AT } from '../../cpu/state.ts';
import type { Platform } from '../define.ts';
import { VMI_LINEAR_MAP_SLOTS } from './abi.ts';
import type { AlarmState, Alarms } from './alarms.ts';
import type { Words } from './calls/define.ts';

export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RSP = 4;
export const RSI = 6;
export const RDI = 7;

/** A store that a lazy mode holds back, or a load of CR3. */
export interface Waiting {
  readonly kind: 'store' | 'cr3';
  /** Of the store: guest-physical, 4 or 8 bytes. */
  readonly at: number;
  readonly bytes: number;
  readonly lo: number;
  readonly hi: number;
}

export interface VmiState {
  initialised: boolean;
  /** VMI_LAZY_* bits. */
  lazy: number;
  waiting: Waiting[];
  alarms: AlarmState[];
  /** By slot: first address, pages, first frame. */
  linearMaps: number[][];
}

export const freshVmiState = (alarms: AlarmState[]): VmiState => ({
  initialised: false,
  lazy: 0,
  waiting: [],
  alarms,
  linearMaps: Array.from({ length: VMI_LINEAR_MAP_SLOTS }, () => [0, 0, 0]),
});

export interface VmiVcpu {
  readonly platform: Platform;
  /** Where its kernel runs once it has called Init. */
  readonly ring: 0 | 1;
  readonly state: VmiState;
  readonly alarms: Alarms;
  /** All of linear memory, and of that the vCPU's own words. */
  readonly allWords: Int32Array;
  readonly vcpuWords: Int32Array;
  /** Of the call under way. */
  readonly words: MutableWords;
  /** What a device or an MSR answers, in halves. */
  readonly out: Uint32Array;
}

export type MutableWords = { -readonly [Name in keyof Words]: Words[Name] };

export const noWords = (): MutableWords => ({ eax: 0, edx: 0, ecx: 0, stack1: 0, stack2: 0 });

/** The words of the stack at the call: 0 is the return address. Null: the stack faults. */
export function stackWord({ platform }: VmiVcpu, n: number): number | null {
  const { state, mmu } = platform.cpu;
  const at = (state.gpr32(RSP) + 4 * n) >>> 0;
  return mmu.read(at, 4, 'current') ? mmu.buf.getUint32(0, true) : null;
}

/**
 * What an instruction means, by its slow path, with its arguments in order; whatever the exit policy wants of the guest's own.
 * 1: a fault is raised.
 */
export function natively({ platform }: VmiVcpu, name: string, ...args: readonly number[]): 0 | 1 {
  const { cx } = platform.cpu;
  const { state } = cx;
  args.forEach((value, n) => {
    state.argSet64(n, BigInt(value >>> 0));
  });
  const policy = state.get(FIELDS.policy);
  state.set(FIELDS.policy, 0);
  const done = slowPath(name).run(cx);
  state.set(FIELDS.policy, policy);
  return done;
}

/** What the slow path has answered. */
export function result32({ platform }: VmiVcpu): number {
  const { state } = platform.cpu;
  return state.views.u32[(state.base + RET_AT) >> 2]!;
}

/** EDX:EAX. */
export function answer64({ platform }: VmiVcpu, value: bigint): 0 {
  const { state } = platform.cpu;
  state.setGpr32(RAX, Number(value & 0xffff_ffffn));
  state.setGpr32(RDX, Number((value >> 32n) & 0xffff_ffffn));
  return 0;
}

export function answer({ platform }: VmiVcpu, value: number): 0 {
  platform.cpu.state.setGpr32(RAX, value >>> 0);
  return 0;
}

export const kernelRing = ({ ring, state }: VmiVcpu): 0 | 1 => (state.initialised ? ring : 0);

/** A kernel in ring 1 needs that much itself, whatever its task is given. */
export function setIopl(vcpu: VmiVcpu, mask: number): 0 {
  const { state } = vcpu.platform.cpu;
  const iopl = Math.max(mask & EFLAGS_IOPL, kernelRing(vcpu) << EFLAGS_IOPL_SHIFT);
  state.set(FIELDS.eflags, (state.get(FIELDS.eflags) & ~EFLAGS_IOPL) | iopl);
  return 0;
}
