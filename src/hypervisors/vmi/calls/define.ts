// The shape of a VMI call: what it takes and gives, where the convention has it, and what it does.

import type { OperationId } from '../../../ops/index.ts';
import type { VmiVcpu } from '../vcpu.ts';

/** Where an argument is: a register, or a word of the stack above the return address (regparm(3), vmi.md 4.3). */
export type Place = 'eax' | 'edx' | 'ecx' | 'edi' | 'esi' | 'stack1' | 'stack2';

/** The words of a call, for the time of the call; those that it does not take mean nothing. */
export interface Words {
  readonly eax: number;
  readonly edx: number;
  readonly ecx: number;
  readonly stack1: number;
  readonly stack2: number;
}

export interface VmiCall {
  readonly number: number;
  /** As in VMI_CALL_*, without it. */
  readonly name: string;
  /** Its arguments, by name. */
  readonly takes?: Readonly<Record<string, Place>>;
  readonly gives?:
    | 'eax'
    | 'edx:eax'
    | 'eax, ebx, ecx, edx'
    | 'al'
    | 'ax'
    | 'nothing: it does not return';
  /** What it loses beside what it gives; the C convention's EAX, EDX, ECX and flags if not said. */
  readonly loses?: string;
  /**
   * What it does. 0: done. 1: it has raised a fault, for the trap in the ROM. `undefined call`s are #UD. RIP stands behind the
   * trap, at the stub's return.
   */
  handle(vcpu: VmiVcpu, words: Words): 0 | 1;
  /** What waits in a lazy queue has to show before it. */
  readonly settles?: true;
  /** Arguments decide which operation it is. */
  operation?(words: Words): OperationId | undefined;
}

export function defineCall(call: VmiCall): VmiCall {
  return call;
}
