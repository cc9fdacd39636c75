// Operations on the interrupt flag, and idling. EFLAGS.IF (0x200) is the only bit of a flag word that means anything.

import { defineOp } from '../define.ts';

export const saveFl = defineOp({
  id: 'irq.save_fl',
  class: 'hardware',
  does: 'Reads the interrupt flag.',
  returns: 'flags',
  native: { by: 'instruction', what: 'PUSHF; POP', ref: 'SDM 2B PUSHF' },
  linux: { from: '2.6.21', to: '6.1' },
});

export const restoreFl = defineOp({
  id: 'irq.restore_fl',
  class: 'hardware',
  does: 'Sets the interrupt flag to a saved state.',
  params: { flags: 'flags' },
  native: { by: 'instruction', what: 'PUSH; POPF', ref: 'SDM 2B POPF' },
  linux: { from: '2.6.21', to: '2.6.32' },
  replacedBy: 'a test of IF and irq.irq_enable',
});

export const irqDisable = defineOp({
  id: 'irq.irq_disable',
  class: 'hardware',
  does: 'Switches interrupts off.',
  native: { by: 'instruction', what: 'CLI', ref: 'SDM 2A CLI' },
  linux: { from: '2.6.21', to: '6.1' },
});

export const irqEnable = defineOp({
  id: 'irq.irq_enable',
  class: 'hardware',
  does: 'Switches interrupts on; one that is pending is taken now.',
  native: { by: 'instruction', what: 'STI', ref: 'SDM 2B STI' },
  linux: { from: '2.6.21', to: '6.1' },
});

export const safeHalt = defineOp({
  id: 'irq.safe_halt',
  class: 'hardware',
  does: 'Idles: switches interrupts on and waits for one, as one step.',
  native: { by: 'instruction', what: 'STI; HLT', ref: 'SDM 2A HLT' },
  linux: { from: '2.6.21', to: '6.1' },
});

export const halt = defineOp({
  id: 'irq.halt',
  class: 'hardware',
  does: 'Stops the CPU with the interrupt flag as it is.',
  native: { by: 'instruction', what: 'HLT', ref: 'SDM 2A HLT' },
  linux: { from: '2.6.21', to: '6.1' },
});

export const adjustExceptionFrame = defineOp({
  id: 'irq.adjust_exception_frame',
  class: 'corner case',
  does: 'At the entry of an exception, undoes what a hypervisor put on the frame.',
  native: { by: 'nothing', what: 'no-op' },
  linux: { from: '2.6.32', to: '2.6.32', needs: 'x86-64' },
});
