// The ways out of the kernel: the stack for the way in, IRET and SYSEXIT.

import { EFLAGS_IF, PF } from '../../../cpu/control-bits.ts';
import { deliver } from '../../../cpu/deliver.ts';
import { FIELDS } from '../../../cpu/state.ts';
import { settle } from '../lazy.ts';
import { natively, RSP, stackWord, type VmiVcpu } from '../vcpu.ts';
import { defineCall } from './define.ts';

/** CALL rel32, which the guest has put at its site. */
const CALL_BYTES = 5;

/** The stack is in the guest's TSS, which the processor reads itself; 2.6.32 gives a selector where the TSS should be. */
export const updateKernelStack = defineCall({
  number: 14,
  name: 'UpdateKernelStack',
  takes: { tss: 'eax', esp0: 'edx' },
  handle: () => 0,
});

/** Executed as if it stood at the guest's site: a fault is the site's, with its stack, which the kernel's exception table knows. */
export const iret = defineCall({
  number: 33,
  name: 'IRET',
  gives: 'nothing: it does not return',
  loses: 'nothing',
  handle(vcpu) {
    const { state } = vcpu.platform.cpu;
    const back = stackWord(vcpu, 0);
    if (back === null) return 1;
    state.setGpr32(RSP, (state.gpr32(RSP) + 4) >>> 0);
    state.setVa(FIELDS.rip, (back - CALL_BYTES) >>> 0);
    if (natively(vcpu, 'iret') === 0) return 0;
    // A frame on a page whose entry waits in the queue is no fault.
    const again = state.get(FIELDS.faultVector) === PF && settle(vcpu);
    if (again && natively(vcpu, 'iret') === 0) return 0;
    const error = state.get(FIELDS.faultHasError) ? state.get(FIELDS.faultError) : null;
    faultHere(vcpu, state.get(FIELDS.faultVector), error);
    return 0;
  },
});

/** `sti; sysexit`, with nothing in between. */
export const sysexit = defineCall({
  number: 34,
  name: 'SYSEXIT',
  takes: { eip: 'edx', esp: 'ecx' },
  gives: 'nothing: it does not return',
  loses: 'nothing',
  handle(vcpu) {
    const { state } = vcpu.platform.cpu;
    const before = state.get(FIELDS.eflags);
    state.set(FIELDS.eflags, before | EFLAGS_IF);
    if (natively(vcpu, 'sysexit') === 0) return 0;
    state.set(FIELDS.eflags, before);
    return 1;
  },
});

/** Delivers the fault at RIP as it stands; the address of a page fault is in the state. */
export function faultHere({ platform }: VmiVcpu, vector: number, error: number | null): void {
  const { cpu, power } = platform;
  if (deliver(cpu.cx, { vector, error, kind: 'fault' }) === 'ok') return;
  power.crash(`triple fault; the first exception was vector ${vector}`);
}
