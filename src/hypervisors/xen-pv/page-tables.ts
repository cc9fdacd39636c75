// Page tables under Xen's rules: what an entry may refer to, validation of whole tables, and checked changes of entries.

import type { Cpu } from '../../cpu/core.ts';
import { FRAME_CODE, FRAME_DIRTY } from '../../cpu/frames.ts';
import { EBUSY, EINVAL, EPERM } from '../xen/abi/errno.ts';
import { HYPERVISOR_VIRT_START_PAE } from './abi.ts';
import { fixDescriptor } from './descriptors.ts';
import {
  type FrameTable,
  TYPE_DESCRIPTORS,
  TYPE_L1,
  TYPE_L2,
  TYPE_L3,
  TYPE_L4,
  TYPE_WRITABLE,
  TYPE_XEN_L2,
} from './frames.ts';

/** Flags in the low half of an entry. SDM 3A 4.5. */
export const PTE_P = 1;
export const PTE_RW = 2;
export const PTE_US = 4;
export const PTE_PWT = 8;
export const PTE_PCD = 0x10;
export const PTE_A = 0x20;
export const PTE_D = 0x40;
export const PTE_PAT = 0x80;
export const PTE_G = 0x100;
const PTE_AVAIL = 0xe00;
const FLAGS = 0xfff;
/** In the high half: XD, the bits that software may use, and the one by which Xen knows kernel pages. */
const HI_XD = 0x80000000 | 0;
const HI_AVAIL = 0x7ff00000;
const HI_KERNEL = 1 << 20;

/**
 * What a guest without devices may say in an entry: P, RW, US, A, D, the available bits, XD; G in an L1 entry. Large pages
 * and cache attributes are refused. (Xen 4.17, base_disallow_mask and l1_disallow_mask of arch/x86/mm.c.)
 */
const ALLOWED = PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D | PTE_AVAIL;
const REFUSED = FLAGS & ~ALLOWED;
const REFUSED_L1 = REFUSED & ~PTE_G;
/** A change of these alone keeps what the entry refers to. */
const HARMLESS = PTE_AVAIL | PTE_G | PTE_D | PTE_A | PTE_US;

const WORDS = 1024;
const ENTRIES = 512;
const MFN_HIGH = 0x100000;
/** Frame numbers of 40 bits, all ones: what a guest says for "no frame". */
const INVALID_MFN = MFN_HIGH * MFN_HIGH - 1;

/** The slots of a top-level table that are Xen's (arch-x86/xen-x86_64.h, __HYPERVISOR_VIRT_START). */
export const FIRST_XEN_SLOT = 256;
export const LAST_XEN_SLOT = 271;

/**
 * 32-bit guests have three levels. The last of the four entries of their L3 refers to an L2 of which Xen has the end, from
 * HYPERVISOR_VIRT_START_PAE on (arch-x86/xen-x86_32.h).
 */
const NARROW_L3_ENTRIES = 4;
const XEN_L2_SLOT = 3;
export const FIRST_XEN_L2_SLOT = (HYPERVISOR_VIRT_START_PAE >>> 21) & 0x1ff;
/** Neither XD nor available bits in an L3 entry of theirs (Xen 4.17, l3_disallow_mask). */
const REFUSED_NARROW_L3_HI = HI_XD | HI_AVAIL;

export type XenEntry = readonly [slot: number, lo: number, hi: number];

export interface XenSlots {
  /** Entries that Xen puts into each top-level table. */
  readonly entries: readonly XenEntry[];
  /** And into each last L2 table of a 32-bit guest. */
  readonly narrowEntries: readonly XenEntry[];
}

export class PageTables {
  readonly frames: FrameTable;
  readonly slots: XenSlots;
  private readonly width: { readonly narrow: boolean };
  private readonly cpu: Cpu;
  private readonly u32: Uint32Array;
  private readonly u8: Uint8Array;
  /** Word index of RAM, and byte index of the attributes of its frames. */
  private readonly ram: number;
  private readonly attrs: number;
  /** A frame has lost its last reference. */
  onFree: (mfn: number) => void = () => {};

  constructor(cpu: Cpu, frames: FrameTable, slots: XenSlots, width: { readonly narrow: boolean }) {
    this.cpu = cpu;
    this.width = width;
    this.frames = frames;
    this.slots = slots;
    this.u32 = cpu.views.u32;
    this.u8 = cpu.views.u8;
    this.ram = cpu.layout.ramBase >>> 2;
    this.attrs = cpu.layout.frameAttrs;
  }

