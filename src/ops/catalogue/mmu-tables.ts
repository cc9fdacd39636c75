// Operations on the life of address spaces and of the pages that hold their tables.

import { defineOp } from '../define.ts';

const FROM_2622 = { from: '2.6.22', to: '6.1' } as const;
const FROM_2632 = { from: '2.6.32', to: '6.1' } as const;
const ALWAYS = { from: '2.6.21', to: '6.1' } as const;
const NO_OP = { by: 'nothing', what: 'no-op' } as const;
const OLD_PT = { '2.6.21': 'alloc_pt', '2.6.22': 'alloc_pt' } as const;
const OLD_PD = { '2.6.21': 'alloc_pd', '2.6.22': 'alloc_pd' } as const;

export const activateMm = defineOp({
  id: 'mmu.activate_mm',
  class: 'page tables',
  does: 'Tells that an address space is about to be used for the first time.',
  params: { previous: 'mm', next: 'mm' },
  native: NO_OP,
  linux: FROM_2622,
});

export const dupMmap = defineOp({
  id: 'mmu.dup_mmap',
  class: 'page tables',
  does: 'Tells that a fork has copied an address space.',
  params: { old: 'mm', copy: 'mm' },
  native: NO_OP,
  linux: FROM_2622,
});

export const exitMmap = defineOp({
  id: 'mmu.exit_mmap',
  class: 'page tables',
  does: 'Tells that an address space is about to be torn down.',
  params: { mm: 'mm' },
  native: NO_OP,
  linux: { ...FROM_2622, withoutXxl: true },
});

export const pgdAlloc = defineOp({
  id: 'mmu.pgd_alloc',
  class: 'page tables',
  does: 'Tells that an address space gets a top-level table.',
  params: { mm: 'mm' },
  returns: 'errno',
  native: { by: 'nothing', what: '0' },
  linux: FROM_2632,
});

export const pgdFree = defineOp({
  id: 'mmu.pgd_free',
  class: 'page tables',
  does: 'Tells that a top-level table goes.',
  params: { mm: 'mm', table: 'page-table page' },
  native: NO_OP,
  linux: FROM_2632,
});

export const allocPte = defineOp({
  id: 'mmu.alloc_pte',
  class: 'page tables',
  does: 'Tells that a page becomes a table of the lowest level.',
  params: { mm: 'mm', pfn: 'pfn' },
  native: NO_OP,
  linux: { ...ALWAYS, names: OLD_PT },
});

export const allocPmd = defineOp({
  id: 'mmu.alloc_pmd',
  class: 'page tables',
  does: 'Tells that a page becomes a table of the middle level.',
  params: { mm: 'mm', pfn: 'pfn' },
  native: NO_OP,
  linux: { ...ALWAYS, names: OLD_PD },
});

export const allocPmdClone = defineOp({
  id: 'mmu.alloc_pmd_clone',
  class: 'page tables',
  does: 'Tells that a page becomes a table whose entries are in part those of another.',
  params: { pfn: 'pfn', source: 'pfn', start: 'index', count: 'count' },
  native: NO_OP,
  linux: {
    from: '2.6.21',
    to: '2.6.32',
    names: { '2.6.21': 'alloc_pd_clone', '2.6.22': 'alloc_pd_clone' },
  },
});

export const allocPud = defineOp({
  id: 'mmu.alloc_pud',
  class: 'page tables',
  does: 'Tells that a page becomes a table of the upper level.',
  params: { mm: 'mm', pfn: 'pfn' },
  native: NO_OP,
  linux: FROM_2632,
});

export const allocP4d = defineOp({
  id: 'mmu.alloc_p4d',
  class: 'page tables',
  does: 'Tells that a page becomes a table of the fourth level.',
  params: { mm: 'mm', pfn: 'pfn' },
  native: NO_OP,
  linux: { from: '6.1', to: '6.1' },
});

export const releasePte = defineOp({
  id: 'mmu.release_pte',
  class: 'page tables',
  does: 'Tells that a page stops being a table of the lowest level.',
  params: { pfn: 'pfn' },
  native: NO_OP,
  linux: { ...ALWAYS, names: { '2.6.21': 'release_pt', '2.6.22': 'release_pt' } },
});

export const releasePmd = defineOp({
  id: 'mmu.release_pmd',
  class: 'page tables',
  does: 'Tells that a page stops being a table of the middle level.',
  params: { pfn: 'pfn' },
  native: NO_OP,
  linux: { ...ALWAYS, names: { '2.6.21': 'release_pd', '2.6.22': 'release_pd' } },
});

export const releasePud = defineOp({
  id: 'mmu.release_pud',
  class: 'page tables',
  does: 'Tells that a page stops being a table of the upper level.',
  params: { pfn: 'pfn' },
  native: NO_OP,
  linux: FROM_2632,
});

export const releaseP4d = defineOp({
  id: 'mmu.release_p4d',
  class: 'page tables',
  does: 'Tells that a page stops being a table of the fourth level.',
  params: { pfn: 'pfn' },
  native: NO_OP,
  linux: { from: '6.1', to: '6.1' },
});

export const tlbRemoveTable = defineOp({
  id: 'mmu.tlb_remove_table',
  class: 'page tables',
  does: 'Frees a page that was a table, once no CPU can walk it any more.',
  params: { table: 'page' },
  native: { by: 'code', what: 'frees it with the other pages' },
  linux: { from: '6.1', to: '6.1', withoutXxl: true },
});

export const notifyPageEncStatusChanged = defineOp({
  id: 'mmu.notify_page_enc_status_changed',
  class: 'corner case',
  does: 'Tells that pages of an encrypted guest became shared or private.',
  params: { pfn: 'pfn', pages: 'pages', encrypted: 'bool' },
  native: NO_OP,
  linux: { from: '6.1', to: '6.1', withoutXxl: true },
});
