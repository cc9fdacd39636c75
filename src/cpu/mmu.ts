// Page walks, access checks and the frames' attribute bytes: every access to memory that misses the TLB comes here.

import type { Border } from './border.ts';
import { AC, CR4_SMAP, GP, isCanonical, PF, SS } from './control-bits.ts';
import { type DataWatch, dataWatches, pendDebug } from './debug.ts';
import { FRAME_CODE, FRAME_DIRTY, FRAME_MMIO, FRAME_WATCH } from './frames.ts';
import { firstPart, isPiece, pieceOf } from './pieces.ts';
import {
  DATA_TLB_ENTRIES,
  DATA_TLB_STRIDE,
  DEVICE_PAGE,
  FETCH_TLB_ENTRIES,
  FETCH_TLB_STRIDE,
  FIELDS,
  type Layout,
  MMU_ONLY,
  SCRATCH_AT,
  type State,
} from './state.ts';
import { Tlb } from './tlb.ts';
import { FETCH, READ, Walker, WRITE } from './walk.ts';

/** What the MMU asks of the engine that is running. */
export interface MmuHooks {
  /**
   * May a memory access with effects outside RAM (MMIO, a store to decoded code) complete now? Only in the last
   * instruction of a block; if not, the engine makes `run` stop and starts again with this instruction alone.
   */
  mayActNow(): boolean;
  /** Called when mayActNow was false; the access then returns as if it had faulted, without a trace. */
  restart(): void;
  /** A store, or a device, has changed bytes of a frame that holds decoded code. */
  codeWritten(gpa: number, bytes: number): void;
  /** Do these bytes of a frame with FRAME_CODE hold decoded code? Without it, all of them do. */
  codeAt?(gpa: number, bytes: number): boolean;
  /** A store has changed bytes of a frame with FRAME_WATCH. */
  watchedWritten?(gpa: number, bytes: number): void;
  /** A data breakpoint was met: the engine is to stop after the running instruction. */
  debugHit?(): void;
}

/**
 * Takes a store of 1, 2, 4 or 8 bytes that `Mmu.divert` has caught: the address and what would be stored, in halves (the
 * bytes in memory are still the old ones). False refuses: the store faults.
 */
export type StoreFilter = (va: number, bytes: number, lo: number, hi: number) => boolean;

export type AccessAs = 'current' | 'system';

/**
 * Linear addresses are signed numbers. Faults are raised in the state (#PF with faultAddress; #GP(0) or, with `stack`,
 * #SS(0) for a non-canonical address). At most 16 bytes per access in the first group.
 */
export interface Mmu {
  /** Address in linear memory of the bytes at `va`: in RAM, or SCRATCH with the value in it (MMIO, page crossing). 0: faulted. */
  loadSlow(va: number, bytes: number, stack: number): number;
  /**
   * The same, checked for writing: a `storeSlow` or a direct store of the same bytes cannot fault. When the store has
   * effects of its own (MMIO, decoded code, a watched frame) or crosses a page, the address is SCRATCH: use `storeSlow`.
   */
  rmwSlow(va: number, bytes: number, stack: number): number;
  /** Stores the `bytes` that lie in SCRATCH. 0: done, 1: faulted. */
  storeSlow(va: number, bytes: number, stack: number): 0 | 1;
  probeSlow(va: number, bytes: number, stack: number): 0 | 1;
  /** `loadSlow` and `storeSlow` of bytes in one page that a walk has just found to be no RAM but what is at DEVICE_PAGE. */
  loadDevice(va: number, bytes: number, stack: number): number;
  storeDevice(va: number, bytes: number, stack: number): 0 | 1;
  /**
   * Guest-physical address of the code byte at `va`, through the fetch TLB (filled on a miss); -1: faulted.
   * It may lie outside RAM (`isRam` tells): such code is not in the TLB.
   */
  fetch(va: number): number;

