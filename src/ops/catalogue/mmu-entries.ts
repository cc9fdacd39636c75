// Operations on page-table entries: stores, protection changes, and the numbers in them.

import { defineOp } from '../define.ts';

const ALWAYS = { from: '2.6.21', to: '6.1' } as const;
const UNTIL_2632 = { from: '2.6.21', to: '2.6.32' } as const;
const FROM_2622 = { from: '2.6.22', to: '6.1' } as const;
const FROM_2632 = { from: '2.6.32', to: '6.1' } as const;
const IN_61 = { from: '6.1', to: '6.1' } as const;
const STORE = { by: 'memory', what: 'a store', ref: 'SDM 3A 4.3 to 4.5' } as const;
const EXCHANGE = { by: 'memory', what: 'an exchange of 8 bytes', ref: 'SDM 3A 4.4' } as const;
const NO_OP = { by: 'nothing', what: 'no-op' } as const;
const IDENTITY = { by: 'nothing', what: 'the same number' } as const;

export const setPte = defineOp({
  id: 'mmu.set_pte',
  class: 'page tables',
  does: 'Changes a leaf entry, whoever it belongs to.',
  params: { at: 'entry pointer', entry: 'entry' },
  native: STORE,
  lazy: 'mmu',
  linux: ALWAYS,
});

export const setPteAt = defineOp({
  id: 'mmu.set_pte_at',
  class: 'page tables',
  does: 'Changes the leaf entry that maps an address of an address space.',
  params: { mm: 'mm', address: 'gva', at: 'entry pointer', entry: 'entry' },
  native: STORE,
  lazy: 'mmu',
  linux: UNTIL_2632,
  replacedBy: 'mmu.set_pte',
});

export const setPtePresent = defineOp({
  id: 'mmu.set_pte_present',
  class: 'page tables',
  does: 'Changes a leaf entry that is present: not present, then high half, then low.',
  params: { mm: 'mm', address: 'gva', at: 'entry pointer', entry: 'entry' },
  native: { by: 'memory', what: 'three stores with barriers', ref: 'SDM 3A 4.4' },
  lazy: 'mmu',
  linux: { from: '2.6.21', to: '2.6.22', needs: 'pae' },
});

export const setPmd = defineOp({
  id: 'mmu.set_pmd',
  class: 'page tables',
  does: 'Changes an entry of the middle level; with two levels, of the top.',
  params: { at: 'entry pointer', entry: 'entry' },
  native: STORE,
  lazy: 'mmu',
  linux: ALWAYS,
});

export const setPud = defineOp({
  id: 'mmu.set_pud',
  class: 'page tables',
  does: 'Changes an entry of the upper level; with PAE, one of the four at the top.',
  params: { at: 'entry pointer', entry: 'entry' },
  native: STORE,
  lazy: 'mmu',
  linux: { ...ALWAYS, needs: '3 levels' },
});

export const setP4d = defineOp({
  id: 'mmu.set_p4d',
  class: 'page tables',
  does: 'Changes an entry of the fourth level: the top one, unless there are five.',
  params: { at: 'entry pointer', entry: 'entry' },
  native: STORE,
  lazy: 'mmu',
  linux: IN_61,
});

export const setPgd = defineOp({
  id: 'mmu.set_pgd',
  class: 'page tables',
  does: 'Changes an entry of the top level: the fourth in 2.6.32, the fifth in 6.1.',
  params: { at: 'entry pointer', entry: 'entry' },
  native: STORE,
  lazy: 'mmu',
  linux: { ...FROM_2632, needs: '4 levels' },
});

export const pteUpdate = defineOp({
  id: 'mmu.pte_update',
  class: 'page tables',
  does: 'Tells that the kernel has changed a leaf entry by itself.',
  params: { mm: 'mm', address: 'gva', at: 'entry pointer' },
  native: NO_OP,
  lazy: 'mmu',
  linux: UNTIL_2632,
});

export const pteUpdateDefer = defineOp({
  id: 'mmu.pte_update_defer',
  class: 'page tables',
  does: 'The same, and it need not count before the next flush.',
  params: { mm: 'mm', address: 'gva', at: 'entry pointer' },
  native: NO_OP,
  lazy: 'mmu',
  linux: UNTIL_2632,
});

export const ptepModifyProtStart = defineOp({
  id: 'mmu.ptep_modify_prot_start',
  class: 'page tables',
  does: 'Begins a change of protection in which no accessed or dirty bit may be lost.',
  params: { mm: 'mm', address: 'gva', at: 'entry pointer' },
  returns: 'entry',
  native: { by: 'memory', what: 'an exchange with 0', ref: 'SDM 3A 4.8' },
  linux: FROM_2632,
});

