// A driver's side of a split virtqueue, for tests: builds descriptors and rings in guest RAM, and reads what comes back.

import { GuestRam } from '../memory.ts';
import { VIRTQ_DESC_F_INDIRECT, VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_WRITE } from '../virtio/queue.ts';

export interface Buffer {
  readonly gpa: number;
  readonly bytes: number;
  readonly write?: boolean;
}

export interface UsedEntry {
  readonly head: number;
  readonly written: number;
}

/** Takes two pages at `base` (a multiple of 4096) for up to 128 descriptors, or three for 256, in the legacy layout. */
export class RingDriver {
  readonly ram: GuestRam;
  readonly size: number;
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
  private free = 0;
  private available = 0;
  private seen = 0;

  constructor(ram: GuestRam, base: number, size: number) {
    this.ram = ram;
    this.size = size;
    this.desc = base;
    this.driver = base + 16 * size;
    this.device = base + Math.ceil((18 * size + 6) / 4096) * 4096;
  }

  describe(
    table: number,
    index: number,
    gpa: number,
    bytes: number,
    flags: number,
    next = 0,
  ): void {
    const at = table + 16 * index;
    this.ram.setU64(at, gpa % 2 ** 32, Math.floor(gpa / 2 ** 32));
    this.ram.setU32(at + 8, bytes);
    this.ram.setU16(at + 12, flags);
    this.ram.setU16(at + 14, next);
  }

  /** Describes a chain in the next free descriptors, and makes it available. */
  submit(buffers: readonly Buffer[]): number {
    const head = this.free % this.size;
    buffers.forEach(({ gpa, bytes, write }, i) => {
      const last = i === buffers.length - 1;
      const flags = (write ? VIRTQ_DESC_F_WRITE : 0) | (last ? 0 : VIRTQ_DESC_F_NEXT);
      const index = this.free++ % this.size;
      this.describe(this.desc, index, gpa, bytes, flags, this.free % this.size);
    });
    this.publish(head);
    return head;
  }

  /** The same through an indirect table at `table`. */
  submitIndirect(table: number, buffers: readonly Buffer[]): number {
    buffers.forEach(({ gpa, bytes, write }, i) => {
      const last = i === buffers.length - 1;
      const flags = (write ? VIRTQ_DESC_F_WRITE : 0) | (last ? 0 : VIRTQ_DESC_F_NEXT);
      this.describe(table, i, gpa, bytes, flags, i + 1);
    });
    const head = this.free++ % this.size;
    this.describe(this.desc, head, table, 16 * buffers.length, VIRTQ_DESC_F_INDIRECT);
    this.publish(head);
    return head;
  }

  publish(head: number): void {
    this.ram.setU16(this.driver + 4 + 2 * (this.available % this.size), head);
    this.available = (this.available + 1) & 0xffff;
    this.ram.setU16(this.driver + 2, this.available);
  }

  /** Used entries since the last call. */
  used(): UsedEntry[] {
    const out: UsedEntry[] = [];
    for (const end = this.ram.u16(this.device + 2); this.seen !== end; ) {
      const at = this.device + 4 + 8 * (this.seen % this.size);
      out.push({ head: this.ram.u32(at), written: this.ram.u32(at + 4) });
      this.seen = (this.seen + 1) & 0xffff;
    }
    return out;
  }

  setInterruptWanted(wanted: boolean): void {
    this.ram.setU16(this.driver, wanted ? 0 : 1);
  }

  /** `used_event`: interrupt when the entry of this index has been used. */
  setUsedEvent(index: number): void {
    this.ram.setU16(this.driver + 4 + 2 * this.size, index);
  }

  /** `avail_event`: notify when the entry of this index is made available. */
  availEvent(): number {
    return this.ram.u16(this.device + 4 + 8 * this.size);
  }
}

export function testRam(bytes: number): GuestRam {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536) });
  return new GuestRam(memory, 0, bytes, () => {});
}