  /** The type of the tables that an address space begins with. */
  get topType(): number {
    return this.width.narrow ? TYPE_L3 : TYPE_L4;
  }

  /** Low and high half of an entry. */
  lo(table: number, slot: number): number {
    return this.u32[this.ram + table * WORDS + slot * 2]! | 0;
  }
  hi(table: number, slot: number): number {
    return this.u32[this.ram + table * WORDS + slot * 2 + 1]! | 0;
  }

  put(table: number, slot: number, lo: number, hi: number): void {
    const i = this.ram + table * WORDS + slot * 2;
    this.u32[i] = lo;
    this.u32[i + 1] = hi;
    const attr = this.u8[this.attrs + table]!;
    this.u8[this.attrs + table] = attr | FRAME_DIRTY;
    if (attr & FRAME_CODE) this.cpu.ramWritten(table * 4096 + slot * 8, 8);
  }

  flushAll(): void {
    this.cpu.mmu.flushAll();
    this.frames.flushed();
  }

  /** One more use of a frame as `type`, validating it if it is the first. 0 or an error. */
  getType(mfn: number, type: number): number {
    const { frames } = this;
    if (frames.uses(mfn) !== 0) {
      // A table that is being validated is not one yet: it cannot refer to itself.
      if (frames.typeOf(mfn) !== type || !frames.isValidated(mfn)) return -EINVAL;
      frames.addUse(mfn);
      return 0;
    }
    if (frames.beginType(mfn, type)) this.flushAll();
    if (frames.isValidated(mfn)) return 0;
    const error = this.validateAs(mfn, type);
    if (error !== 0) {
      frames.forgetType(mfn);
      return error;
    }
    frames.setValidated(mfn, true);
    return 0;
  }

  private validateAs(mfn: number, type: number): number {
    if (isTableType(type)) return this.validate(mfn, type);
    return type === TYPE_DESCRIPTORS ? this.validateDescriptors(mfn) : 0;
  }

  /** Each descriptor of the page, used or not, is made fit for the guest, or the page is refused (alloc_segdesc_page). */
  private validateDescriptors(mfn: number): number {
    const d = { lo: 0, hi: 0 };
    for (let n = 0; n < ENTRIES; n++) {
      d.lo = this.lo(mfn, n);
      d.hi = this.hi(mfn, n);
      if (!fixDescriptor(d, this.width.narrow)) return -EINVAL;
      if (d.lo !== this.lo(mfn, n) || d.hi !== this.hi(mfn, n)) this.put(mfn, n, d.lo, d.hi);
    }
    return 0;
  }

  putType(mfn: number): void {
    const { frames } = this;
    const type = frames.typeOf(mfn);
    if (!frames.dropUse(mfn)) return;
    if (!isTableType(type)) return;
    frames.setValidated(mfn, false);
    for (let slot = 0; slot < ENTRIES; slot++) {
      if (!isXenSlot(type, slot)) this.release(mfn, type, this.lo(mfn, slot), this.hi(mfn, slot));
    }
  }

  putFrame(mfn: number): void {
    if (this.frames.put(mfn)) this.onFree(mfn);
  }

  /** A reference to the frame and one more use of it. 0 or an error. */
  getFrameAndType(mfn: number, type: number): number {
    if (!this.frames.get(mfn)) return -EINVAL;
    const error = this.getType(mfn, type);
    if (error !== 0) this.putFrame(mfn);
    return error;
  }

  putFrameAndType(mfn: number): void {
    this.putType(mfn);
    this.putFrame(mfn);
  }

  /** Checks every entry and takes what they refer to; undoes it all when one fails. */
  private validate(table: number, type: number): number {
    const short = type === TYPE_L3 && this.width.narrow;
    // Guests own four entries of the page that the L3 lies in; the processor, which is in long mode, sees them all.
    if (short) this.clear(table, NARROW_L3_ENTRIES, ENTRIES - 1);
    for (let slot = 0; slot < ENTRIES; slot++) {
      if (isXenSlot(type, slot)) continue;
      const lo = this.lo(table, slot);
      const needed = short && slot === XEN_L2_SLOT;
      if ((lo & PTE_P) === 0 && !needed) continue;
      const hi = this.hi(table, slot);
      const error = this.acquire(table, type, slot, lo, hi);
      if (error !== 0) {
        for (let done = 0; done < slot; done++) {
          if (!isXenSlot(type, done))
            this.release(table, type, this.lo(table, done), this.hi(table, done));
        }
        return error;
      }
      this.putAdjusted(table, slot, type, lo, hi);
    }
    this.putXenSlots(table, type);
    return 0;
  }

