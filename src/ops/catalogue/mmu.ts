// Operations on the translation registers and the TLB, and the lazy mode in which all of this may be batched.

import { defineOp } from '../define.ts';

const ALWAYS = { from: '2.6.21', to: '6.1' } as const;
const PLAIN = { ...ALWAYS, withoutXxl: true } as const;
const MOV_CR = 'SDM 2B MOV to/from control registers';

export const readCr2 = defineOp({
  id: 'mmu.read_cr2',
  class: 'hardware',
  does: 'Reads the address of the last page fault.',
  returns: 'gva',
  native: { by: 'instruction', what: 'MOV from CR2', ref: MOV_CR },
  linux: ALWAYS,
});

export const writeCr2 = defineOp({
  id: 'mmu.write_cr2',
  class: 'hardware',
  does: 'Writes it, after a suspend.',
  params: { address: 'gva' },
  native: { by: 'instruction', what: 'MOV to CR2', ref: MOV_CR },
  linux: ALWAYS,
});

export const readCr3 = defineOp({
  id: 'mmu.read_cr3',
  class: 'hardware',
  does: 'Reads which top-level table is in use.',
  returns: 'gpa',
  native: { by: 'instruction', what: 'MOV from CR3', ref: MOV_CR },
  linux: ALWAYS,
});

export const writeCr3 = defineOp({
  id: 'mmu.write_cr3',
  class: 'hardware',
  does: 'Switches to another top-level table and drops non-global translations.',
  params: { root: 'gpa' },
  native: { by: 'instruction', what: 'MOV to CR3', ref: 'SDM 3A 4.10.4.1' },
  lazy: 'cpu',
  linux: ALWAYS,
});

export const flushTlbUser = defineOp({
  id: 'mmu.flush_tlb_user',
  class: 'page tables',
  does: "Drops this CPU's non-global translations.",
  native: { by: 'instruction', what: 'MOV to CR3 of what it holds', ref: 'SDM 3A 4.10.4.1' },
  lazy: 'mmu',
  linux: PLAIN,
});

export const flushTlbKernel = defineOp({
  id: 'mmu.flush_tlb_kernel',
  class: 'page tables',
  does: "Drops all of this CPU's translations, global ones too.",
  native: { by: 'instruction', what: 'MOV to CR4 without PGE, and back', ref: 'SDM 3A 4.10.4.1' },
  lazy: 'mmu',
  linux: PLAIN,
});

export const flushTlbSingle = defineOp({
  id: 'mmu.flush_tlb_single',
  class: 'page tables',
  does: "Drops this CPU's translation of one page.",
  params: { address: 'gva' },
  native: { by: 'instruction', what: 'INVLPG', ref: 'SDM 2A INVLPG' },
  lazy: 'mmu',
  linux: { ...PLAIN, names: { '6.1': 'flush_tlb_one_user' } },
});

export const flushTlbOthers = defineOp({
  id: 'mmu.flush_tlb_others',
  class: 'page tables',
  does: "Drops other CPUs' translations of a page or of all, and waits for them.",
  params: { cpus: 'cpus', mm: 'mm', range: 'range' },
  native: { by: 'device', what: 'an IPI to each, and a wait', ref: 'SDM 3A 4.10.5' },
  lazy: 'mmu',
  linux: { from: '2.6.22', to: '6.1', names: { '6.1': 'flush_tlb_multi' }, withoutXxl: true },
});

export const setLazyMode = defineOp({
  id: 'mmu.set_lazy_mode',
  class: 'page tables',
  does: 'Begins or ends batching, of page tables or of the CPU.',
  params: { mode: 'mode' },
  native: { by: 'nothing', what: 'no-op' },
  linux: { from: '2.6.21', to: '2.6.22' },
  replacedBy: 'mmu.lazy_mode.enter and leave, cpu.start_context_switch and end_context_switch',
});

export const lazyModeEnter = defineOp({
  id: 'mmu.lazy_mode.enter',
  class: 'page tables',
  does: 'Begins a batch of changes to page tables: none of them need show before its end.',
  native: { by: 'nothing', what: 'no-op' },
  linux: { from: '2.6.32', to: '6.1' },
});

export const lazyModeLeave = defineOp({
  id: 'mmu.lazy_mode.leave',
  class: 'page tables',
  does: 'Ends a batch of changes to page tables: all of them show now.',
  native: { by: 'nothing', what: 'no-op' },
  linux: { from: '2.6.32', to: '6.1' },
});

export const lazyModeFlush = defineOp({
  id: 'mmu.lazy_mode.flush',
  class: 'page tables',
  does: 'Makes what was batched so far show, and goes on batching.',
  native: { by: 'nothing', what: 'no-op' },
  linux: { from: '6.1', to: '6.1' },
});
