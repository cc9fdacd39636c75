// The split virtqueue: takes descriptor chains from rings in guest RAM and gives them back; trusts nothing in them.

import type { GuestRam } from '../memory.ts';
import type { Segment } from './segments.ts';

/** virtio 1.2 2.7.5 */
export const VIRTQ_DESC_F_NEXT = 1;
export const VIRTQ_DESC_F_WRITE = 2;
export const VIRTQ_DESC_F_INDIRECT = 4;
const DESC_BYTES = 16;
/** virtio 1.2 2.7.6 */
export const VIRTQ_AVAIL_F_NO_INTERRUPT = 1;
/** virtio 1.2 4.1.4.3: no vector is mapped. */
export const NO_VECTOR = 0xffff;
/** Descriptors of one chain: its queue's size, or this many when they stand in an indirect table. */
const MAX_INDIRECT = 1024;
/** Legacy queues: the used ring starts on a page of its own (virtio 1.2 2.7.2). */
export const LEGACY_ALIGN = 4096;

export interface QueueState {
  /** Descriptors. */
  size: number;
  enabled: boolean;
  /** Low and high dword of the descriptor area, the driver area and the device area, in the order of the registers. */
  areas: Uint32Array;
  /** MSI-X vector. */
  vector: number;
  /** Index of the next available entry to take, and of the next used entry to write; both run freely. */
  nextAvail: number;
  nextUsed: number;
  /** `nextUsed` at the time of the last decision about an interrupt. */
  decidedUsed: number;
}

export function queueState(size: number): QueueState {
  return {
    size,
    enabled: false,
    areas: new Uint32Array(6),
    vector: NO_VECTOR,
    nextAvail: 0,
    nextUsed: 0,
    decidedUsed: 0,
  };
}

/** A descriptor chain, checked: every segment lies in RAM. */
export interface Chain {
  readonly head: number;
  /** What the driver hands over to be read. */
  readonly readable: readonly Segment[];
  /** What the device fills. */
  readonly writable: readonly Segment[];
}

/** What a queue needs of its device. */
export interface QueueOwner {
  ram(): GuestRam;
  /** Whether indirect descriptors, and event indexes, are negotiated. */
  indirect(): boolean;
  eventIndex(): boolean;
  /** The driver has broken the rules of the ring. */
  fail(why: string): void;
  /** The used ring has grown and the driver wants to hear of it. */
  interrupt(): void;
}

export class Virtqueue {
  readonly state: QueueState;
  readonly maxSize: number;
  private readonly owner: QueueOwner;
  private readonly name: string;

  constructor(state: QueueState, index: number, owner: QueueOwner) {
    this.state = state;
    this.maxSize = state.size;
    this.name = `queue ${index}`;
    this.owner = owner;
  }

  reset(): void {
    const { state } = this;
    this.disable();
    state.size = this.maxSize;
    state.areas.fill(0);
    state.vector = NO_VECTOR;
  }

  /** The driver says that the rings are there; from here on they are known to lie in RAM. */
  enable(): void {
    const { state } = this;
    const { size } = state;
    if (size < 1 || size > this.maxSize || (size & (size - 1)) !== 0) {
      this.fail(`has ${size} descriptors instead of a power of two up to ${this.maxSize}`);
      return;
    }
    const ram = this.owner.ram();
    const parts = [
      ['descriptor area', this.area(0), DESC_BYTES * size, 16],
      ['driver area', this.area(2), 6 + 2 * size, 2],
      ['device area', this.area(4), 6 + 8 * size, 4],
    ] as const;
    for (const [part, gpa, bytes, align] of parts) {
      if (gpa % align !== 0 || !ram.contains(gpa, bytes)) {
        this.fail(`has its ${part} at 0x${gpa.toString(16)}, unaligned or outside RAM`);
        return;
      }
    }
    state.enabled = true;
  }

  /** Takes the rings away; the next ones start from their beginning. */
  disable(): void {
    const { state } = this;
    state.enabled = false;
    state.nextAvail = 0;
    state.nextUsed = 0;
    state.decidedUsed = 0;
  }

  /** Legacy: one address for all three areas, 0 for none (virtio 1.2 2.7.2, 4.1.4.8). */
  placeLegacy(pfn: number): void {
    const { state } = this;
    this.disable();
    state.areas.fill(0);
    if (pfn === 0) return;
    const desc = pfn * LEGACY_ALIGN;
    const driver = desc + DESC_BYTES * state.size;
    const end = driver + 6 + 2 * state.size;
    const device = Math.ceil(end / LEGACY_ALIGN) * LEGACY_ALIGN;
    [desc, driver, device].forEach((gpa, i) => {
      state.areas[2 * i] = gpa % 2 ** 32;
      state.areas[2 * i + 1] = Math.floor(gpa / 2 ** 32);
    });
    this.enable();
  }

  /** The next chain, or null: none there, or the ring is broken and the device has failed. */
  pop(): Chain | null {
    const { state } = this;
    if (!state.enabled) return null;
    const ram = this.owner.ram();
    const driver = this.area(2);
    const available = (ram.u16(driver + 2) - state.nextAvail) & 0xffff;
    if (available === 0) {
      // Tells the driver which entry to notify about: the very next one (virtio 1.2 2.7.10).
      if (this.owner.eventIndex()) ram.setU16(this.area(4) + 4 + 8 * state.size, state.nextAvail);
      return null;
    }
    if (available > state.size) {
      this.fail(`has ${available} entries available in a ring of ${state.size}`);
      return null;
    }
    const head = ram.u16(driver + 4 + 2 * (state.nextAvail % state.size));
    const chain = this.chain(head);
    if (chain !== null) state.nextAvail = (state.nextAvail + 1) & 0xffff;
    return chain;
  }