  private putXenSlots(table: number, type: number): void {
    if (type === TYPE_L4) {
      this.clear(table, FIRST_XEN_SLOT, LAST_XEN_SLOT);
      for (const [slot, lo, hi] of this.slots.entries) this.put(table, slot, lo, hi);
    } else if (type === TYPE_XEN_L2) {
      this.clear(table, FIRST_XEN_L2_SLOT, ENTRIES - 1);
      for (const [slot, lo, hi] of this.slots.narrowEntries) this.put(table, slot, lo, hi);
    }
  }

  private clear(table: number, first: number, last: number): void {
    for (let slot = first; slot <= last; slot++) this.put(table, slot, 0, 0);
  }

  /** Takes what an entry of a table of `type` refers to; it is present, or must be. */
  private acquire(table: number, type: number, slot: number, lo: number, hi: number): number {
    if (type === TYPE_L1) return this.acquireL1(lo, hi);
    if (lo & REFUSED) return -EINVAL;
    if (type === TYPE_L3 && this.width.narrow) return this.acquireNarrowL3(slot, lo, hi);
    const error = this.getFrameAndType(mfnOf(lo, hi), levelOf(type) - 1);
    return error !== 0 && this.acquireLinear(table, lo, hi) ? 0 : error;
  }

  /**
   * An entry may refer to a table of its own level, read-only: a linear page table. To its own table it holds no reference; a
   * chain of them would need a stack to undo, so no table is at both ends. (Xen 4.17, define_get_linear_pagetable.)
   */
  private acquireLinear(table: number, lo: number, hi: number): boolean {
    const { frames } = this;
    const mfn = mfnOf(lo, hi);
    if (lo & PTE_RW) return false;
    if (mfn === table) return true;
    if (mfn >= frames.count || frames.typeOf(mfn) !== frames.typeOf(table)) return false;
    if (frames.uses(mfn) === 0 || !frames.isValidated(mfn) || !frames.link(table, mfn))
      return false;
    if (!frames.get(mfn)) {
      frames.unlink(table, mfn);
      return false;
    }
    frames.addUse(mfn);
    return true;
  }

  /** The L2 of the last GiB must be there, and be this address space's alone (Xen 4.17, create_pae_xen_mappings). */
  private acquireNarrowL3(slot: number, lo: number, hi: number): number {
    if ((lo & PTE_P) === 0 || hi & REFUSED_NARROW_L3_HI) return -EINVAL;
    const mfn = mfnOf(lo, hi);
    if (slot !== XEN_L2_SLOT) return this.getFrameAndType(mfn, TYPE_L2);
    const error = this.getFrameAndType(mfn, TYPE_XEN_L2);
    if (error !== 0 || this.frames.uses(mfn) === 1) return error;
    this.putFrameAndType(mfn);
    return -EINVAL;
  }

  private acquireL1(lo: number, hi: number): number {
    if (lo & REFUSED_L1) return -EINVAL;
    const mfn = mfnOf(lo, hi);
    if (mfn >= this.frames.count) return mfn === INVALID_MFN ? -EINVAL : -EPERM;
    if (!this.frames.get(mfn)) return -EBUSY;
    if ((lo & PTE_RW) === 0 || this.getType(mfn, TYPE_WRITABLE) === 0) return 0;
    this.putFrame(mfn);
    return -EBUSY;
  }

  /** Gives back what an entry refers to. */
  private release(table: number, type: number, lo: number, hi: number): void {
    if ((lo & PTE_P) === 0) return;
    const mfn = mfnOf(lo, hi);
    if (mfn === table && type !== TYPE_L1) return;
    if (type === TYPE_L1) {
      if (lo & PTE_RW) this.putType(mfn);
      this.putFrame(mfn);
      return;
    }
    if (this.frames.typeOf(mfn) === type) this.frames.unlink(table, mfn);
    this.putFrameAndType(mfn);
  }

  /**
   * Kernel and user of a 64-bit guest both run in ring 3, so Xen makes every page a user's; it marks the kernel's by bit 52,
   * and the user's as global, since those survive the switch between both. A 32-bit guest's entries stay as they are, but for
   * the L3's, which have no such bits in PAE's own form and need them here. A root's entries count as accessed at once: Xen may
   * run on a copy of it, in which the processor's mark would be lost. (Xen 4.17, adjust_guest_l1e and its kind.)
   */
  private putAdjusted(table: number, slot: number, type: number, lo: number, hi: number): void {
    const { narrow } = this.width;
    let newLo = narrow ? (type === TYPE_L3 ? lo | PTE_US | PTE_RW : lo) : lo | PTE_US;
    let newHi = hi;
    if (type === TYPE_L4) newLo |= PTE_A;
    if (type === TYPE_L1 && !narrow) {
      if ((lo & PTE_US) === 0) newHi |= HI_KERNEL;
      if ((newHi & HI_KERNEL) === 0) newLo |= PTE_G;
    }
    if (newLo !== this.lo(table, slot) || newHi !== this.hi(table, slot))
      this.put(table, slot, newLo, newHi);
  }

