// Operations of set-up: what the structure held for the start of the kernel, and the patching of its own call sites.

import { defineOp } from '../define.ts';

export const patch = defineOp({
  id: 'init.patch',
  class: 'corner case',
  does: 'Rewrites one call site of an operation, in place, to what the back end wants there.',
  params: { type: 'index', clobbers: 'flags', buffer: 'gva', site: 'gva', length: 'bytes' },
  returns: 'bytes',
  native: { by: 'memory', what: 'the instruction itself, or a direct call' },
  linux: { from: '2.6.21', to: '2.6.32' },
  replacedBy: 'paravirt_patch, one function for all back ends',
});

export const archSetup = defineOp({
  id: 'init.arch_setup',
  class: 'set-up',
  does: 'Sets up what a machine of this kind needs, early in setup_arch.',
  native: { by: 'code', what: 'the sub-architecture, if any' },
  linux: { from: '2.6.21', to: '2.6.22' },
  hooks: { '2.6.32': 'x86_init.oem.arch_setup', '6.1': 'x86_init.oem.arch_setup' },
});

export const memorySetup = defineOp({
  id: 'init.memory_setup',
  class: 'set-up',
  does: 'Gives the memory map, and the name of whoever told it.',
  returns: 'text',
  native: {
    by: 'memory',
    what: "the boot protocol's e820 map",
    ref: 'Documentation/arch/x86/zero-page.rst',
  },
  linux: { from: '2.6.21', to: '2.6.22' },
  hooks: { '2.6.32': 'x86_init.resources.memory_setup', '6.1': 'x86_init.resources.memory_setup' },
});

export const initIrq = defineOp({
  id: 'init.init_IRQ',
  class: 'set-up',
  does: 'Sets up interrupt controllers and vectors.',
  native: { by: 'port', what: 'the 8259 pair, gates for every vector', ref: '8259A datasheet' },
  linux: { from: '2.6.21', to: '2.6.22' },
  hooks: { '2.6.32': 'x86_init.irqs.intr_init', '6.1': 'x86_init.irqs.intr_init' },
});

export const banner = defineOp({
  id: 'init.banner',
  class: 'set-up',
  does: 'Prints what the kernel runs on.',
  native: { by: 'code', what: "printk('... paravirtualized kernel on bare hardware')" },
  linux: { from: '2.6.21', to: '2.6.22' },
  hooks: { '2.6.32': 'x86_init.oem.banner', '6.1': 'x86_init.oem.banner' },
});

export const pagetableSetupStart = defineOp({
  id: 'init.pagetable_setup_start',
  class: 'set-up',
  does: "Comes before the kernel's own page tables are built; may change CR3 and fill parts in.",
  params: { base: 'page-table page' },
  native: { by: 'memory', what: 'clears the boot mappings of low memory' },
  linux: { from: '2.6.22', to: '2.6.22' },
  hooks: { '2.6.32': 'x86_init.paging.pagetable_setup_start' },
});

export const pagetableSetupDone = defineOp({
  id: 'init.pagetable_setup_done',
  class: 'set-up',
  does: "Comes after the kernel's own page tables are built.",
  params: { base: 'page-table page' },
  native: { by: 'nothing', what: 'no-op' },
  linux: { from: '2.6.22', to: '2.6.22' },
  hooks: {
    '2.6.32': 'x86_init.paging.pagetable_setup_done',
    '6.1': 'x86_init.paging.pagetable_init',
  },
});
