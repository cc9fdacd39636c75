// Operations of leaving the kernel and of changing tasks: reached by a jump, or before and after a switch.

import { defineOp } from '../define.ts';

const IN_2632 = { from: '2.6.32', to: '2.6.32' } as const;
const ALTERNATIVE = 'instructions chosen at boot (ALTERNATIVE)';

export const irqEnableSysexit = defineOp({
  id: 'cpu.irq_enable_sysexit',
  class: 'hardware',
  does: 'Switches interrupts on and returns to 32-bit user code, as one step.',
  native: { by: 'instruction', what: 'STI; SYSEXIT', ref: 'SDM 2B SYSEXIT' },
  linux: { from: '2.6.21', to: '2.6.32' },
  replacedBy: ALTERNATIVE,
});

export const usergsSysret64 = defineOp({
  id: 'cpu.usergs_sysret64',
  class: 'hardware',
  does: "Restores the user's GS and returns to 64-bit user code.",
  native: { by: 'instruction', what: 'SWAPGS; SYSRET', ref: 'SDM 2B SYSRET' },
  linux: IN_2632,
  replacedBy: ALTERNATIVE,
});

export const usergsSysret32 = defineOp({
  id: 'cpu.usergs_sysret32',
  class: 'hardware',
  does: "Restores the user's GS and returns to 32-bit user code.",
  native: { by: 'instruction', what: 'SWAPGS; SYSRET', ref: 'SDM 2B SYSRET' },
  linux: IN_2632,
  replacedBy: ALTERNATIVE,
});

export const iret = defineOp({
  id: 'cpu.iret',
  class: 'hardware',
  does: 'Returns from a trap by the frame on the stack.',
  native: { by: 'instruction', what: 'IRET', ref: 'SDM 2A IRET' },
  linux: { from: '2.6.21', to: '2.6.32' },
  replacedBy: ALTERNATIVE,
});

export const swapgs = defineOp({
  id: 'cpu.swapgs',
  class: 'hardware',
  does: "Exchanges the kernel's and the user's GS base.",
  native: { by: 'instruction', what: 'SWAPGS', ref: 'SDM 2B SWAPGS' },
  linux: IN_2632,
  replacedBy: ALTERNATIVE,
});

export const startContextSwitch = defineOp({
  id: 'cpu.start_context_switch',
  class: 'corner case',
  does: "Begins a switch of tasks: the CPU's operations may be batched from here.",
  params: { previous: 'task' },
  native: { by: 'nothing', what: 'no-op' },
  linux: { from: '2.6.32', to: '6.1' },
});

export const endContextSwitch = defineOp({
  id: 'cpu.end_context_switch',
  class: 'corner case',
  does: 'Ends a switch of tasks: what was batched is done now.',
  params: { next: 'task' },
  native: { by: 'nothing', what: 'no-op' },
  linux: { from: '2.6.32', to: '6.1' },
});
