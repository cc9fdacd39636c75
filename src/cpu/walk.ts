// Page walks: 32-bit, PAE and 4-level tables, with the checks, accessed and dirty flags and error codes of SDM 3A 4.3 to 4.8.

import {
  CR0_PG,
  CR0_WP,
  CR4_PAE,
  CR4_PGE,
  CR4_PSE,
  CR4_SMEP,
  EFER_LMA,
  EFER_NXE,
  PF,
} from './control-bits.ts';
import { FRAME_CODE, FRAME_DIRTY, FRAME_MMIO } from './frames.ts';
import type { MmuHooks } from './mmu.ts';
import { FIELDS, type Layout, type State } from './state.ts';
import { ENTRY_GLOBAL, ENTRY_SIZE_SHIFT, ENTRY_WRITE } from './tlb.ts';

export const READ = 0;
export const WRITE = 1;
export const FETCH = 2;

/** Page-table entries. SDM 3A table 4-19 and its neighbours. */
export const PTE_P = 1;
export const PTE_RW = 2;
export const PTE_US = 4;
export const PTE_A = 0x20;
export const PTE_D = 0x40;
export const PTE_PS = 0x80;
export const PTE_G = 0x100;
/** Bits 40..51, and 40..62 in PAE tables, in the high half; XD is bit 63. */
export const RESERVED_HI = 0xfff00;
export const RESERVED_HI_PAE = 0x7fffff00;
export const XD = 0x80000000 | 0;
/** A PAE page-directory-pointer entry: bits 1, 2, 5..8 and 40..63 are reserved. SDM 3A table 4-8. */
export const RESERVED_PDPTE_LO = 0x1e6;

/** Error code of #PF. SDM 3A 4.7. */
export const PF_P = 1;
export const PF_W = 2;
export const PF_U = 4;
export const PF_RSVD = 8;
export const PF_I = 16;

const FOUR_GIB = 4294967296;

/** The outcome of a walk is in its fields, so that a walk allocates nothing. */
export class Walker {
  /** Guest-physical address of the 4 KiB that hold the address; flags of the TLB entry for it. */
  page = 0;
  flags = 0;
  /** Frames that are not RAM, and where their bytes lie in it. */
  readonly aliases = new Map<number, number>();

  private readonly state: State;
  private readonly hooks: MmuHooks;
  private readonly u32: Uint32Array;
  private readonly u8: Uint8Array;
  private readonly ramBase: number;
  private readonly ramBytes: number;
  private readonly attrs: number;
  private readonly cr0: number;
  private readonly cr3: number;
  private readonly cr4: number;
  private readonly efer: number;
  /** The access: address, kind, privilege, SMAP in force. */
  private va = 0;
  private kind = READ;
  private user = false;
  private smap = false;
  /** The entry just read, and the rights collected so far. */
  private lo = 0;
  private hi = 0;
  private rights = 0;
  private noExecute = false;
  /** Where the entries of this walk are, from the root. */
  private readonly path = new Float64Array(4);
  private depth = 0;

  constructor(state: State, layout: Layout, hooks: MmuHooks) {
    this.state = state;
    this.hooks = hooks;
    this.u32 = state.views.u32;
    this.u8 = state.views.u8;
    this.ramBase = layout.ramBase;
    this.ramBytes = layout.ramBytes;
    this.attrs = layout.frameAttrs;
    this.cr0 = (state.base + FIELDS.cr0.at) >>> 2;
    this.cr3 = (state.base + FIELDS.cr3.at) >>> 2;
    this.cr4 = (state.base + FIELDS.cr4.at) >>> 2;
    this.efer = (state.base + FIELDS.efer.at) >>> 2;
  }

  /** 0: `page` and `flags` say where `va` is. 1: a fault is raised (or the engine has been asked to restart). */
  walk(va: number, kind: number, user: boolean, smap: boolean): 0 | 1 {
    this.va = va;
    this.kind = kind;
    this.user = user;
    this.smap = smap;
    this.rights = PTE_RW | PTE_US;
    this.noExecute = false;
    this.depth = 0;
    const lo = va >>> 0;
    if ((this.u32[this.cr0]! & CR0_PG) === 0) {
      const page = (lo & ~0xfff) >>> 0;
      this.page = this.isRam(page) ? page : this.aliased(page);
      this.flags = ENTRY_WRITE | (12 << ENTRY_SIZE_SHIFT);
      return 0;
    }
    if (this.u32[this.efer]! & EFER_LMA) return this.walk64(lo, Math.floor(va / FOUR_GIB));
    if (this.u32[this.cr4]! & CR4_PAE) return this.walkPae(lo);
    return this.walk32(lo);
  }

