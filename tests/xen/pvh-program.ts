// What a program for PVH guests is made of: calls by VMMCALL from 64-bit, 32-bit and 16-bit code, interrupts, code of ring 3.

import * as at from './layout.ts';
import {
  type CommonParts,
  commonParts,
  hex,
  loads,
  type Value,
  type XenProgram,
} from './program.ts';

/** What a PVH program has beside the common parts. All memory is mapped, to be written and for ring 3 too. */
export interface PvhParts extends CommonParts {
  /** The frame of a page of its own as a number, and its address for 32-bit code. */
  frame(n: number): number;
  narrowPage(n: number): number;
  /** A hypercall from 32-bit or 16-bit code in compatibility mode, with the low half of its result kept. */
  call32(number: number, ...args: readonly Value[]): string;
  call16(number: number, ...args: readonly Value[]): string;
  /** Runs code in ring 3 until it faults, as `attempt`. */
  user(code: string): string;
  /** Lets interrupts in that wait. */
  readonly open: string;
  /** Keeps how often a vector has come. */
  count(vector: number): string;
}
export type PvhProgram = XenProgram<PvhParts>;

/** Selectors of the guest's own descriptor table. */
export const SELECTORS = {
  code: 0x08,
  data: 0x10,
  code32: 0x18,
  code16: 0x20,
  userCode: 0x2b,
  userData: 0x33,
  tss: 0x38,
} as const;

const NARROW_ARGUMENTS = ['rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rbp'];

export function pvhPartsOf(index: number): PvhParts {
  const frameOf = (n: number) => at.physical(common.page(n)) / 4096;
  const common: CommonParts = commonParts(index, 'call hypercall', (n) => ({
    rax: `mov eax, ${frameOf(n)}`,
  }));
  const narrowCall =
    (way: string) =>
    (number: number, ...args: readonly Value[]) =>
      `${loads(args, NARROW_ARGUMENTS)}; mov eax, ${number}; call ${way}; ${common.keep('rax')}`;
  let labels = 0;
  return {
    ...common,
    frame: frameOf,
    narrowPage: (n) => at.narrow(common.page(n)),
    call32: narrowCall('hypercall32'),
    call16: narrowCall('hypercall16'),
    user(code) {
      const label = common.label(`user${labels++}`);
      const { userData, userCode } = SELECTORS;
      return common.attempt(
        `mov eax, ${userData}; push rax; lea rax, [rsp - 1024]; push rax; pushfq; mov eax, ${userCode}; push rax
        lea rax, [${label}]; push rax; iretq
        ${label}:
        ${code}`,
      );
    },
    open: 'sti; nop; nop; nop; cli',
    count: (vector) =>
      `mov rbx, ${hex(at.COUNTS + vector * 8)}; mov rax, [rbx]; ${common.keep('rax')}`,
  };
}
