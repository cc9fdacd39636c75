// The shadow page tables: what the processor walks. Filled when a guest touches a page, dropped only by what it reports.

import { bug } from '../../base/errors.ts';
import type { Cpu } from '../../cpu/core.ts';
import type { GuestRam } from '../../machine/memory.ts';
import { SWITCHER_ADDR } from './abi.ts';
import { hex, killGuest, type LguestHost } from './host.ts';
import {
  type GuestEntry,
  guestEntry,
  indexAt,
  leafIsFine,
  PAGE,
  PTE_A,
  PTE_D,
  PTE_G,
  PTE_P,
  PTE_RW,
  PTE_US,
  pteBytes,
  topIndex,
} from './walk.ts';

/** drivers/lguest/lg.h (2.6.32), struct lguest: address spaces that have a shadow at one time. */
export const ROOTS = 4;
/** Flags that the shadow of an upper entry takes from the guest's, and those of the host's own. */
const UPPER = 0x67;
const TABLE = PTE_P | PTE_RW | PTE_A;
const LEAF_FLAGS = 0xfff & ~PTE_G;
/** Most tables that one translation needs. */
const FILL_FRAMES = 2;
/** Error code of #PF. SDM 3A 4.7. */
const PF_W = 2;
const PF_U = 4;

export interface ShadowState {
  /** Guest-physical address of the top-level table that a root shadows; -1: none yet. */
  readonly gpgdir: Float64Array;
  /** Frame of the root; 0: none yet. With PAE, that of the directory for the last GiB too, which is always there. */
  readonly root: Uint32Array;
  readonly lastDirectory: Uint32Array;
  current: number;
  /** Chooses which root goes. */
  random: number;
  /** Frames that hold nothing; the last one goes first. */
  readonly free: Uint32Array;
  freeCount: number;
}

export function freshShadowState(frames: number, seed: number): ShadowState {
  return {
    gpgdir: new Float64Array(ROOTS).fill(-1),
    root: new Uint32Array(ROOTS),
    lastDirectory: new Uint32Array(ROOTS),
    current: 0,
    random: (seed ^ 0x9e3779b9) >>> 0 || 1,
    free: new Uint32Array(frames),
    freeCount: 0,
  };
}

/** `reflect`: the guest's own tables do not allow it; it is to hear of the fault. */
export type Demand = 'mapped' | 'reflect';

export class Shadow {
  readonly state: ShadowState;
  private readonly cpu: Cpu;
  private readonly ram: GuestRam;
  private host!: LguestHost;
  /** Table that maps the host's pages at the top of every address space. */
  private switcherTable = 0;

  constructor(cpu: Cpu, ram: GuestRam, state: ShadowState) {
    this.cpu = cpu;
    this.ram = ram;
    this.state = state;
  }

  connect(host: LguestHost, switcherTable: number): void {
    this.host = host;
    this.switcherTable = switcherTable;
  }

  /** Physical address of the top-level table that the guest runs on, as it calls it. By `>>>` V8 sees that it is whole. */
  top(): number {
    return this.state.gpgdir[this.state.current]! >>> 0;
  }

  /** NEW_PGTABLE. A table that has a shadow already keeps what is in it. */
  switchTo(gpgdir: number): void {
    const { state } = this;
    const known = state.gpgdir.indexOf(gpgdir);
    if (known >= 0) {
      this.load(known);
      return;
    }
    const next = this.chooseRoot();
    const blank = state.root[next] === 0;
    if (blank) this.makeRoot(next);
    state.gpgdir[next] = gpgdir;
    // The kernel's part is the same in all tables, so it stays.
    this.dropUser(next);
    this.load(next);
    if (blank) this.pinStack();
  }

  /** A page fault: satisfied from the guest's tables, if they allow it. */
  demand(va: number, error: number): Demand {
    const { host } = this;
    const entry = guestEntry(host, this.top(), va);
    if (entry === null || this.isSwitchers(va) || (entry.lo & PTE_P) === 0) return 'reflect';
    const needed = (error & PF_W ? PTE_RW : 0) | (error & PF_U ? PTE_US : 0);
    if ((entry.lo & entry.allowed & needed) !== needed) return 'reflect';
    if (!leafIsFine(host, entry.lo, entry.hi)) return 'reflect';
    const marked = entry.lo | PTE_A | (error & PF_W ? PTE_D : 0);
    if (this.state.freeCount < FILL_FRAMES) this.dropAll();
    const at = this.leafAt(this.state.current, va, entry.upper);
    this.ram.setU32(at, shadowOf(marked));
    if (host.state.pae) this.ram.setU32(at + 4, 0);
    if (marked !== entry.lo) host.memory.setU32(entry.at, marked >>> 0);
    this.cpu.mmu.flushPage(va);
    if ((this.upperRights(va) & needed) !== needed) this.staleUpper(va, entry);
    return 'mapped';
  }