  /** For slow paths: up to 4096 bytes between guest memory and `buf`. `system`: supervisor access whatever the CPL (descriptor tables, TSS). */
  readonly buf: DataView;
  read(va: number, bytes: number, as: AccessAs): boolean;
  write(va: number, bytes: number, as: AccessAs): boolean;
  /** For slow paths: where the byte at `va` lies in RAM. -1: the access faults, or a device is there. */
  ramAddress(va: number, writes: boolean, as: AccessAs): number;
  /** Faults as a write of all `bytes` would. */
  probe(va: number, bytes: number, as: AccessAs): boolean;

  /** For slow paths, before an operand of the instruction is accessed. False: #AC is raised. SDM 3A 6.15, interrupt 17. */
  aligned(va: number, bytes: number): boolean;
  /** Call after a change of the debug registers or of CR4.DE. */
  breakpointsChanged(): void;

  flushAll(): void;
  flushNonGlobal(): void;
  flushPage(va: number): void;
  /** Addresses of all TLB entries that may hold something, in no particular order. */
  tlbEntries(): Int32Array;

  /** Stores to the page of `va` go to `filter` instead, if the page may be read; null: to memory again. */
  divert(va: number, filter: StoreFilter | null): void;

  /** Is this guest-physical byte RAM, rather than a device's? */
  isRam(gpa: number): boolean;
  /** Sets attribute bits of a frame. FRAME_CODE and FRAME_WATCH make its stores come here from now on. */
  setFrame(frame: number, bits: number): void;
  clearFrame(frame: number, bits: number): void;
  /**
   * What a walk finds at this frame, which is not RAM (beyond its end, or FRAME_MMIO), lies in that frame of RAM; -1: no
   * longer. An interface keeps the state of it, and sets it again after a restore.
   */
  setAlias(frame: number, target: number): void;
  /** After a snapshot has been copied into linear memory, which is done last: what devices do as they come back may empty the TLB. */
  restored(): void;
}

export interface MmuParts {
  readonly layout: Layout;
  readonly state: State;
  readonly border: Border;
  readonly hooks: MmuHooks;
}

/** An MMU with an empty TLB, and 0xa0000..0xbffff given to devices. `modeChanged` must have set the TLB bases. */
export function createMmu(parts: MmuParts): Mmu {
  return new SoftMmu(parts);
}

const BUF_BYTES = 4096;
/** Up to here a loop is quicker than making a view. */
const BYTE_BY_BYTE = 64;
const FOUR_GIB = 4294967296;
const DEVICE_HOLE_FIRST = 0xa0;
const DEVICE_HOLE_END = 0xc0;

class SoftMmu implements Mmu {
  readonly buf = new DataView(new ArrayBuffer(BUF_BYTES));

  private readonly bytes = new Uint8Array(this.buf.buffer);
  private readonly out = new Uint32Array(2);
  private readonly state: State;
  private readonly border: Border;
  private readonly hooks: MmuHooks;
  private readonly tlb: Tlb;
  private readonly walker: Walker;
  private readonly u8: Uint8Array;
  private readonly u32: Uint32Array;
  private readonly attrs: number;
  private readonly ramBase: number;
  private readonly ramBytes: number;
  private readonly scratch: number;
  private readonly supervisorTlb: number;
  private readonly openTlb: number;
  private readonly userTlb: number;
  private readonly userFetchTlb: number;
  /** Without entries: alignment is checked. */
  private readonly checkedTlb: number;
  /** Armed data breakpoints. Their pages get no TLB entries. */
  private watches: readonly DataWatch[] = [];
  /** Word indexes of state fields. */
  private readonly dataTlb: number;
  private readonly fetchTlb: number;
  private readonly cr4: number;
  private readonly mmuOnly: number;
  private readonly devicePage: number;
  /** Guest-physical addresses of the two parts of the access under way; the second part is empty, or on the next page. NaN: none yet (base/widen.ts). */
  private gpa1 = Number.NaN;
  private gpa2 = Number.NaN;
  private filter: StoreFilter | null = null;
  private filteredPage = Number.NaN;

