// Disks: sectors over a byte store that the host provides, in three modes, with the times that a guest sees.

import { InputError } from '../base/errors.ts';
import type { Plain } from './snapshot.ts';

export const SECTOR_BYTES = 512;

/** Bytes that a host keeps: a file, or memory. Synchronous. Offsets and lengths lie within `bytes`. */
export interface ByteStore {
  readonly bytes: number;
  read(offset: number, into: Uint8Array): void;
  write(offset: number, from: Uint8Array): void;
  /** Everything written is on stable storage. */
  flush(): void;
}

/**
 * What a disk device works on. Data moves at once; when a guest may know of it is the device's business: it completes a
 * request at `submit + diskNanos(bytes)` on the machine's clock. `false`: the sectors are not there, or not writable.
 */
export interface Disk {
  readonly sectors: number;
  readonly readOnly: boolean;
  /** Fills `into`, whose length is a whole number of sectors, from sector `lba` on. */
  read(lba: number, into: Uint8Array): boolean;
  write(lba: number, from: Uint8Array): boolean;
  flush(): void;
  /** Up to 20 ASCII characters: the same in every run. */
  readonly serial: string;
  /** What a snapshot must carry: the overlay of a copy-on-write disk; of other modes only that they are there. */
  save(): Plain;
  restore(saved: Plain): void;
}

export type DiskMode = 'read-write' | 'read-only' | 'copy-on-write';

/** A disk of 2020 or so: 60 us to answer, 500 MB/s. The model's own, so that no host's speed shows. */
const LATENCY_NANOS = 60_000;
const NANOS_PER_BYTE = 2;

/** Guest time from the submission of a request to its completion. */
export function diskNanos(bytes: number): number {
  return LATENCY_NANOS + bytes * NANOS_PER_BYTE;
}

/** `number` tells the disks of one machine apart: guests find it in the serial number. */
export function openDisk(store: ByteStore, mode: DiskMode, name: string, number = 1): Disk {
  if (store.bytes < SECTOR_BYTES || !Number.isSafeInteger(store.bytes)) {
    throw new InputError(
      'disk/too-small',
      `${name} has ${store.bytes} bytes, and a disk has at least one sector of ${SECTOR_BYTES}`,
      'make an image with truncate -s 64M disk.img',
    );
  }
  const serial = `PVOPS-${String(number).padStart(4, '0')}`;
  return mode === 'copy-on-write'
    ? new OverlayDisk(store, serial)
    : new StoreDisk(store, mode, serial);
}

/** Zeros in memory, for tests and for disks that nobody keeps. */
export function memoryStore(initial: number | Uint8Array): ByteStore {
  const data = typeof initial === 'number' ? new Uint8Array(initial) : initial;
  return {
    bytes: data.length,
    read: (offset, into) => into.set(data.subarray(offset, offset + into.length)),
    write: (offset, from) => data.set(from, offset),
    flush: () => {},
  };
}

function within(disk: Disk, lba: number, bytes: Uint8Array): boolean {
  const count = bytes.length / SECTOR_BYTES;
  return (
    Number.isInteger(lba) && Number.isInteger(count) && lba >= 0 && lba + count <= disk.sectors
  );
}

class StoreDisk implements Disk {
  readonly sectors: number;
  readonly readOnly: boolean;
  readonly serial: string;
  private readonly store: ByteStore;

  constructor(store: ByteStore, mode: DiskMode, serial: string) {
    this.store = store;
    this.serial = serial;
    this.sectors = Math.floor(store.bytes / SECTOR_BYTES);
    this.readOnly = mode === 'read-only';
  }

  read(lba: number, into: Uint8Array): boolean {
    if (!within(this, lba, into)) return false;
    this.store.read(lba * SECTOR_BYTES, into);
    return true;
  }

  write(lba: number, from: Uint8Array): boolean {
    if (this.readOnly || !within(this, lba, from)) return false;
    this.store.write(lba * SECTOR_BYTES, from);
    return true;
  }

  flush(): void {
    if (!this.readOnly) this.store.flush();
  }

  save(): Plain {
    return { sectors: this.sectors };
  }

  restore(saved: Plain): void {
    checkSectors(saved, this.sectors);
  }
}

/** Sectors of one overlay block: 4 KiB, a page of most guests. */
const BLOCK_SECTORS = 8;
const BLOCK_BYTES = BLOCK_SECTORS * SECTOR_BYTES;

/** Copy on write: the store is only read; what the guest writes stays in memory, and goes into snapshots. */
class OverlayDisk implements Disk {
  readonly sectors: number;
  readonly readOnly = false;
  readonly serial: string;
  private readonly store: ByteStore;
  private readonly blocks = new Map<number, Uint8Array>();

  constructor(store: ByteStore, serial: string) {
    this.store = store;
    this.serial = serial;
    this.sectors = Math.floor(store.bytes / SECTOR_BYTES);
  }

  read(lba: number, into: Uint8Array): boolean {
    if (!within(this, lba, into)) return false;
    this.store.read(lba * SECTOR_BYTES, into);
    if (this.blocks.size > 0)
      this.pieces(lba, into, (block, from, piece) => {
        const held = this.blocks.get(block);
        if (held) piece.set(held.subarray(from, from + piece.length));
      });
    return true;
  }

  write(lba: number, from: Uint8Array): boolean {
    if (!within(this, lba, from)) return false;
    this.pieces(lba, from, (block, at, piece) => this.block(block).set(piece, at));
    return true;
  }

  flush(): void {}

  save(): Plain {
    const blocks: Record<string, Plain> = {};
    for (const [block, bytes] of this.blocks) blocks[block] = bytes.slice();
    return { sectors: this.sectors, blocks };
  }

  restore(saved: Plain): void {
    checkSectors(saved, this.sectors);
    const { blocks } = saved as { blocks?: Record<string, Plain> };
    this.blocks.clear();
    for (const [block, bytes] of Object.entries(blocks ?? {})) {
      if (bytes instanceof Uint8Array && bytes.length === BLOCK_BYTES) {
        this.blocks.set(Number(block), bytes.slice());
      }
    }
  }

  /** Cuts `bytes` at the borders of blocks. */
  private pieces(
    lba: number,
    bytes: Uint8Array,
    each: (block: number, at: number, piece: Uint8Array) => void,
  ): void {
    for (let done = 0; done < bytes.length; ) {
      const position = lba * SECTOR_BYTES + done;
      const at = position % BLOCK_BYTES;
      const length = Math.min(BLOCK_BYTES - at, bytes.length - done);
      each((position - at) / BLOCK_BYTES, at, bytes.subarray(done, done + length));
      done += length;
    }
  }

  private block(block: number): Uint8Array {
    const held = this.blocks.get(block);
    if (held) return held;
    const fresh = new Uint8Array(BLOCK_BYTES);
    const first = block * BLOCK_BYTES;
    const length = Math.min(BLOCK_BYTES, this.sectors * SECTOR_BYTES - first);
    this.store.read(first, fresh.subarray(0, length));
    this.blocks.set(block, fresh);
    return fresh;
  }
}

function checkSectors(saved: Plain, sectors: number): void {
  const held = (saved as { sectors?: Plain }).sectors;
  if (held === sectors) return;
  throw new InputError(
    'machine/snapshot',
    `the snapshot was taken with a disk of ${String(held)} sectors, and this one has ${sectors}`,
    'give the same disk image as when the snapshot was taken',
  );
}
