// The exit policy: which instructions and exceptions leave the CPU instead of doing what the guest's tables say.

import { FIELDS, type State } from './state.ts';

/** Instructions that exit, as bits of the state's `policy`. The names are those of VT-x's controls, SDM 3C 25.6. */
export const POLICY_HLT = 1 << 0;
export const POLICY_CPUID = 1 << 1;
export const POLICY_RDMSR = 1 << 2;
export const POLICY_WRMSR = 1 << 3;
export const POLICY_IO = 1 << 4;
/** INT n, INT3, INTO and ICEBP alike. */
export const POLICY_INT = 1 << 5;
export const POLICY_SYSCALL = 1 << 6;
export const POLICY_SYSENTER = 1 << 7;
export const POLICY_IRET = 1 << 8;
export const POLICY_INVLPG = 1 << 9;
export const POLICY_CR_READ = 1 << 10;
export const POLICY_CR_WRITE = 1 << 11;
export const POLICY_DR = 1 << 12;
export const POLICY_DESCRIPTORS = 1 << 13;
export const POLICY_RDTSC = 1 << 14;
export const POLICY_PAUSE = 1 << 15;
export const POLICY_WBINVD = 1 << 16;
/** External interrupts that the CPU would accept exit instead of going through the IDT. */
export const POLICY_INTERRUPTS = 1 << 17;

/** Plain data: an interface owns the value, the CPU keeps a copy in each vCPU's state. */
export interface ExitPolicy {
  /** Bit n: exception vector n exits before anything of it is delivered. */
  readonly exceptions: number;
  /** POLICY_* bits. */
  readonly instructions: number;
}

/** Nothing exits but what the border answers in place. */
export const NO_EXITS: ExitPolicy = { exceptions: 0, instructions: 0 };

export function setPolicy(state: State, policy: ExitPolicy): void {
  state.set(FIELDS.policyExceptions, policy.exceptions);
  state.set(FIELDS.policy, policy.instructions);
}

export function policyOf(state: State): ExitPolicy {
  return { exceptions: state.get(FIELDS.policyExceptions), instructions: state.get(FIELDS.policy) };
}

export function exceptionExits(state: State, vector: number): boolean {
  return vector < 32 && ((state.word(FIELDS.policyExceptions) >>> vector) & 1) !== 0;
}

/**
 * An instruction that exits raises this "vector" plus the number of its POLICY_* bit, and leaves no other trace: no real
 * vector is above 255, so whoever delivers faults sees at once that this one is not for the guest.
 */
export const EXIT_VECTOR = 256;

/** True (and the exit is raised) when the policy wants the running instruction. */
export function exits(state: State, bit: number): boolean {
  if ((state.word(FIELDS.policy) & bit) === 0) return false;
  state.raise(EXIT_VECTOR + 31 - Math.clz32(bit), null);
  return true;
}

/** The POLICY_* bit behind a raised vector; 0 for a real exception. */
export function exitBit(faultVector: number): number {
  return faultVector < EXIT_VECTOR ? 0 : 1 << (faultVector - EXIT_VECTOR);
}