  constructor({ layout, state, border, hooks }: MmuParts) {
    this.state = state;
    this.border = border;
    this.hooks = hooks;
    this.tlb = new Tlb(state.views.u32, layout);
    this.walker = new Walker(state, layout, hooks);
    this.u8 = state.views.u8;
    this.u32 = state.views.u32;
    this.attrs = layout.frameAttrs;
    this.ramBase = layout.ramBase;
    this.ramBytes = layout.ramBytes;
    this.scratch = state.base + SCRATCH_AT;
    this.supervisorTlb = layout.dataTlbs;
    this.openTlb = layout.dataTlbs + DATA_TLB_ENTRIES * DATA_TLB_STRIDE;
    this.userTlb = layout.dataTlbs + 2 * DATA_TLB_ENTRIES * DATA_TLB_STRIDE;
    this.checkedTlb = layout.dataTlbs + 3 * DATA_TLB_ENTRIES * DATA_TLB_STRIDE;
    this.userFetchTlb = layout.fetchTlbs + FETCH_TLB_ENTRIES * FETCH_TLB_STRIDE;
    this.dataTlb = (state.base + FIELDS.dataTlb.at) >>> 2;
    this.fetchTlb = (state.base + FIELDS.fetchTlb.at) >>> 2;
    this.cr4 = (state.base + FIELDS.cr4.at) >>> 2;
    this.mmuOnly = (layout.tlbLists + MMU_ONLY) >>> 2;
    this.devicePage = (layout.tlbLists + DEVICE_PAGE) >>> 2;
    for (let frame = DEVICE_HOLE_FIRST; frame < DEVICE_HOLE_END; frame++)
      if (frame * 4096 < layout.ramBytes) this.setFrame(frame, FRAME_MMIO);
  }

  loadSlow(va: number, bytes: number, stack: number): number {
    const tlb = this.u32[this.dataTlb]!;
    if (this.unaligned(va, bytes, tlb) || this.locate(va, bytes, READ, stack, tlb)) return 0;
    if (!this.passWatches(va, bytes, READ, true)) return 0;
    const first = firstPart(va, bytes);
    if (first === bytes && this.isRam(this.gpa1)) return this.ramBase + this.gpa1;
    if (!this.mayTouch(bytes, first)) return 0;
    if (first === bytes && isPiece(bytes)) this.readWhole(bytes);
    else this.gather(bytes, first, this.u8, this.scratch);
    return this.scratch;
  }

  rmwSlow(va: number, bytes: number, stack: number): number {
    const tlb = this.u32[this.dataTlb]!;
    if (this.diverts(va, bytes)) return this.loadDiverted(va, bytes, tlb);
    if (this.unaligned(va, bytes, tlb) || this.locate(va, bytes, WRITE, stack, tlb)) return 0;
    const first = firstPart(va, bytes);
    if (!this.mayStore(bytes, first)) return 0;
    if (!this.passWatches(va, bytes, WRITE, true)) return 0;
    if (first === bytes && this.isPlain(this.gpa1, bytes)) return this.ramBase + this.gpa1;
    this.gather(bytes, first, this.u8, this.scratch);
    return this.scratch;
  }

  storeSlow(va: number, bytes: number, stack: number): 0 | 1 {
    const tlb = this.u32[this.dataTlb]!;
    if (this.diverts(va, bytes)) return this.storeDiverted(va, bytes, tlb);
    if (this.unaligned(va, bytes, tlb) || this.locate(va, bytes, WRITE, stack, tlb)) return 1;
    const first = firstPart(va, bytes);
    if (!this.mayStore(bytes, first)) return 1;
    if (!this.passWatches(va, bytes, WRITE, true)) return 1;
    if (first === bytes && isPiece(bytes) && !this.isRam(this.gpa1)) this.writeWhole(bytes);
    else this.scatter(bytes, first, this.u8, this.scratch);
    return 0;
  }

  probeSlow(va: number, bytes: number, stack: number): 0 | 1 {
    const tlb = this.u32[this.dataTlb]!;
    if (this.diverts(va, bytes)) return this.locate(va, bytes, READ, stack, tlb);
    if (this.unaligned(va, bytes, tlb) || this.locate(va, bytes, WRITE, stack, tlb)) return 1;
    if (!this.mayStore(bytes, firstPart(va, bytes))) return 1;
    return this.passWatches(va, bytes, WRITE, false) ? 0 : 1;
  }

