// Descriptor tables and their registers: loaded, stored, and written entry by entry.

import {
  attrOf,
  CS,
  DS,
  dplOf,
  ES,
  FS,
  GS,
  isCode,
  isNull,
  LDTR,
  loadSegment,
  peekDescriptor,
  SS_REG,
  setSegment,
  TR,
} from '../../../cpu/descriptors.ts';
import { ATTR_P, FIELDS, SEG_SELECTOR } from '../../../cpu/state.ts';
import { VMI_LAZY_CPU_STATE } from '../abi.ts';
import { allowedDescriptor, rewriteTables } from '../descriptor-rules.ts';
import { isLazy, store } from '../lazy.ts';
import { answer, kernelRing, natively, type VmiVcpu } from '../vcpu.ts';
import { defineCall, type Words } from './define.ts';

const GDT = 0;
const IDT = 1;
/** Selector bit TI: the descriptor is in the LDT. */
const IN_LDT = 4;

export const setGdt = defineCall({
  number: 3,
  name: 'SetGDT',
  takes: { table: 'eax' },
  settles: true,
  handle: (vcpu, { eax }) => natively(vcpu, 'load_table', eax, GDT) || followTable(vcpu, 0),
});

export const setLdt = defineCall({
  number: 4,
  name: 'SetLDT',
  takes: { selector: 'eax' },
  settles: true,
  handle: (vcpu, { eax }) => natively(vcpu, 'lldt', eax) || followTable(vcpu, IN_LDT),
});

export const setIdt = defineCall({
  number: 5,
  name: 'SetIDT',
  takes: { table: 'eax' },
  settles: true,
  handle: (vcpu, { eax }) => natively(vcpu, 'load_table', eax, IDT),
});

export const setTr = defineCall({
  number: 6,
  name: 'SetTR',
  takes: { selector: 'eax' },
  settles: true,
  handle: (vcpu, { eax }) => natively(vcpu, 'ltr', eax),
});

export const getGdt = defineCall({
  number: 7,
  name: 'GetGDT',
  takes: { table: 'eax' },
  handle: (vcpu, { eax }) => natively(vcpu, 'store_table', eax, GDT),
});

export const getLdt = defineCall({
  number: 8,
  name: 'GetLDT',
  gives: 'eax',
  handle: (vcpu) => answer(vcpu, vcpu.platform.cpu.state.seg(LDTR, SEG_SELECTOR)),
});

export const getIdt = defineCall({
  number: 9,
  name: 'GetIDT',
  takes: { table: 'eax' },
  handle: (vcpu, { eax }) => natively(vcpu, 'store_table', eax, IDT),
});

export const getTr = defineCall({
  number: 10,
  name: 'GetTR',
  gives: 'eax',
  handle: (vcpu) => answer(vcpu, vcpu.platform.cpu.state.seg(TR, SEG_SELECTOR)),
});

const ENTRY = { table: 'eax', index: 'edx', low: 'ecx', high: 'stack1' } as const;

export const writeGdtEntry = defineCall({
  number: 11,
  name: 'WriteGDTEntry',
  takes: ENTRY,
  handle: writeEntry,
});

export const writeLdtEntry = defineCall({
  number: 12,
  name: 'WriteLDTEntry',
  takes: ENTRY,
  handle: writeEntry,
});

export const writeIdtEntry = defineCall({
  number: 13,
  name: 'WriteIDTEntry',
  takes: ENTRY,
  handle: (vcpu, { eax, edx, ecx, stack1 }) => storeEntry(vcpu, eax + edx * 8, ecx, stack1),
});

/** What a kernel in ring 1 may not have is changed on the way (VMI_WriteGDTEntry). */
function writeEntry(vcpu: VmiVcpu, { eax, edx, ecx, stack1 }: Words): 0 | 1 {
  const [lo, hi] = kernelRing(vcpu) === 1 ? allowedDescriptor(ecx, stack1) : [ecx, stack1];
  return storeEntry(vcpu, eax + edx * 8, lo, hi);
}

function storeEntry(vcpu: VmiVcpu, at: number, lo: number, hi: number): 0 | 1 {
  return store(vcpu, at >>> 0, 8, lo, hi, isLazy(vcpu.state, VMI_LAZY_CPU_STATE));
}

function followTable(vcpu: VmiVcpu, table: 0 | typeof IN_LDT): 0 {
  if (kernelRing(vcpu) === 1) rewriteTables(vcpu);
  return reloadSegments(vcpu, table);
}

/**
 * The hidden parts of segment registers follow the new table, so that none holds what no load could give (VMI_SetGDT). A
 * selector that cannot be loaded keeps what it had.
 */
export function reloadSegments({ platform }: VmiVcpu, table: 0 | typeof IN_LDT): 0 {
  const { cx } = platform.cpu;
  const { state } = cx;
  for (const n of [ES, SS_REG, DS, FS, GS]) {
    const selector = state.seg(n, SEG_SELECTOR);
    if (!isNull(selector) && (selector & IN_LDT) === table) loadSegment(cx, n, selector);
  }
  const selector = state.seg(CS, SEG_SELECTOR);
  const d = (selector & IN_LDT) === table ? peekDescriptor(cx, selector) : 'outside';
  if (typeof d === 'object') {
    const attr = attrOf(d);
    const same = isCode(attr) && (attr & ATTR_P) !== 0 && dplOf(attr) === state.get(FIELDS.cpl);
    if (same) setSegment(state, CS, selector, d);
  }
  cx.modeChanged();
  return 0;
}