  /** SET_PTE. Kernel addresses are in every address space. */
  setPte(gpgdir: number, va: number, lo: number, hi: number): void {
    const { state, host } = this;
    const shared = va >= host.state.kernelAddress;
    for (let n = 0; n < ROOTS; n++) {
      if (state.root[n] === 0 || (!shared && state.gpgdir[n] !== gpgdir)) continue;
      if (this.isSwitchers(va)) return;
      const at = this.leafAt(n, va, null);
      if (at < 0) continue;
      // One that has been used is put back at once; others when they are touched.
      const now = lo & (PTE_A | PTE_D);
      if (now && !leafIsFine(host, lo, hi)) return;
      this.ram.setU32(at, now ? shadowOf(lo) : 0);
      if (host.state.pae) this.ram.setU32(at + 4, 0);
    }
    this.cpu.mmu.flushPage(va);
  }

  /** SET_PGD; an unknown table, or the host's own entry, is nothing to it. */
  setPgd(gpgdir: number, index: number): void {
    const { pae } = this.host.state;
    const n = this.state.gpgdir.indexOf(gpgdir);
    if (n < 0 || index >= topIndex(pae, SWITCHER_ADDR[pae ? 'pae' : 'plain'])) return;
    this.dropTop(n, index);
    this.cpu.mmu.flushAll();
  }

  /** FLUSH_TLB of 0. */
  flushUser(): void {
    this.dropUser(this.state.current);
    this.cpu.mmu.flushAll();
  }

  /** FLUSH_TLB of anything else, SET_PMD, LGUEST_INIT. */
  clearAll(): void {
    this.dropAll();
    this.pinStack();
  }

  /** SET_STACK: the pages that an entry from ring 3 writes to are there, or the guest is dead. */
  pinStack(): void {
    const { state } = this.host;
    for (let n = 0; n < state.stackPages; n++) {
      const va = (state.esp1 - 1 - n * PAGE) >>> 0;
      if (this.isWritable(va) || this.demand(va, PF_W) === 'mapped') continue;
      return killGuest(this.host, `bad stack page ${hex(va)}`);
    }
  }

  /** The first root, on the launcher's tables. */
  start(gpgdir: number): void {
    this.makeRoot(0);
    this.state.gpgdir[0] = gpgdir;
    this.load(0);
  }

  private load(n: number): void {
    this.state.current = n;
    this.cpu.state.setVa('cr3', this.state.root[n]! * PAGE);
    this.cpu.mmu.flushNonGlobal();
  }

  /** Any of them, the running one too. */
  private chooseRoot(): number {
    let x = this.state.random;
    x ^= x << 13; // Marsaglia, Xorshift RNGs, 2003.
    x ^= x >>> 17;
    x ^= x << 5;
    this.state.random = x >>> 0;
    return (x >>> 8) % ROOTS;
  }

  private makeRoot(n: number): void {
    const { state, host } = this;
    if (state.freeCount < FILL_FRAMES) this.dropAll();
    const root = this.takeFrame();
    state.root[n] = root;
    const { pae } = host.state;
    const last = pae ? this.takeFrame() : root;
    state.lastDirectory[n] = last;
    const index = indexAt(pae, SWITCHER_ADDR[pae ? 'pae' : 'plain'], 2);
    this.put(last, index, this.switcherTable, TABLE);
    if (pae) this.put(root, topIndex(true, SWITCHER_ADDR.pae), last, PTE_P);
  }

  /** True: the guest touches the host's own part, and is dead. */
  private isSwitchers(va: number): boolean {
    if (va < SWITCHER_ADDR[this.host.state.pae ? 'pae' : 'plain']) return false;
    killGuest(this.host, `attempt to access switcher pages at ${hex(va)}`);
    return true;
  }

