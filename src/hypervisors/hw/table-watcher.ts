// Stores to page tables that hardware walks, reported as operations: a frame is a table while a root or a live table refers to it.

import { CR0_PG, CR4_PAE, EFER_LMA } from '../../cpu/control-bits.ts';
import type { Cpu } from '../../cpu/core.ts';
import { FRAME_WATCH } from '../../cpu/frames.ts';
import type { OperationId } from '../../ops/index.ts';
import type { SeenEnd } from '../seen.ts';

/** A frame in use as a table, and its entries as they were when it was last looked at. */
interface Table {
  readonly level: number;
  readonly entryBytes: 4 | 8;
  /** Entries that are used: all but in PAE's page-directory-pointer table, which has four (SDM 3A 4.4.1). */
  readonly first: number;
  readonly end: number;
  refs: number;
  readonly words: Uint32Array;
}

const PTE_P = 1;
const PTE_PS = 0x80;
const ADDRESS_HI = 0xfffff;
const FRAME_BYTES = 4096;
const PAGES_PER_4GIB = 0x10_0000;
/** A root stays one while it is among so many that were used last: nobody tells when a kernel frees one. */
const ROOTS_MAX = 64;
/** By level, from the lowest: a store, and a store of nothing. */
const STORES: readonly (readonly [set: OperationId, clear: OperationId])[] = [
  ['mmu.set_pte', 'mmu.pte_clear'],
  ['mmu.set_pmd', 'mmu.pmd_clear'],
  ['mmu.set_pud', 'mmu.set_pud'],
  ['mmu.set_p4d', 'mmu.set_p4d'],
];

export class TableWatcher {
  private readonly cpu: Cpu;
  private readonly end: SeenEnd;
  private readonly tables = new Map<number, Table>();
  /** The one used last is the last. */
  private readonly roots = new Set<number>();
  private mode = '';
  private root = -1;

  constructor(cpu: Cpu, end: SeenEnd) {
    this.cpu = cpu;
    this.end = end;
    cpu.onWatched = (gpa, bytes) => this.written(gpa, bytes);
  }

  /** Control registers may have changed. */
  update(): void {
    const { state } = this.cpu;
    const paging = (state.get('cr0') & CR0_PG) !== 0;
    const long = (state.get('efer') & EFER_LMA) !== 0;
    const pae = (state.get('cr4') & CR4_PAE) !== 0;
    const mode = !paging ? '' : long ? '4' : pae ? '3' : '2';
    const root = Number((state.get64('cr3') & 0xff_ffff_ffff_f000n) >> 12n);
    if (mode === this.mode && root === this.root) return;
    if (mode !== this.mode) for (const old of [...this.roots]) this.dropRoot(old);
    [this.mode, this.root] = [mode, root];
    if (mode !== '') this.useRoot(root);
  }

  private useRoot(frame: number): void {
    const levels = Number(this.mode);
    if (this.roots.delete(frame)) {
      this.roots.add(frame);
      return;
    }
    const first = levels === 3 ? (this.cpu.state.get('cr3') & 0xfe0) / 8 : 0;
    this.refer(frame, levels, levels === 2 ? 4 : 8, first, levels === 3 ? first + 4 : 1024);
    this.roots.add(frame);
    const [oldest] = this.roots;
    if (this.roots.size > ROOTS_MAX && oldest !== undefined) this.dropRoot(oldest);
  }

  private dropRoot(frame: number): void {
    this.roots.delete(frame);
    this.leave(frame);
  }

  /** One more reference. Tables that are new are read, and theirs with them. */
  private refer(frame: number, level: number, entryBytes: 4 | 8, first = 0, end = 1024): void {
    const known = this.tables.get(frame);
    if (known) {
      known.refs++;
      return;
    }
    const { layout, mmu } = this.cpu;
    if ((frame + 1) * FRAME_BYTES > layout.ramBytes) return;
    const table = {
      ...{ level, entryBytes, first, end: Math.min(end, FRAME_BYTES / entryBytes), refs: 1 },
      words: this.wordsOf(frame).slice(),
    };
    this.tables.set(frame, table);
    mmu.setFrame(frame, FRAME_WATCH);
    for (let n = table.first; n < table.end; n++) {
      const child = childOf(table, n);
      if (child >= 0) this.refer(child, level - 1, entryBytes);
    }
  }

  private leave(frame: number): void {
    const table = this.tables.get(frame);
    if (!table || --table.refs > 0) return;
    this.tables.delete(frame);
    this.cpu.mmu.clearFrame(frame, FRAME_WATCH);
    for (let n = table.first; n < table.end; n++) {
      const child = childOf(table, n);
      if (child >= 0) this.leave(child);
    }
  }

  private written(gpa: number, bytes: number): void {
    const frame = Math.floor(gpa / FRAME_BYTES);
    const table = this.tables.get(frame);
    if (!table) return;
    const { entryBytes } = table;
    const from = gpa % FRAME_BYTES;
    const last = Math.min(Math.floor((from + bytes - 1) / entryBytes), table.end - 1);
    for (let n = Math.max(Math.floor(from / entryBytes), table.first); n <= last; n++) {
      // A kernel of 32 bits stores an entry of 64 in two halves: the lower one counts, it has the present bit.
      const lower = from < n * entryBytes + 4;
      this.changed(frame, table, n, lower);
    }
  }

  private changed(frame: number, table: Table, n: number, report: boolean): void {
    const { words, entryBytes, level } = table;
    const now = this.wordsOf(frame);
    const i = (n * entryBytes) >> 2;
    const before = childOf(table, n);
    const nothing = words[i] === 0 && now[i] === 0;
    words[i] = now[i]!;
    if (entryBytes === 8) words[i + 1] = now[i + 1]!;
    const after = childOf(table, n);
    if (before !== after) {
      if (after >= 0) this.refer(after, level - 1, entryBytes);
      if (before >= 0) this.leave(before);
    }
    // A page that is being cleared, or was: no operation of anybody's.
    if (!report || nothing) return;
    const hi = entryBytes === 8 ? words[i + 1]! : 0;
    const value = `0x${((BigInt(hi) << 32n) | BigInt(words[i]!)).toString(16)}`;
    const operation = STORES[level - 1]?.[words[i] === 0 ? 1 : 0];
    const entry = frame * FRAME_BYTES + n * entryBytes;
    this.end.entered();
    this.end.seen(`store to a table of level ${level}`, { entry, value }, null, operation);
  }

  private wordsOf(frame: number): Uint32Array {
    const { views, layout } = this.cpu;
    const at = (layout.ramBase + frame * FRAME_BYTES) >>> 2;
    return views.u32.subarray(at, at + FRAME_BYTES / 4);
  }
}

/** The frame of the next lower table that an entry refers to; -1: none. */
function childOf({ level, entryBytes, words }: Table, n: number): number {
  if (level === 1) return -1;
  const i = (n * entryBytes) >> 2;
  const lo = words[i]!;
  if ((lo & PTE_P) === 0 || lo & PTE_PS) return -1;
  const hi = entryBytes === 8 ? words[i + 1]! & ADDRESS_HI : 0;
  return (lo >>> 12) + hi * PAGES_PER_4GIB;
}
