// Where an access finds its bytes without the MMU: what the engines' own loads and stores do, for slow paths and interfaces.

import {
  DATA_TLB_STRIDE,
  dataTlbIndex,
  FETCH_TLB_ENTRIES,
  FETCH_TLB_STRIDE,
  FIELDS,
} from './state.ts';
import { D_ADDEND, D_WRITE, F_PAGE } from './tlb.ts';

const PAGE = 4096;
const DATA_TLB = FIELDS.dataTlb.at >> 2;
const STRIDE_WORDS = DATA_TLB_STRIDE >> 2;
const FETCH_TLB = FIELDS.fetchTlb.at >> 2;
const FETCH_STRIDE_WORDS = FETCH_TLB_STRIDE >> 2;

/**
 * Address in linear memory, as 32 signed bits, of the `bytes` at the virtual address with these halves, if they lie in one
 * page that the TLB has for the running mode: RAM, and for a write no decoded code and nobody who wants to see it. 0: the
 * MMU has to do it, as it has everything while alignment is checked, and on pages with breakpoints. `i32`: linear memory,
 * `vcpu`: of that the state; all halves signed, since V8 makes an object of each number beyond 2^31 that a call passes.
 */
export function tlbPlace(
  i32: Int32Array,
  vcpu: Int32Array,
  lo: number,
  hi: number,
  bytes: number,
  writes: 0 | 1,
): number {
  if ((lo & (PAGE - 1)) + bytes > PAGE) return 0;
  const entry = (vcpu[DATA_TLB]! >> 2) + dataTlbIndex(lo) * STRIDE_WORDS;
  const tag = entry + writes * D_WRITE;
  if (i32[tag] !== (lo & -PAGE) || i32[tag + 1] !== hi) return 0;
  return (lo + i32[entry + D_ADDEND]!) | 0;
}

/** The same of code: where in RAM the byte lies that would be fetched; -1: the MMU has to say. */
export function codePlace(i32: Int32Array, vcpu: Int32Array, lo: number, hi: number): number {
  const n = (lo >>> 12) & (FETCH_TLB_ENTRIES - 1);
  const entry = (vcpu[FETCH_TLB]! >> 2) + n * FETCH_STRIDE_WORDS;
  if (i32[entry] !== (lo & -PAGE) || i32[entry + 1] !== hi) return -1;
  return (i32[entry + F_PAGE]! >>> 0) + (lo & (PAGE - 1));
}