  loadDevice(va: number, bytes: number, stack: number): number {
    if (!this.reachDevice(va)) return this.loadSlow(va, bytes, stack);
    if (!this.actNow()) return 0;
    if (isPiece(bytes)) this.readWhole(bytes);
    else this.readDevice(this.gpa1, bytes, this.u8, this.scratch);
    return this.scratch;
  }

  storeDevice(va: number, bytes: number, stack: number): 0 | 1 {
    if (!this.reachDevice(va)) return this.storeSlow(va, bytes, stack);
    if (!this.actNow()) return 1;
    if (isPiece(bytes)) this.writeWhole(bytes);
    else this.writeDevice(this.gpa1, bytes, this.u8, this.scratch);
    return 0;
  }

  fetch(va: number): number {
    if (!isCanonical(va)) {
      this.state.raise(GP, 0);
      return -1;
    }
    const tlb = this.u32[this.fetchTlb]!;
    const lo = (va & ~0xfff) >>> 0;
    const hi = Math.floor(va / FOUR_GIB) >>> 0;
    const i = this.tlb.fetchEntry(tlb, lo);
    if (this.tlb.holds(i, lo, hi)) return this.tlb.fetchPage(i) + (va & 0xfff);
    if (this.walker.walk(va, FETCH, tlb === this.userFetchTlb, false)) return -1;
    const page = this.walker.page;
    if (this.isRam(page)) this.tlb.fillFetch(i, lo, hi, page, this.walker.flags);
    return page + (va & 0xfff);
  }

  read(va: number, bytes: number, as: AccessAs): boolean {
    if (this.locate(va, bytes, READ, 0, this.tlbFor(as))) return false;
    const first = firstPart(va, bytes);
    if (!this.mayTouch(bytes, first)) return false;
    if (!this.passWatches(va, bytes, READ, true)) return false;
    this.gather(bytes, first, this.bytes, 0);
    return true;
  }

  write(va: number, bytes: number, as: AccessAs): boolean {
    if (!this.probe(va, bytes, as) || !this.passWatches(va, bytes, WRITE, true)) return false;
    this.scatter(bytes, firstPart(va, bytes), this.bytes, 0);
    return true;
  }

  probe(va: number, bytes: number, as: AccessAs): boolean {
    if (this.locate(va, bytes, WRITE, 0, this.tlbFor(as))) return false;
    return this.mayStore(bytes, firstPart(va, bytes)) && this.passWatches(va, bytes, WRITE, false);
  }

  ramAddress(va: number, writes: boolean, as: AccessAs): number {
    if (!isCanonical(va)) return -1;
    const gpa = this.translate(va, writes ? WRITE : READ, this.tlbFor(as));
    return gpa >= 0 && this.isRam(gpa) ? gpa : -1;
  }

  aligned(va: number, bytes: number): boolean {
    return !this.unaligned(va, bytes, this.u32[this.dataTlb]!);
  }

  breakpointsChanged(): void {
    const before = this.watches.length;
    this.watches = dataWatches(this.state);
    this.tellQuickWays();
    if (before !== 0 || this.watches.length !== 0) this.tlb.flushAll();
  }

  flushAll(): void {
    this.tlb.flushAll();
  }

  flushNonGlobal(): void {
    this.tlb.flushNonGlobal();
  }

  flushPage(va: number): void {
    this.tlb.flushPage((va & ~0xfff) >>> 0, Math.floor(va / FOUR_GIB) >>> 0);
  }

  divert(va: number, filter: StoreFilter | null): void {
    this.filter = filter;
    this.filteredPage = Math.floor(va / 4096);
    this.tellQuickWays();
  }

  tlbEntries(): Int32Array {
    return this.tlb.entries();
  }

  isRam(gpa: number): boolean {
    return gpa < this.ramBytes && (this.u8[this.attrs + (gpa >>> 12)]! & FRAME_MMIO) === 0;
  }

