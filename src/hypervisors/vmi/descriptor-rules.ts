// What a guest in ring 1 may have in its descriptor tables: no segment of ring 0, none that reaches the hypervisor's addresses.

import {
  attrOf,
  baseOf,
  type Descriptor,
  dplOf,
  isSystem,
  LDTR,
  limitOf,
  TYPE_CODE,
} from '../../cpu/descriptors.ts';
import { ATTR_G, ATTR_P, FIELDS, SEG_LIMIT, SEG_SELECTOR } from '../../cpu/state.ts';
import type { VmiVcpu } from './vcpu.ts';

/** The lowest address of the hypervisor's: a hole of 64 MiB, as VMware's ROM reserved (vmi.md 3). */
export const VIRTUAL_TOP = 0xfc000000;
const DPL1 = 1 << 13;
const PAGE = 4096;
const TYPE_DOWN = 4;
const ENTRY = 8;
const TABLE_MAX = 0x10000;

/** The two words as the table is to hold them. */
export function allowedDescriptor(lo: number, hi: number): readonly [lo: number, hi: number] {
  const d: Descriptor = { at: 0, lo, hi };
  const attr = attrOf(d);
  if ((attr & ATTR_P) === 0 || isSystem(attr)) return [lo, hi];
  const inRing1 = dplOf(attr) === 0 ? (hi | DPL1) >>> 0 : hi;
  const expandsDown = (attr & (TYPE_CODE | TYPE_DOWN)) === TYPE_DOWN;
  const room = VIRTUAL_TOP - baseOf(d);
  if (expandsDown || room <= 0 || (attr & ATTR_G) === 0 || limitOf(d) < room) return [lo, inRing1];
  const limit = Math.floor(room / PAGE) - 1;
  return [
    ((lo & 0xffff0000) | (limit & 0xffff)) >>> 0,
    ((inRing1 & ~0xf0000) | (limit & 0xf0000)) >>> 0,
  ];
}

/** Both tables, in the guest's memory, as a load of their registers may (VMI_SetGDT). */
export function rewriteTables(vcpu: VmiVcpu): void {
  const { state } = vcpu.platform.cpu;
  rewriteTable(vcpu, state.getVa(FIELDS.gdtrBase), state.get(FIELDS.gdtrLimit));
  if (state.seg(LDTR, SEG_SELECTOR) !== 0)
    rewriteTable(vcpu, state.segBase(LDTR), state.seg(LDTR, SEG_LIMIT));
}

/** At most 8192 entries; what cannot be read stays. */
function rewriteTable({ platform }: VmiVcpu, base: number, limit: number): void {
  const { mmu } = platform.cpu;
  const end = Math.min(limit + 1, TABLE_MAX);
  for (let at = 0; at + ENTRY <= end; at += ENTRY) {
    const va = (base + at) >>> 0;
    if (mmu.ramAddress(va, false, 'system') < 0 || !mmu.read(va, ENTRY, 'system')) continue;
    const lo = mmu.buf.getUint32(0, true);
    const hi = mmu.buf.getUint32(4, true);
    const [newLo, newHi] = allowedDescriptor(lo, hi);
    if (newLo === lo && newHi === hi) continue;
    mmu.buf.setUint32(0, newLo, true);
    mmu.buf.setUint32(4, newHi, true);
    mmu.write(va, ENTRY, 'system');
  }
}