  /** 4-level paging. SDM 3A 4.5. */
  private walk64(lo: number, hi: number): 0 | 1 {
    let table =
      (this.u32[this.cr3 + 1]! & 0xff) * FOUR_GIB + ((this.u32[this.cr3]! & ~0xfff) >>> 0);
    for (let level = 4; ; level--) {
      const index =
        level === 4 ? hi >>> 7 : level === 3 ? (hi << 2) | (lo >>> 30) : lo >>> (9 * level + 3);
      this.read64(table + (index & 0x1ff) * 8);
      if ((this.lo & PTE_P) === 0) return this.fault(0);
      if (this.hi & RESERVED_HI) return this.fault(PF_P | PF_RSVD);
      if (!this.collect64()) return this.fault(PF_P | PF_RSVD);
      if (level === 1) return this.leaf();
      if (this.lo & PTE_PS) {
        if (level === 4) return this.fault(PF_P | PF_RSVD);
        return this.large64(lo, 9 * level + 3);
      }
      table = (this.hi & 0xff) * FOUR_GIB + ((this.lo & ~0xfff) >>> 0);
    }
  }

  /** PAE paging. AMD's processors read the page-directory-pointer table when they need it: APM 2 5.2.3. SDM 3A 4.4. */
  private walkPae(lo: number): 0 | 1 {
    this.read64(((this.u32[this.cr3]! & ~0x1f) >>> 0) + (lo >>> 30) * 8);
    if ((this.lo & PTE_P) === 0) return this.fault(0);
    if (this.lo & RESERVED_PDPTE_LO || this.hi & ~0xff) return this.fault(PF_P | PF_RSVD);
    this.depth = 0; // This entry has no accessed flag.
    let table = (this.hi & 0xff) * FOUR_GIB + ((this.lo & ~0xfff) >>> 0);
    for (let level = 2; ; level--) {
      this.read64(table + ((lo >>> (9 * level + 3)) & 0x1ff) * 8);
      if ((this.lo & PTE_P) === 0) return this.fault(0);
      if (this.hi & RESERVED_HI_PAE) return this.fault(PF_P | PF_RSVD);
      if (!this.collect64()) return this.fault(PF_P | PF_RSVD);
      if (level === 1) return this.leaf();
      if (this.lo & PTE_PS) return this.large64(lo, 21);
      table = (this.hi & 0xff) * FOUR_GIB + ((this.lo & ~0xfff) >>> 0);
    }
  }

  /** 32-bit paging. SDM 3A 4.3. */
  private walk32(lo: number): 0 | 1 {
    this.read32(((this.u32[this.cr3]! & ~0xfff) >>> 0) + (lo >>> 22) * 4);
    if ((this.lo & PTE_P) === 0) return this.fault(0);
    this.rights &= this.lo;
    if (this.lo & PTE_PS && this.u32[this.cr4]! & CR4_PSE) {
      if (this.lo & (1 << 21)) return this.fault(PF_P | PF_RSVD);
      // PSE-36: bits 13..20 of the entry are bits 32..39 of the address.
      const high = (this.lo >>> 13) & 0xff;
      return this.finish(high * FOUR_GIB + (((this.lo & 0xffc00000) | (lo & 0x3ff000)) >>> 0), 22);
    }
    this.read32(((this.lo & ~0xfff) >>> 0) + ((lo >>> 12) & 0x3ff) * 4);
    if ((this.lo & PTE_P) === 0) return this.fault(0);
    this.rights &= this.lo;
    return this.finish((this.lo & ~0xfff) >>> 0, 12);
  }

  /** False: XD is set without EFER.NXE, where it is reserved. */
  private collect64(): boolean {
    this.rights &= this.lo;
    if ((this.hi & XD) === 0) return true;
    this.noExecute = true;
    return (this.u32[this.efer]! & EFER_NXE) !== 0;
  }

  private large64(lo: number, shift: number): 0 | 1 {
    const within = shift === 30 ? 0x3ffff000 : 0x1ff000;
    // Bit 12 is PAT; the bits between it and the page's own are reserved.
    if (this.lo & within & ~0x1000) return this.fault(PF_P | PF_RSVD);
    const base = (this.lo & ~0xfff & ~within) >>> 0;
    return this.finish((this.hi & 0xff) * FOUR_GIB + ((base | (lo & within)) >>> 0), shift);
  }

