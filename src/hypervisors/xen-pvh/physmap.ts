// The physical memory of a PVH guest: which frames are there, and where the hypervisor's own frames have been put.

import { FRAME_MMIO } from '../../cpu/frames.ts';
import type { Platform } from '../define.ts';
import type { XenDomain } from '../xen/domain.ts';

export const PAGE_BYTES = 4096;
/** Frames for the rings and for what is not mapped yet, right behind the guest's RAM; reserved in its memory map. */
export const SPECIAL_BYTES = 1 << 20;
const SPECIAL_FRAMES = SPECIAL_BYTES / PAGE_BYTES;
/**
 * Behind them, holes that memory can be put into. Linux takes whole sections of 128 MiB (ZONE_DEVICE) for frames of other
 * domains and for grant tables, the first that its memory map leaves free.
 */
const SECTION_BYTES = 128 << 20;
const SECTIONS = 2;

export function ownBytes(memoryBytes: number): number {
  const from = memoryBytes + SPECIAL_BYTES;
  return Math.ceil(from / SECTION_BYTES) * SECTION_BYTES + SECTIONS * SECTION_BYTES - memoryBytes;
}

export interface PhysmapState {
  /** A byte for each frame: 1 if memory is there. */
  present: Uint8Array;
  /** Frames of the hypervisor's own given out so far. */
  given: number;
  /** Frames that are there and are the guest's: its reservation. */
  reserved: number;
}

export class Physmap {
  readonly state: PhysmapState;
  private readonly platform: Platform;
  private readonly firstSpecial: number;

  constructor(platform: Platform) {
    const { ram, memoryBytes, cpu } = platform;
    this.platform = platform;
    this.firstSpecial = memoryBytes / PAGE_BYTES;
    const frames = ram.bytes / PAGE_BYTES;
    this.state = { present: new Uint8Array(frames), given: 0, reserved: this.firstSpecial };
    const holes = this.firstSpecial + SPECIAL_FRAMES;
    this.state.present.fill(1, 0, holes);
    for (let frame = holes; frame < frames; frame++) cpu.mmu.setFrame(frame, FRAME_MMIO);
    platform.snapshots.addState('xen-pvh.physmap', this.state, () => this.restored());
  }

  get frames(): number {
    return this.state.present.length;
  }

  isPresent(frame: number): boolean {
    return Number.isInteger(frame) && frame >= 0 && this.state.present[frame] === 1;
  }

  /** RAM address, -1 if no memory is there. */
  addressOf(frame: number): number {
    return this.isPresent(frame) ? frame * PAGE_BYTES : -1;
  }

  /** A frame of the hypervisor's own, where the guest does not look by itself. */
  hostFrame(): number {
    if (this.state.given >= SPECIAL_FRAMES) return -1;
    const address = (this.firstSpecial + this.state.given++) * PAGE_BYTES;
    this.platform.ram.fill(address, PAGE_BYTES, 0);
    return address;
  }

  isSpecial(frame: number): boolean {
    return frame >= this.firstSpecial && frame < this.firstSpecial + SPECIAL_FRAMES;
  }

  /** Takes the memory away: what was there is gone, and reads float. */
  remove(frame: number): void {
    this.platform.ram.fill(frame * PAGE_BYTES, PAGE_BYTES, 0);
    this.state.present[frame] = 0;
    this.platform.cpu.mmu.setFrame(frame, FRAME_MMIO);
  }

  /** Puts memory of zeros there. False: the frame is beyond what there can be. */
  populate(frame: number): boolean {
    if (!Number.isInteger(frame) || frame < 0 || frame >= this.frames) return false;
    const { cpu, ram } = this.platform;
    if (this.state.present[frame] === 0) {
      this.state.present[frame] = 1;
      cpu.mmu.clearFrame(frame, FRAME_MMIO);
      cpu.mmu.flushAll();
    }
    ram.fill(frame * PAGE_BYTES, PAGE_BYTES, 0);
    return true;
  }

  /**
   * One of the hypervisor's frames appears at `frame`, in the place of what was there; where it was before is a hole. An
   * alias is not possible here, and Xen does not leave one either. Answers its new address, -1 if it cannot be there.
   */
  move(from: number, frame: number): number {
    const content = this.platform.ram.read(from, PAGE_BYTES);
    const was = from / PAGE_BYTES;
    if (!content || frame >= this.frames || this.isSpecial(frame)) return -1;
    if (was === frame) return from;
    if (!this.populate(frame)) return -1;
    this.platform.ram.write(frame * PAGE_BYTES, content);
    if (!this.isSpecial(was)) this.remove(was);
    return frame * PAGE_BYTES;
  }

  private restored(): void {
    const { mmu } = this.platform.cpu;
    for (let frame = 0; frame < this.frames; frame++) {
      if (this.state.present[frame] === 1) mmu.clearFrame(frame, FRAME_MMIO);
      else mmu.setFrame(frame, FRAME_MMIO);
    }
  }
}

/** A domain with such memory. */
export interface PvhDomain extends XenDomain {
  readonly physmap: Physmap;
}
