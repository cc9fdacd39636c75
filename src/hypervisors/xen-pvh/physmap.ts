// The physical memory of a PVH guest: which frames are there, and which of them are the hypervisor's own.

import { FRAME_MMIO } from '../../cpu/frames.ts';
import type { Platform } from '../define.ts';
import type { XenDomain } from '../xen/domain.ts';

export const PAGE_BYTES = 4096;
/**
 * Memory beside the guest's, right behind it: rings, shared_info, grant tables, and what the guest has memory put into
 * outside its RAM. Reserved in its memory map; a host finds pages for it only when they are used.
 */
const OWN_BYTES = 64 << 20;
/** 40 bits of physical address, as CPUID says (cpu/cpuid.ts). */
const FRAMES_END = 2 ** 28;

export const ownBytes = (): number => OWN_BYTES;

export interface PhysmapState {
  /** A byte for each frame of the guest's RAM: 1 if that is not what the guest finds there. */
  away: Uint8Array;
  /** Frames where the guest finds one of the hypervisor's; `lent`: as its own memory. */
  placed: { gfn: number; frame: number; lent: boolean }[];
  /** Frames of the hypervisor's own given out so far, and those given back. */
  given: number;
  free: number[];
  /** The guest's reservation, in frames. */
  reserved: number;
  /** What XENMEM_memory_map tells, as XENMEM_set_memory_map changes it. */
  memoryMap: number[];
}

export class Physmap {
  readonly state: PhysmapState;
  /** Frames of RAM that the guest may have. */
  readonly maximum: number;
  private readonly platform: Platform;
  /** What `state.placed` says, to be found by gfn. */
  private readonly frameAt = new Map<number, number>();

  constructor(platform: Platform) {
    this.platform = platform;
    this.maximum = platform.memoryBytes / PAGE_BYTES;
    const away = new Uint8Array(this.maximum);
    this.state = {
      away,
      placed: [],
      given: 0,
      free: [],
      reserved: this.maximum,
      memoryMap: [],
    };
    platform.snapshots.addState('xen-pvh.physmap', this.state, () => this.restored());
  }

  /** RAM address of what the guest finds there; -1: nothing, or what is not its business. */
  addressOf(gfn: number): number {
    const frame = this.frameAt.get(gfn);
    if (frame !== undefined) return frame * PAGE_BYTES;
    const own = Number.isInteger(gfn) && gfn >= 0 && gfn < this.maximum;
    return own && this.state.away[gfn] === 0 ? gfn * PAGE_BYTES : -1;
  }

  /** One of the hypervisor's frames is there, which is not memory of the guest's own. */
  isBorrowed(gfn: number): boolean {
    return this.state.placed.some((entry) => entry.gfn === gfn && !entry.lent);
  }

  /** Where the guest finds the frame at that RAM address; where it would be if it has been put nowhere. */
  gfnOf(address: number): number {
    const frame = address / PAGE_BYTES;
    return this.state.placed.find((entry) => entry.frame === frame)?.gfn ?? frame;
  }

  /** Highest frame that is there. */
  last(): number {
    return Math.max(this.state.away.lastIndexOf(0), ...this.state.placed.map(({ gfn }) => gfn));
  }

  /** A cleared frame of the hypervisor's own: its RAM address, -1 if there are no more. */
  hostFrame(): number {
    const { state } = this;
    const frame = state.free.pop() ?? this.maximum + state.given;
    if (frame === this.maximum + state.given && state.given++ >= OWN_BYTES / PAGE_BYTES) {
      state.given--;
      return -1;
    }
    this.platform.ram.fill(frame * PAGE_BYTES, PAGE_BYTES, 0);
    return frame * PAGE_BYTES;
  }

  /** A frame of `hostFrame` may be given again. Where the guest had it, it finds memory of its own once more. */
  reclaim(address: number): void {
    const frame = address / PAGE_BYTES;
    const entry = this.state.placed.find((candidate) => candidate.frame === frame);
    this.state.free.push(frame);
    if (!entry) return;
    this.unplace(entry.gfn);
    if (entry.gfn < this.maximum && this.populate(entry.gfn)) this.state.reserved++;
  }

  /** Takes away what is there: reads float from now on. False: nothing is. */
  remove(gfn: number): boolean {
    const address = this.addressOf(gfn);
    if (address < 0) return false;
    const frame = this.frameAt.get(gfn);
    if (frame === undefined) {
      this.platform.ram.fill(address, PAGE_BYTES, 0);
      this.hide(gfn);
    } else this.unplace(gfn);
    return true;
  }

  /** Puts memory of zeros where none is. False: it cannot be there, or there is no more. */
  populate(gfn: number): boolean {
    if (!isFrame(gfn) || this.addressOf(gfn) >= 0) return false;
    if (gfn < this.maximum) {
      this.state.away[gfn] = 0;
      this.platform.cpu.mmu.clearFrame(gfn, FRAME_MMIO);
      this.platform.cpu.mmu.flushAll();
      return true;
    }
    const address = this.hostFrame();
    return address >= 0 && this.place(address, gfn, true);
  }

  /**
   * The hypervisor's frame at that RAM address appears at `gfn`, in the place of what was there, and no longer where it was
   * before, as Xen has it.
   */
  place(address: number, gfn: number, lent = false): boolean {
    if (!isFrame(gfn)) return false;
    const frame = address / PAGE_BYTES;
    const before = this.state.placed.find((entry) => entry.frame === frame);
    if (before?.gfn === gfn) return true;
    if (before) this.unplace(before.gfn);
    this.remove(gfn);
    this.state.placed.push({ gfn, frame, lent });
    this.frameAt.set(gfn, frame);
    this.platform.cpu.mmu.setAlias(gfn, frame);
    return true;
  }

  /** What is at one place appears at another, whatever was there; the first is a hole. False: there it cannot be. */
  moveContent(from: number, to: number): boolean {
    const { ram } = this.platform;
    const content = ram.read(this.addressOf(from), PAGE_BYTES);
    if (!content || !isFrame(to)) return false;
    this.remove(from);
    this.remove(to);
    if (!this.populate(to)) return false;
    return ram.write(this.addressOf(to), content);
  }

  private hide(gfn: number): void {
    this.state.away[gfn] = 1;
    this.platform.cpu.mmu.setFrame(gfn, FRAME_MMIO);
  }

  private unplace(gfn: number): void {
    const entry = this.state.placed.find((candidate) => candidate.gfn === gfn)!;
    if (entry.lent) this.state.free.push(entry.frame);
    this.state.placed = this.state.placed.filter((candidate) => candidate !== entry);
    this.frameAt.delete(gfn);
    this.platform.cpu.mmu.setAlias(gfn, -1);
    if (gfn < this.maximum) this.hide(gfn);
  }

  private restored(): void {
    const { mmu } = this.platform.cpu;
    for (const gfn of this.frameAt.keys()) mmu.setAlias(gfn, -1);
    this.frameAt.clear();
    for (let gfn = 0; gfn < this.maximum; gfn++) {
      if (this.state.away[gfn] === 1) mmu.setFrame(gfn, FRAME_MMIO);
      else mmu.clearFrame(gfn, FRAME_MMIO);
    }
    for (const { gfn, frame } of this.state.placed) {
      this.frameAt.set(gfn, frame);
      mmu.setAlias(gfn, frame);
    }
  }
}

/** A frame that an entry of a page table can name. */
export const isFrame = (gfn: number): boolean =>
  Number.isInteger(gfn) && gfn >= 0 && gfn < FRAMES_END;

/** A domain with such memory. */
export interface PvhDomain extends XenDomain {
  readonly physmap: Physmap;
}
