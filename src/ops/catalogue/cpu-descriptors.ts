// Operations on the CPU's tables: descriptors, gates, task state, and I/O permissions.

import { defineOp } from '../define.ts';

const ALWAYS = { from: '2.6.21', to: '6.1' } as const;
const UNTIL_2632 = { from: '2.6.21', to: '2.6.32' } as const;
const FROM_2632 = { from: '2.6.32', to: '6.1' } as const;
const IN_61 = { from: '6.1', to: '6.1' } as const;

export const loadTrDesc = defineOp({
  id: 'cpu.load_tr_desc',
  class: 'hardware',
  does: "Loads the task register with the kernel's TSS selector.",
  native: { by: 'instruction', what: 'LTR', ref: 'SDM 2A LTR' },
  linux: ALWAYS,
});

export const loadGdt = defineOp({
  id: 'cpu.load_gdt',
  class: 'hardware',
  does: 'Makes a table the global descriptor table.',
  params: { table: 'table register' },
  native: { by: 'instruction', what: 'LGDT', ref: 'SDM 2A LGDT' },
  linux: ALWAYS,
});

export const loadIdt = defineOp({
  id: 'cpu.load_idt',
  class: 'hardware',
  does: 'Makes a table the interrupt descriptor table.',
  params: { table: 'table register' },
  native: { by: 'instruction', what: 'LIDT', ref: 'SDM 2A LIDT' },
  linux: ALWAYS,
});

export const storeGdt = defineOp({
  id: 'cpu.store_gdt',
  class: 'hardware',
  does: 'Tells where the global descriptor table is.',
  returns: 'table register',
  native: { by: 'instruction', what: 'SGDT', ref: 'SDM 2B SGDT' },
  linux: UNTIL_2632,
});

export const storeIdt = defineOp({
  id: 'cpu.store_idt',
  class: 'hardware',
  does: 'Tells where the interrupt descriptor table is.',
  returns: 'table register',
  native: { by: 'instruction', what: 'SIDT', ref: 'SDM 2B SIDT' },
  linux: UNTIL_2632,
});

export const setLdt = defineOp({
  id: 'cpu.set_ldt',
  class: 'hardware',
  does: 'Makes a table the local descriptor table; 0 entries: none.',
  params: { table: 'gva', entries: 'count' },
  native: { by: 'instruction', what: 'writes a GDT entry; LLDT', ref: 'SDM 2A LLDT' },
  lazy: 'cpu',
  linux: ALWAYS,
});

export const storeTr = defineOp({
  id: 'cpu.store_tr',
  class: 'hardware',
  does: 'Reads the task register.',
  returns: 'selector',
  native: { by: 'instruction', what: 'STR', ref: 'SDM 2B STR' },
  linux: ALWAYS,
});

export const loadTls = defineOp({
  id: 'cpu.load_tls',
  class: 'hardware',
  does: "Puts a thread's three TLS descriptors into the CPU's GDT.",
  params: { thread: 'task', cpu: 'cpu' },
  native: { by: 'memory', what: 'three stores to the GDT' },
  lazy: 'cpu',
  linux: ALWAYS,
});

export const loadGsIndex = defineOp({
  id: 'cpu.load_gs_index',
  class: 'hardware',
  does: 'Loads the GS of user mode.',
  params: { selector: 'selector' },
  native: { by: 'instruction', what: 'SWAPGS; MOV to GS; SWAPGS', ref: 'SDM 2B SWAPGS' },
  linux: { ...FROM_2632, needs: 'x86-64' },
});

export const writeLdtEntry = defineOp({
  id: 'cpu.write_ldt_entry',
  class: 'hardware',
  does: 'Changes an entry of a local descriptor table.',
  params: { table: 'gva', n: 'index', entry: 'descriptor' },
  native: { by: 'memory', what: 'a store of 8 bytes' },
  linux: ALWAYS,
});

export const writeGdtEntry = defineOp({
  id: 'cpu.write_gdt_entry',
  class: 'hardware',
  does: 'Changes an entry of the global descriptor table; the kind tells LDT, TSS and others apart.',
  params: { table: 'gva', n: 'index', entry: 'descriptor', kind: 'code' },
  native: { by: 'memory', what: 'a store of 8 or 16 bytes' },
  linux: ALWAYS,
});

export const writeIdtEntry = defineOp({
  id: 'cpu.write_idt_entry',
  class: 'hardware',
  does: 'Changes a gate of the interrupt descriptor table.',
  params: { table: 'gva', n: 'index', entry: 'gate' },
  native: { by: 'memory', what: 'a store of 8 or 16 bytes' },
  linux: ALWAYS,
});

export const allocLdt = defineOp({
  id: 'cpu.alloc_ldt',
  class: 'corner case',
  does: 'Tells that pages become a local descriptor table.',
  params: { table: 'gva', entries: 'count' },
  native: { by: 'nothing', what: 'no-op' },
  linux: FROM_2632,
});

export const freeLdt = defineOp({
  id: 'cpu.free_ldt',
  class: 'corner case',
  does: 'Tells that pages stop being a local descriptor table.',
  params: { table: 'gva', entries: 'count' },
  native: { by: 'nothing', what: 'no-op' },
  linux: FROM_2632,
});

export const loadSp0 = defineOp({
  id: 'cpu.load_sp0',
  class: 'hardware',
  does: 'Sets the stack on which the kernel is entered from user mode.',
  params: { tss: 'TSS', thread: 'task' },
  native: {
    by: 'memory',
    what: 'a store to the TSS, and SYSENTER_CS if it changed',
    ref: 'SDM 3A 8.2',
  },
  lazy: 'cpu',
  linux: { ...ALWAYS, names: { '2.6.21': 'load_esp0', '2.6.22': 'load_esp0' } },
});

export const invalidateIoBitmap = defineOp({
  id: 'cpu.invalidate_io_bitmap',
  class: 'hardware',
  does: 'Takes all ports away from the current task.',
  native: { by: 'memory', what: "the TSS's bitmap offset beyond its limit", ref: 'SDM 1 19.5.2' },
  linux: IN_61,
});

export const updateIoBitmap = defineOp({
  id: 'cpu.update_io_bitmap',
  class: 'hardware',
  does: 'Gives the current task its ports.',
  native: { by: 'memory', what: "the TSS's bitmap", ref: 'SDM 1 19.5.2' },
  linux: IN_61,
});