  private leaf(): 0 | 1 {
    return this.finish((this.hi & 0xff) * FOUR_GIB + ((this.lo & ~0xfff) >>> 0), 12);
  }

  /** Access rights, then accessed and dirty flags. SDM 3A 4.6.1, 4.8. */
  private finish(page: number, shift: number): 0 | 1 {
    if (!this.permitted()) return this.fault(PF_P);
    const wp = (this.u32[this.cr0]! & CR0_WP) !== 0;
    const writable = (this.rights & PTE_RW) !== 0 || (!this.user && !wp);
    for (let n = 0; n < this.depth - 1; n++) if (!this.mark(this.path[n]!, PTE_A)) return 1;
    if (!this.mark(this.path[this.depth - 1]!, this.kind === WRITE ? PTE_A | PTE_D : PTE_A))
      return 1;
    const dirty = this.kind === WRITE || (this.lo & PTE_D) !== 0;
    const global = (this.lo & PTE_G) !== 0 && (this.u32[this.cr4]! & CR4_PGE) !== 0;
    this.page = this.isRam(page) ? page : this.aliased(page);
    this.flags =
      (global ? ENTRY_GLOBAL : 0) |
      (writable && dirty ? ENTRY_WRITE : 0) |
      (shift << ENTRY_SIZE_SHIFT);
    return 0;
  }

  private permitted(): boolean {
    const userPage = (this.rights & PTE_US) !== 0;
    const writablePage = (this.rights & PTE_RW) !== 0;
    if (this.kind === FETCH) {
      if (this.noExecute) return false;
      return this.user ? userPage : !userPage || (this.u32[this.cr4]! & CR4_SMEP) === 0;
    }
    if (this.user) return userPage && (this.kind === READ || writablePage);
    if (this.smap && userPage) return false;
    return this.kind === READ || writablePage || (this.u32[this.cr0]! & CR0_WP) === 0;
  }

  private fault(cause: number): 1 {
    const cr4 = this.u32[this.cr4]!;
    const canDenyFetch =
      (cr4 & CR4_SMEP) !== 0 || ((cr4 & CR4_PAE) !== 0 && (this.u32[this.efer]! & EFER_NXE) !== 0);
    const error =
      cause |
      (this.kind === WRITE ? PF_W : 0) |
      (this.user ? PF_U : 0) |
      (this.kind === FETCH && canDenyFetch ? PF_I : 0);
    this.state.setVa('faultAddress', this.va);
    return this.state.raise(PF, error);
  }

  private isRam(gpa: number): boolean {
    return (
      gpa < this.ramBytes && (this.u8[this.attrs + Math.floor(gpa / 4096)]! & FRAME_MMIO) === 0
    );
  }

  /** Where the bytes lie of an address that is not RAM: the address itself if nowhere. */
  private aliased(gpa: number): number {
    if (this.aliases.size === 0) return gpa;
    const target = this.aliases.get(Math.floor(gpa / 4096));
    return target === undefined ? gpa : target * 4096 + (gpa & 0xfff);
  }

  /** A table outside RAM floats: all its bits are set. */
  private read64(at: number): void {
    const gpa = this.isRam(at) ? at : this.aliased(at);
    this.path[this.depth++] = gpa;
    if (!this.isRam(gpa)) {
      this.lo = -1;
      this.hi = -1;
      return;
    }
    const i = (this.ramBase + gpa) >>> 2;
    this.lo = this.u32[i]! | 0;
    this.hi = this.u32[i + 1]! | 0;
  }

  private read32(at: number): void {
    const gpa = this.isRam(at) ? at : this.aliased(at);
    this.path[this.depth++] = gpa;
    this.lo = this.isRam(gpa) ? this.u32[(this.ramBase + gpa) >>> 2]! | 0 : -1;
    this.hi = 0;
  }

  /** False: the table holds decoded code, which may not change in the middle of a block; the engine starts again. */
  private mark(gpa: number, bits: number): boolean {
    if (!this.isRam(gpa)) return true;
    const i = (this.ramBase + gpa) >>> 2;
    const old = this.u32[i]!;
    if ((old & bits) === bits) return true;
    const attr = this.attrs + (gpa >>> 12);
    const code = (this.u8[attr]! & FRAME_CODE) !== 0;
    if (code && !this.hooks.mayActNow()) {
      this.hooks.restart();
      return false;
    }
    this.u32[i] = old | bits;
    this.u8[attr] = this.u8[attr]! | FRAME_DIRTY;
    if (code) this.hooks.codeWritten(gpa, 1);
    return true;
  }
}
