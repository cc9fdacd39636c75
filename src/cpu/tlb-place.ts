// Where an access finds its bytes without the MMU: what the engines' own loads and stores do, for slow paths and interfaces.

import { DATA_TLB_STRIDE, dataTlbIndex, FIELDS } from './state.ts';
import { D_ADDEND, D_WRITE } from './tlb.ts';

const PAGE = 4096;
const DATA_TLB = FIELDS.dataTlb.at >> 2;
const STRIDE_WORDS = DATA_TLB_STRIDE >> 2;

/**
 * Address in linear memory, as 32 signed bits, of the `bytes` at the virtual address with these halves, if they lie in one
 * page that the TLB has for the running mode: RAM, and for a write no decoded code and nobody who wants to see it. 0: the
 * MMU has to do it, as it has everything while alignment is checked, and on pages with breakpoints. `u32`: linear memory,
 * `vcpu`: of that the state.
 */
export function tlbPlace(
  u32: Uint32Array,
  vcpu: Uint32Array,
  lo: number,
  hi: number,
  bytes: number,
  writes: 0 | 1,
): number {
  if ((lo & (PAGE - 1)) + bytes > PAGE) return 0;
  const tlb = vcpu[DATA_TLB]!;
  const entry = (tlb >>> 2) + dataTlbIndex(lo) * STRIDE_WORDS;
  const tag = entry + writes * D_WRITE;
  if (u32[tag]! >>> 0 !== (lo & -PAGE) >>> 0 || u32[tag + 1] !== hi >>> 0) return 0;
  return (lo + u32[entry + D_ADDEND]!) | 0;
}