  setFrame(frame: number, bits: number): void {
    const old = this.u8[this.attrs + frame]!;
    this.u8[this.attrs + frame] = old | bits;
    if (bits & ~old & FRAME_MMIO) this.tlb.flushAll();
    else if (bits & ~old & (FRAME_CODE | FRAME_WATCH)) this.tlb.closeWrites(frame);
  }

  clearFrame(frame: number, bits: number): void {
    const old = this.u8[this.attrs + frame]!;
    this.u8[this.attrs + frame] = old & ~bits;
    // A page that is clean again must come here once more before it is written.
    if (old & bits & FRAME_DIRTY) this.tlb.closeWrites(frame);
  }

  setAlias(frame: number, target: number): void {
    if (target < 0) this.walker.aliases.delete(frame);
    else this.walker.aliases.set(frame, target);
    this.tlb.flushAll();
  }

  restored(): void {
    this.watches = dataWatches(this.state);
    this.tellQuickWays();
    this.tlb.rebuild();
  }

  /** Those of interp/quick-walk.ts know of neither. */
  private tellQuickWays(): void {
    this.u32[this.mmuOnly] = this.watches.length !== 0 || this.filter !== null ? 1 : 0;
  }

  private diverts(va: number, bytes: number): boolean {
    return (
      this.filter !== null &&
      Math.floor(va / 4096) === this.filteredPage &&
      firstPart(va, bytes) === bytes
    );
  }

  /** False: what is not RAM may be an alias of some. */
  private reachDevice(va: number): boolean {
    this.gpa1 = this.u32[this.devicePage]! + (va & 0xfff);
    return this.walker.aliases.size === 0;
  }

  /** The old value, in SCRATCH, so that the store comes to `storeDiverted`. */
  private loadDiverted(va: number, bytes: number, tlb: number): number {
    if (this.locate(va, bytes, READ, 0, tlb)) return 0;
    this.gather(bytes, bytes, this.u8, this.scratch);
    return this.scratch;
  }

  private storeDiverted(va: number, bytes: number, tlb: number): 0 | 1 {
    if (!isPiece(bytes) || this.locate(va, bytes, READ, 0, tlb)) {
      this.state.setVa('faultAddress', va);
      return this.state.raise(PF, 0);
    }
    if (this.filter!(va, bytes, this.scratchLow(bytes), this.scratchHigh(bytes))) return 0;
    this.state.setVa('faultAddress', va);
    return this.state.raise(PF, 0);
  }

  /** Implicit supervisor accesses obey SMAP whatever AC says. SDM 3A 4.6.1. */
  private tlbFor(as: AccessAs): number {
    if (as === 'current') {
      const tlb = this.u32[this.dataTlb]!;
      return tlb === this.checkedTlb ? this.userTlb : tlb;
    }
    return this.u32[this.cr4]! & CR4_SMAP ? this.supervisorTlb : this.openTlb;
  }

  /** #AC, while it is checked; a non-canonical address is refused first. Ten bytes are aligned as eight. */
  private unaligned(va: number, bytes: number, tlb: number): boolean {
    if (tlb !== this.checkedTlb) return false;
    const mask = bytes === 10 ? 7 : bytes - 1;
    if ((va & mask) === 0 || !isCanonical(va, bytes)) return false;
    this.state.raise(AC, 0);
    return true;
  }

  /** False: the engine has been asked to restart, so that it can stop right after the access. `done`: it is made now. */
  private passWatches(va: number, bytes: number, kind: number, done: boolean): boolean {
    if (this.watches.length === 0) return true;
    let bits = 0;
    for (const w of this.watches)
      if (w.from < va + bytes && va < w.from + w.bytes && (kind === WRITE || !w.writesOnly))
        bits |= w.bit;
    if (bits === 0) return true;
    if (!this.actNow()) return false;
    if (!done) return true;
    pendDebug(this.state, bits);
    this.hooks.debugHit?.();
    return true;
  }

  private watchesPage(va: number): boolean {
    const page = Math.floor(va / 4096);
    return this.watches.some((w) => Math.floor(w.from / 4096) === page);
  }