  /** Puts the chains popped last back: they were too few for what was to be stored. */
  unpop(count: number): void {
    this.state.nextAvail = (this.state.nextAvail - count) & 0xffff;
  }

  /** Walks the chain that starts at descriptor `head`; fails the device when the chain is malformed. */
  chain(head: number): Chain | null {
    if (!this.state.enabled) return null;
    const walk = new ChainWalk(this.owner.ram(), this.owner.indirect());
    const why = walk.direct(this.area(0), this.state.size, head);
    if (why !== null) {
      this.fail(`has a chain at descriptor ${head} that ${why}`);
      return null;
    }
    return { head, readable: walk.readable, writable: walk.writable };
  }

  /** Gives a chain back, `written` bytes of it filled. */
  push(head: number, written: number): void {
    this.stage(0, head, written);
    this.publish(1);
  }

  /** Writes a used entry `ahead` of the published ones; several become visible together by `publish`. */
  stage(ahead: number, head: number, written: number): void {
    const { state } = this;
    const ram = this.owner.ram();
    const at = this.area(4) + 4 + 8 * ((state.nextUsed + ahead) % state.size);
    ram.setU32(at, head);
    ram.setU32(at + 4, written);
  }

  publish(count: number): void {
    const { state } = this;
    state.nextUsed = (state.nextUsed + count) & 0xffff;
    this.owner.ram().setU16(this.area(4) + 2, state.nextUsed);
  }

  /** After one or more pushes: an interrupt, unless the driver does not want one (virtio 1.2 2.7.7, 2.7.10). */
  signal(): void {
    const { state } = this;
    const old = state.decidedUsed;
    state.decidedUsed = state.nextUsed;
    const ram = this.owner.ram();
    const driver = this.area(2);
    if (this.owner.eventIndex()) {
      const event = ram.u16(driver + 4 + 2 * state.size);
      const passed = (state.nextUsed - event - 1) & 0xffff;
      if (passed >= ((state.nextUsed - old) & 0xffff)) return;
    } else if ((ram.u16(driver) & VIRTQ_AVAIL_F_NO_INTERRUPT) !== 0) return;
    this.owner.interrupt();
  }

  private area(index: number): number {
    const { areas } = this.state;
    return areas[index]! + areas[index + 1]! * 2 ** 32; // Inexact beyond 2^53, and far outside RAM there.
  }

  private fail(what: string): void {
    this.owner.fail(`${this.name} ${what}`);
  }
}

/** One walk: each descriptor read once, at most as many as the table has. */
class ChainWalk {
  readonly readable: Segment[] = [];
  readonly writable: Segment[] = [];
  private readonly ram: GuestRam;
  private readonly indirect: boolean;

  constructor(ram: GuestRam, indirect: boolean) {
    this.ram = ram;
    this.indirect = indirect;
  }

  /** Says what is wrong with the chain, null if nothing is. Normal descriptors may end in one indirect table (2.7.5.3). */
  direct(table: number, size: number, head: number): string | null {
    return this.follow(table, size, size, head, this.indirect);
  }

  private follow(
    table: number,
    size: number,
    limit: number,
    head: number,
    indirect: boolean,
  ): string | null {
    let index = head;
    for (let count = 0; count < limit; count++) {
      if (index >= size) return `goes on at descriptor ${index} of ${size}`;
      const at = table + DESC_BYTES * index;
      const lo = this.ram.u32(at);
      const flags = this.ram.u16(at + 12);
      if (lo < 0 || flags < 0) return 'stands outside RAM';
      const gpa = lo + this.ram.u32(at + 4) * 2 ** 32;
      const bytes = this.ram.u32(at + 8);
      if ((flags & VIRTQ_DESC_F_INDIRECT) !== 0) {
        if (!indirect) return 'has an indirect descriptor where none may be';
        return this.table(gpa, bytes, flags);
      }
      const why = this.add(gpa, bytes, (flags & VIRTQ_DESC_F_WRITE) !== 0);
      if (why !== null) return why;
      if ((flags & VIRTQ_DESC_F_NEXT) === 0) return null;
      index = this.ram.u16(at + 14);
    }
    return `has more than ${limit} descriptors`;
  }

  private table(gpa: number, bytes: number, flags: number): string | null {
    if ((flags & VIRTQ_DESC_F_NEXT) !== 0) return 'goes on after an indirect descriptor';
    if (bytes === 0 || bytes % DESC_BYTES !== 0 || !this.ram.contains(gpa, bytes)) {
      return `has an indirect table of ${bytes} bytes at 0x${gpa.toString(16)}`;
    }
    const size = bytes / DESC_BYTES;
    return this.follow(gpa, size, Math.min(size, MAX_INDIRECT), 0, false);
  }

  private add(gpa: number, bytes: number, write: boolean): string | null {
    if (!write && this.writable.length > 0) return 'has a readable buffer after a writable one';
    if (!this.ram.contains(gpa, bytes)) {
      return `has ${bytes} bytes at 0x${gpa.toString(16)}, outside RAM`;
    }
    (write ? this.writable : this.readable).push({ gpa, bytes });
    return null;
  }
}