export const ptepModifyProtCommit = defineOp({
  id: 'mmu.ptep_modify_prot_commit',
  class: 'page tables',
  does: 'Ends it with the new entry.',
  params: { mm: 'mm', address: 'gva', at: 'entry pointer', entry: 'entry' },
  native: STORE,
  lazy: 'mmu',
  linux: FROM_2632,
});

export const setPteAtomic = defineOp({
  id: 'mmu.set_pte_atomic',
  class: 'page tables',
  does: 'Changes all 64 bits of a leaf entry at once.',
  params: { at: 'entry pointer', entry: 'entry' },
  native: EXCHANGE,
  linux: { ...UNTIL_2632, needs: 'pae' },
});

export const pteClear = defineOp({
  id: 'mmu.pte_clear',
  class: 'page tables',
  does: 'Clears a leaf entry.',
  params: { mm: 'mm', address: 'gva', at: 'entry pointer' },
  native: { by: 'memory', what: 'the low half, then the high', ref: 'SDM 3A 4.4' },
  lazy: 'mmu',
  linux: { ...UNTIL_2632, needs: 'pae' },
});

export const pmdClear = defineOp({
  id: 'mmu.pmd_clear',
  class: 'page tables',
  does: 'Clears an entry of the middle level.',
  params: { at: 'entry pointer' },
  native: { by: 'memory', what: 'the low half, then the high', ref: 'SDM 3A 4.4' },
  lazy: 'mmu',
  linux: { ...UNTIL_2632, needs: 'pae' },
});

const NUMBER_OF = {
  class: 'page tables',
  does: "Gives an entry as a number with the guest's own frame in it.",
  params: { entry: 'entry' },
  returns: 'value',
  native: IDENTITY,
} as const;

export const pteVal = defineOp({ id: 'mmu.pte_val', ...NUMBER_OF, linux: FROM_2622 });
export const pmdVal = defineOp({
  id: 'mmu.pmd_val',
  ...NUMBER_OF,
  linux: { ...FROM_2622, needs: '3 levels' },
});
export const pudVal = defineOp({
  id: 'mmu.pud_val',
  ...NUMBER_OF,
  linux: { ...FROM_2632, needs: '4 levels' },
});
export const p4dVal = defineOp({ id: 'mmu.p4d_val', ...NUMBER_OF, linux: IN_61 });
export const pgdVal = defineOp({ id: 'mmu.pgd_val', ...NUMBER_OF, linux: FROM_2622 });

const ENTRY_OF = {
  class: 'page tables',
  does: "Makes an entry of a number with the guest's own frame in it.",
  params: { number: 'value' },
  returns: 'entry',
  native: IDENTITY,
} as const;

export const makePte = defineOp({ id: 'mmu.make_pte', ...ENTRY_OF, linux: FROM_2622 });
export const makePmd = defineOp({
  id: 'mmu.make_pmd',
  ...ENTRY_OF,
  linux: { ...FROM_2622, needs: '3 levels' },
});
export const makePud = defineOp({
  id: 'mmu.make_pud',
  ...ENTRY_OF,
  linux: { ...FROM_2632, needs: '4 levels' },
});
export const makeP4d = defineOp({ id: 'mmu.make_p4d', ...ENTRY_OF, linux: IN_61 });
export const makePgd = defineOp({ id: 'mmu.make_pgd', ...ENTRY_OF, linux: FROM_2622 });

export const mapPtHook = defineOp({
  id: 'mmu.map_pt_hook',
  class: 'corner case',
  does: 'Tells where in its own addresses the kernel maps a table that lies in high memory.',
  params: { type: 'code', address: 'gva', pfn: 'pfn' },
  native: NO_OP,
  linux: { from: '2.6.21', to: '2.6.21' },
  replacedBy: 'mmu.kmap_atomic_pte',
});

export const kmapAtomicPte = defineOp({
  id: 'mmu.kmap_atomic_pte',
  class: 'corner case',
  does: 'Maps a table that lies in high memory for a moment.',
  params: { page: 'page', slot: 'index' },
  returns: 'gva',
  native: { by: 'memory', what: 'a store to the slot; INVLPG' },
  linux: { from: '2.6.22', to: '2.6.32', needs: 'highpte' },
});

export const setFixmap = defineOp({
  id: 'mmu.set_fixmap',
  class: 'page tables',
  does: 'Maps a page at one of the fixed addresses of the kernel.',
  params: { n: 'index', frame: 'gpa', protection: 'flags' },
  native: { by: 'memory', what: 'a store to the slot; INVLPG' },
  linux: FROM_2632,
});