  /** Where the leaf for `va` stands; missing tables are made with the guest's flags, or, without them, the answer is -1. */
  private leafAt(n: number, va: number, upper: readonly number[] | null): number {
    const { pae } = this.host.state;
    let table = this.state.root[n]!;
    for (let level = pae ? 3 : 2; level > 1; level--) {
      const at = table * PAGE + indexAt(pae, va, level) * pteBytes(pae);
      let entry = this.ram.u32(at);
      if ((entry & PTE_P) === 0) {
        if (upper === null) return -1;
        const flags = level === 3 ? PTE_P : upper[upper.length - (level - 1)]! & UPPER;
        entry = this.put(table, indexAt(pae, va, level), this.takeFrame(), flags);
      }
      table = entry >>> 12;
    }
    return table * PAGE + indexAt(pae, va, 1) * pteBytes(pae);
  }

  private upperRights(va: number): number {
    const { pae } = this.host.state;
    const { root, lastDirectory, current } = this.state;
    let directory = root[current]!;
    if (pae) {
      const top = topIndex(true, va);
      directory =
        top === 3 ? lastDirectory[current]! : this.ram.u32(directory * PAGE + top * 8) >>> 12;
    }
    return this.ram.u32(directory * PAGE + indexAt(pae, va, 2) * pteBytes(pae));
  }

  /** A real host would take the same fault again and again. */
  private staleUpper(va: number, entry: GuestEntry): void {
    killGuest(
      this.host,
      `page fault without end at ${hex(va)}: the upper entry ${hex(entry.upper.at(-1)!)} was changed and not reported`,
    );
  }

  private isWritable(va: number): boolean {
    const at = this.leafAt(this.state.current, va, null);
    const both = PTE_P | PTE_RW;
    return at >= 0 && (this.ram.u32(at) & both) === both;
  }

  private dropAll(): void {
    const { pae } = this.host.state;
    const end = topIndex(pae, SWITCHER_ADDR[pae ? 'pae' : 'plain']) + (pae ? 1 : 0);
    for (let n = 0; n < ROOTS; n++) this.dropRange(n, end);
    this.cpu.mmu.flushAll();
  }

  private dropUser(n: number): void {
    const { pae, kernelAddress } = this.host.state;
    this.dropRange(n, topIndex(pae, kernelAddress));
  }

  private dropRange(n: number, end: number): void {
    const root = this.state.root[n]!;
    if (root === 0) return;
    if (!this.host.state.pae) this.dropTables(root, end, 4);
    else for (let index = 0; index < end; index++) this.dropTop(n, index);
  }

  /** Most of a directory is empty, and kernels have all of it dropped often: it is looked through where it lies. */
  private dropTables(directory: number, end: number, bytes: number): void {
    const { u32 } = this.cpu.views;
    const first = (this.cpu.layout.ramBase + directory * PAGE) >>> 2;
    for (let index = 0; index < end; index++)
      if (u32[first + index * (bytes >> 2)]! & PTE_P) this.dropTable(directory, index, bytes);
  }

  private dropTop(n: number, index: number): void {
    const { root, lastDirectory } = this.state;
    if (root[n] === 0) return;
    if (!this.host.state.pae) {
      this.dropTable(root[n]!, index, 4);
      return;
    }
    const at = root[n]! * PAGE + index * 8;
    const entry = this.ram.u32(at);
    if ((entry & PTE_P) === 0) return;
    const directory = entry >>> 12;
    const kept = directory === lastDirectory[n];
    const end = kept ? indexAt(true, SWITCHER_ADDR.pae, 2) : PAGE / 8;
    this.dropTables(directory, end, 8);
    if (kept) return;
    this.ram.setU32(at, 0);
    this.giveFrame(directory);
  }

  private dropTable(directory: number, index: number, bytes: number): void {
    const at = directory * PAGE + index * bytes;
    const entry = this.ram.u32(at);
    if ((entry & PTE_P) === 0) return;
    this.ram.setU32(at, 0);
    this.giveFrame(entry >>> 12);
  }

  private put(table: number, index: number, frame: number, flags: number): number {
    const entry = ((frame << 12) | flags) >>> 0;
    this.ram.setU32(table * PAGE + index * pteBytes(this.host.state.pae), entry);
    return entry;
  }

  private takeFrame(): number {
    const { state } = this;
    if (state.freeCount === 0) return bug('the shadow has no frame left');
    const frame = state.free[--state.freeCount]!;
    this.ram.fill(frame * PAGE, PAGE, 0);
    return frame;
  }

  private giveFrame(frame: number): void {
    this.state.free[this.state.freeCount++] = frame;
  }
}

/** What is not dirty yet is read-only, so that the first write comes here. */
function shadowOf(lo: number): number {
  const frame = lo - (lo & 0xfff);
  const flags = lo & LEAF_FLAGS;
  return (frame | (flags & PTE_D ? flags : flags & ~PTE_RW)) >>> 0;
}
