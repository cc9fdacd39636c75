// The interrupt flag, halting, and the machine's end.

import { EFLAGS_IF } from '../../../cpu/control-bits.ts';
import { FIELDS } from '../../../cpu/state.ts';
import { answer, natively, setIopl, type VmiVcpu } from '../vcpu.ts';
import { defineCall } from './define.ts';

/** Patched over whole sites of assembler: nothing but flags may change. */
const FLAGS_ONLY = 'flags';

export const enableInterrupts = defineCall({
  number: 29,
  name: 'EnableInterrupts',
  loses: FLAGS_ONLY,
  handle: (vcpu) => setMask(vcpu, EFLAGS_IF),
});

export const disableInterrupts = defineCall({
  number: 30,
  name: 'DisableInterrupts',
  loses: FLAGS_ONLY,
  handle: (vcpu) => setMask(vcpu, 0),
});

export const getInterruptMask = defineCall({
  number: 31,
  name: 'GetInterruptMask',
  gives: 'eax',
  loses: FLAGS_ONLY,
  handle: (vcpu) => answer(vcpu, vcpu.platform.cpu.state.get(FIELDS.eflags) & EFLAGS_IF),
});

export const setInterruptMask = defineCall({
  number: 32,
  name: 'SetInterruptMask',
  takes: { mask: 'eax' },
  loses: FLAGS_ONLY,
  handle: (vcpu, { eax }) => setMask(vcpu, eax & EFLAGS_IF),
});

/** What is pending ends it at once: the call returns when it has been handled. */
export const halt = defineCall({
  number: 35,
  name: 'Halt',
  settles: true,
  handle(vcpu) {
    const { cx } = vcpu.platform.cpu;
    // No shadow as behind STI: the halt is the instruction that it would cover.
    cx.state.set(FIELDS.eflags, cx.state.get(FIELDS.eflags) | EFLAGS_IF);
    cx.checkInterrupts();
    return natively(vcpu, 'hlt');
  },
});

/** A soft reboot is an INIT, which for the only processor is a reset of the machine. */
export const reboot = defineCall({
  number: 36,
  name: 'Reboot',
  takes: { how: 'eax' },
  handle({ platform }, { eax }) {
    platform.power.reset(eax === 0 ? 'VMI_Reboot, soft' : 'VMI_Reboot, hard');
    return 0;
  },
});

export const shutdown = defineCall({
  number: 37,
  name: 'Shutdown',
  handle({ platform }) {
    platform.power.off('VMI_Shutdown');
    return 0;
  },
});

export const setIoplMask = defineCall({
  number: 61,
  name: 'SetIOPLMask',
  takes: { mask: 'eax' },
  handle: (vcpu, { eax }) => setIopl(vcpu, eax),
});

function setMask(vcpu: VmiVcpu, mask: number): 0 {
  const { cx } = vcpu.platform.cpu;
  const { state } = cx;
  if (mask !== 0) return natively(vcpu, 'sti') as 0; // At the guest's ring it cannot fault.
  state.set(FIELDS.eflags, state.get(FIELDS.eflags) & ~EFLAGS_IF);
  return 0;
}