  /** Translates all pages of the access, into `gpa1` and `gpa2`, before anything is moved. 1: faulted. */
  private locate(va: number, bytes: number, kind: number, stack: number, tlb: number): 0 | 1 {
    if (!isCanonical(va, bytes)) return this.state.raise(stack ? SS : GP, 0);
    const through = tlb === this.checkedTlb ? this.userTlb : tlb;
    this.gpa1 = this.translate(va, kind, through);
    if (this.gpa1 < 0) return 1;
    if (firstPart(va, bytes) === bytes) return 0;
    this.gpa2 = this.translate(this.nextPage(va), kind, through);
    return this.gpa2 < 0 ? 1 : 0;
  }

  /** Outside 64-bit code linear addresses wrap at 4 GiB. SDM 1 3.3.3. */
  private nextPage(va: number): number {
    const next = Math.floor(va / 4096) * 4096 + 4096;
    return next === FOUR_GIB && this.state.get('codeMode') !== 64 ? 0 : next;
  }

  /** Guest-physical address of `va`, or -1: faulted. Fills the TLB; a write also opens the page for the engines. */
  private translate(va: number, kind: number, tlb: number): number {
    const lo = (va & ~0xfff) >>> 0;
    const hi = Math.floor(va / FOUR_GIB) >>> 0;
    const i = this.tlb.dataEntry(tlb, lo);
    if (this.tlb.holds(i, lo, hi) && (kind === READ || this.tlb.mayWrite(i))) {
      const frame = this.tlb.dataFrame(i);
      if (kind === WRITE) this.openWrite(i, frame);
      return frame * 4096 + (va & 0xfff);
    }
    if (
      this.walker.walk(va, kind, tlb === this.userTlb, tlb === this.supervisorTlb && this.smapOn())
    )
      return -1;
    const page = this.walker.page;
    if (this.isRam(page)) {
      if (this.watches.length === 0 || !this.watchesPage(va)) this.enter(i, lo, hi, page, kind);
      else if (kind === WRITE) this.u8[this.attrs + (page >>> 12)]! |= FRAME_DIRTY;
    }
    return page + (va & 0xfff);
  }

  private enter(i: number, lo: number, hi: number, page: number, kind: number): void {
    const frame = page >>> 12;
    this.tlb.fillData(i, lo, hi, page, this.walker.flags);
    const dirty = (this.u8[this.attrs + frame]! & FRAME_DIRTY) !== 0;
    if (kind === WRITE || (dirty && this.tlb.mayWrite(i))) this.openWrite(i, frame);
  }

  private openWrite(i: number, frame: number): void {
    const attr = this.u8[this.attrs + frame]!;
    this.u8[this.attrs + frame] = attr | FRAME_DIRTY;
    if ((attr & (FRAME_CODE | FRAME_WATCH)) === 0) this.tlb.openWrite(i);
  }

  private smapOn(): boolean {
    return (this.u32[this.cr4]! & CR4_SMAP) !== 0;
  }

  /** False: the engine has been asked to restart, since a device would see the access. */
  private mayTouch(bytes: number, first: number): boolean {
    if (this.isRam(this.gpa1) && (first === bytes || this.isRam(this.gpa2))) return true;
    return this.actNow();
  }

  private mayStore(bytes: number, first: number): boolean {
    if (!this.hasEffects(this.gpa1, first)) {
      if (first === bytes || !this.hasEffects(this.gpa2, bytes - first)) return true;
    }
    return this.actNow();
  }

  private actNow(): boolean {
    if (this.hooks.mayActNow()) return true;
    this.hooks.restart();
    return false;
  }

  private hasEffects(gpa: number, bytes: number): boolean {
    return !this.isRam(gpa) || this.touchesCode(gpa, bytes);
  }

  private touchesCode(gpa: number, bytes: number): boolean {
    if ((this.u8[this.attrs + (gpa >>> 12)]! & FRAME_CODE) === 0) return false;
    return this.hooks.codeAt ? this.hooks.codeAt(gpa, bytes) : true;
  }

