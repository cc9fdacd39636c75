// What PV and PVH do differently beneath the same calls: memory, frames, upcalls, and how a vCPU waits.

import type { Pair } from '../../base/struct.ts';
import type { XenVcpu } from './domain.ts';

/** Memory of a domain. An address or a frame from a guest is never trusted: `null`, `false` or -1 answers a bad one. */
export interface XenMemory {
  /** Guest-virtual memory of the running vCPU, as its kernel may read it. */
  readVirtual(gva: number, bytes: number): Uint8Array | null;
  writeVirtual(gva: number, bytes: Uint8Array): boolean;
  /**
   * Where in `window` those few bytes lie, until the next access; -1: in no one place, or they cannot be read. The quick way
   * to what `readVirtual` answers.
   */
  peek(gva: number, bytes: number): number;
  /** The same to what `writeVirtual` does; -1: it has to do it, as somebody wants to hear of the write, or it cannot be made. */
  poke(gva: number, bytes: number): number;
  readonly window: DataView;
  /**
   * Where the frame begins in the machine's RAM: a gfn of a PVH guest, an mfn of a PV guest. -1 unless the guest may read
   * and write all of it (no hole; in PV no page table, no descriptor table, nobody else's).
   */
  frameAddress(frame: number): number;
  /** The host keeps such a frame mapped: it cannot become something else meanwhile. False: it may not. */
  holdFrame(frame: number): boolean;
  releaseFrame(frame: number): void;
  /** What the guest calls the frame at that RAM address: `frameAddress` backwards. */
  frameNumber(address: number): number;
}

/** How a guest's own address space takes what is granted to it. */
export interface GrantWays {
  /** Maps the frame at an address, or by the L1 entry at a machine address, as GNTMAP_* say. False: it cannot. */
  map(host: Pair, frame: number, flags: number): boolean;
  /** Takes such a mapping away, if it is there as it was made; what is mapped at `instead` takes its place. */
  unmap(host: Pair, frame: number, flags: number, instead: Pair | null): boolean;
  /** For devices, of which there are none: the frame stays what it is. */
  hold(frame: number, write: boolean): boolean;
  letGo(frame: number, write: boolean): void;
}

/** What an interface of the family supplies. */
export interface XenGuest extends XenMemory {
  /** Not there: its guests cannot map grants. */
  readonly grantWays?: GrantWays;
  /** `upcall pending` of the vCPU has become 1: it is to be told, waking it if it waits. */
  upcall(vcpu: XenVcpu): void;
  /** The guest has asked for top-level tables above 4 GiB (VMASST_TYPE_pae_extended_cr3); PVH has no such wish. */
  tablesAbove4gb?(): boolean;
  /** What the mask of events is to a PV guest, whose IF says nothing, IF is to a PVH guest. */
  interruptsOff?(): boolean;
  /** Puts RIP of the running call back to it. */
  rewind(): void;
  /** The vCPU waits until `wake` is called for it; nothing happens if it is told so twice. */
  block(vcpu: XenVcpu): void;
  wake(vcpu: XenVcpu): void;
  /** The bytes of a new frame of the hypervisor's own, cleared: its address in the machine's RAM, or -1 if there are no more. */
  hostFrame(): number;
  /** Such a frame is out of the guest's memory, where it was put there, and may be given again. */
  reclaim(address: number): void;
  /**
   * The guest has suspended itself: everything but its memory and registers is new. `startInfo`: the frame that a PV guest
   * names. Answers what the call returns.
   */
  resume(startInfo: number): number;
}