  /**
   * Changes one entry of a table of `type` (its frame's type, held by the caller) under all checks. `preserve`: A and D
   * stay as they were (MMU_PT_UPDATE_PRESERVE_AD).
   */
  change(
    table: number,
    slot: number,
    type: number,
    newLo: number,
    hi: number,
    preserve: boolean,
  ): number {
    if (isXenSlot(type, slot)) return type === TYPE_L4 ? -EINVAL : -EPERM;
    // Xen's mappings hang on the last one of them (Xen 4.17, mod_l3_entry).
    if (type === TYPE_L3 && this.width.narrow && slot >= XEN_L2_SLOT) return -EINVAL;
    const oldLo = this.lo(table, slot);
    const oldHi = this.hi(table, slot);
    const lo = preserve ? newLo | (oldLo & (PTE_A | PTE_D)) : newLo;
    if ((lo & PTE_P) === 0) {
      this.put(table, slot, lo, hi);
      this.release(table, type, oldLo, oldHi);
      return 0;
    }
    if (lo & (type === TYPE_L1 ? REFUSED_L1 : REFUSED)) return -EINVAL;
    if (sameReference(lo, hi, oldLo, oldHi)) {
      this.putAdjusted(table, slot, type, lo, hi);
      return 0;
    }
    const error = this.acquire(table, type, slot, lo, hi);
    if (error !== 0) return error;
    this.putAdjusted(table, slot, type, lo, hi);
    this.release(table, type, oldLo, oldHi);
    return 0;
  }

  /** Frame of the L1 table that maps `va` in the address space of `root`, or -1. */
  l1Of(root: number, va: number): number {
    const low = va | 0;
    const high = Math.floor(va / 4294967296) | 0;
    const l3 = this.width.narrow ? root : this.below(root, slotOf(low, high, TYPE_L4));
    const l2 = l3 < 0 ? -1 : this.below(l3, slotOf(low, high, TYPE_L3));
    return l2 < 0 ? -1 : this.below(l2, slotOf(low, high, TYPE_L2));
  }

  /** The table that an entry refers to, or -1. */
  private below(table: number, slot: number): number {
    const lo = this.lo(table, slot);
    if ((lo & PTE_P) === 0 || lo & PTE_PAT) return -1;
    const mfn = mfnOf(lo, this.hi(table, slot));
    return mfn < this.frames.count ? mfn : -1;
  }

  isTable(mfn: number): boolean {
    return isTableType(this.frames.typeOf(mfn)) && this.frames.uses(mfn) !== 0;
  }
}

/** The frame that an entry refers to. */
export function mfnOf(lo: number, hi: number): number {
  return (hi & 0xfffff) * MFN_HIGH + (lo >>> 12);
}

/** Index of the entry for an address in an L1 table, by its low half. */
export const l1Slot = (low: number): number => (low >>> 12) & 0x1ff;

/** The same in a table of `level`. */
export function slotOf(low: number, high: number, level: number): number {
  if (level === 4) return (high >>> 7) & 0x1ff;
  if (level === 3) return ((high << 2) | (low >>> 30)) & 0x1ff;
  return (low >>> (9 * level + 3)) & 0x1ff;
}

function isTableType(type: number): boolean {
  return (type >= TYPE_L1 && type <= TYPE_L4) || type === TYPE_XEN_L2;
}

const levelOf = (type: number): number => (type === TYPE_XEN_L2 ? TYPE_L2 : type);

/** Entries of a table of `type` that are Xen's. */
function isXenSlot(type: number, slot: number): boolean {
  if (type === TYPE_L4) return slot >= FIRST_XEN_SLOT && slot <= LAST_XEN_SLOT;
  return type === TYPE_XEN_L2 && slot >= FIRST_XEN_L2_SLOT;
}

/** Both present, and different in nothing that a reference hangs on. */
function sameReference(lo: number, hi: number, oldLo: number, oldHi: number): boolean {
  if ((oldLo & PTE_P) === 0) return false;
  return ((lo ^ oldLo) & ~HARMLESS) === 0 && ((hi ^ oldHi) & ~(HI_XD | HI_AVAIL)) === 0;
}