  /** May an engine store here directly? */
  private isPlain(gpa: number, bytes: number): boolean {
    if (this.hasEffects(gpa, bytes)) return false;
    return (this.u8[this.attrs + (gpa >>> 12)]! & FRAME_WATCH) === 0;
  }

  private gather(bytes: number, first: number, to: Uint8Array, at: number): void {
    this.readPart(this.gpa1, first, to, at);
    if (first !== bytes) this.readPart(this.gpa2, bytes - first, to, at + first);
  }

  private scatter(bytes: number, first: number, from: Uint8Array, at: number): void {
    this.writePart(this.gpa1, first, from, at);
    if (first !== bytes) this.writePart(this.gpa2, bytes - first, from, at + first);
  }

  private readPart(gpa: number, bytes: number, to: Uint8Array, at: number): void {
    if (!this.isRam(gpa)) {
      this.readDevice(gpa, bytes, to, at);
      return;
    }
    const from = this.ramBase + gpa;
    if (bytes > BYTE_BY_BYTE) to.set(this.u8.subarray(from, from + bytes), at);
    else for (let n = 0; n < bytes; n++) to[at + n] = this.u8[from + n]!;
  }

  private writePart(gpa: number, bytes: number, from: Uint8Array, at: number): void {
    if (!this.isRam(gpa)) {
      this.writeDevice(gpa, bytes, from, at);
      return;
    }
    const to = this.ramBase + gpa;
    if (bytes > BYTE_BY_BYTE) this.u8.set(from.subarray(at, at + bytes), to);
    else for (let n = 0; n < bytes; n++) this.u8[to + n] = from[at + n]!;
    if (this.touchesCode(gpa, bytes)) this.hooks.codeWritten(gpa, bytes);
    const watched = (this.u8[this.attrs + (gpa >>> 12)]! & FRAME_WATCH) !== 0;
    if (watched && this.hooks.watchedWritten) this.hooks.watchedWritten(gpa, bytes);
  }

  /** A device's answer to an access of the engines, which are given it in SCRATCH. */
  private readWhole(bytes: number): void {
    const { out } = this;
    out[0] = 0;
    out[1] = 0;
    this.border.mmioRead(this.gpa1, bytes, out);
    this.u32[this.scratch >>> 2] = out[0]!;
    this.u32[(this.scratch >>> 2) + 1] = out[1]!;
  }

  private writeWhole(bytes: number): void {
    this.border.mmioWrite(this.gpa1, bytes, this.scratchLow(bytes), this.scratchHigh(bytes));
  }

  /** What SCRATCH holds of an access of 1, 2, 4 or 8 bytes. */
  private scratchLow(bytes: number): number {
    const lo = this.u32[this.scratch >>> 2]!;
    return bytes >= 4 ? lo : lo & ((1 << (8 * bytes)) - 1);
  }

  private scratchHigh(bytes: number): number {
    return bytes === 8 ? this.u32[(this.scratch >>> 2) + 1]! : 0;
  }

  /** Devices see the access whole if it has 1, 2, 4 or 8 bytes, and else the largest such pieces from the bottom up. */
  private readDevice(gpa: number, bytes: number, to: Uint8Array, at: number): void {
    for (let done = 0; done < bytes; ) {
      const size = pieceOf(bytes - done);
      this.out.fill(0);
      this.border.mmioRead(gpa + done, size, this.out);
      for (let n = 0; n < size; n++) to[at + done + n] = this.out[n >>> 2]! >>> ((n & 3) * 8);
      done += size;
    }
  }

  private writeDevice(gpa: number, bytes: number, from: Uint8Array, at: number): void {
    for (let done = 0; done < bytes; ) {
      const size = pieceOf(bytes - done);
      this.out.fill(0);
      for (let n = 0; n < size; n++)
        this.out[n >>> 2] = this.out[n >>> 2]! | (from[at + done + n]! << ((n & 3) * 8));
      this.border.mmioWrite(gpa + done, size, this.out[0]!, this.out[1]!);
      done += size;
    }
  }
}
