// Guest RAM: a window of linear memory, with checked bulk access for loaders, devices and interfaces; and its map.

import { bug } from '../base/errors.ts';

/** End of the low RAM: the last KiB of 640 K is the extended BIOS data area (kvm.md 8, Firecracker's layout). */
export const LOW_RAM_END = 0x9fc00;
export const HIGH_RAM_START = 0x100000;
/** What is between it and 4 GiB belongs to devices. */
export const RAM_BYTES_MAX = 3 * 1024 ** 3;

/** One line of the memory map. Types as in e820: 1 RAM, 2 reserved (ACPI 6.4 15, table 15-2). */
export interface MemoryMapEntry {
  readonly start: number;
  readonly size: number;
  readonly type: 1 | 2;
}

/** RAM below 640 K, reserved up to 1 MiB (tables live there), RAM above. */
export function memoryMap(ramBytes: number): readonly MemoryMapEntry[] {
  const low: MemoryMapEntry[] = [
    { start: 0, size: Math.min(ramBytes, LOW_RAM_END), type: 1 },
    { start: LOW_RAM_END, size: HIGH_RAM_START - LOW_RAM_END, type: 2 },
  ];
  if (ramBytes <= HIGH_RAM_START) return low;
  return [...low, { start: HIGH_RAM_START, size: ramBytes - HIGH_RAM_START, type: 1 }];
}

/** Hears of every write that does not come from the CPU: decoded code of those bytes is stale. */
export type WriteListener = (gpa: number, bytes: number) => void;

/** A guest-supplied address is never trusted: what does not lie in RAM answers `null`, `false` or -1. */
export class GuestRam {
  readonly bytes: number;
  private readonly memory: WebAssembly.Memory;
  private readonly base: number;
  private readonly onWrite: WriteListener;
  private ram: Uint8Array;
  private data: DataView;

  constructor(memory: WebAssembly.Memory, base: number, bytes: number, onWrite: WriteListener) {
    if (base < 0 || bytes <= 0 || base + bytes > memory.buffer.byteLength) {
      bug(`RAM ${base}+${bytes} lies outside the linear memory`);
    }
    this.memory = memory;
    this.base = base;
    this.bytes = bytes;
    this.onWrite = onWrite;
    this.ram = new Uint8Array(memory.buffer, base, bytes);
    this.data = new DataView(memory.buffer, base, bytes);
  }

  contains(gpa: number, length: number): boolean {
    return gpa >= 0 && length >= 0 && gpa + length <= this.bytes && Number.isInteger(gpa);
  }

  /** A window onto RAM, to be read at once: it goes stale when the linear memory grows. Writes go through `write`. */
  view(gpa: number, length: number): Uint8Array | null {
    if (!this.contains(gpa, length)) return null;
    return this.all().subarray(gpa, gpa + length);
  }

  read(gpa: number, length: number): Uint8Array | null {
    return this.view(gpa, length)?.slice() ?? null;
  }

  write(gpa: number, bytes: Uint8Array): boolean {
    if (!this.contains(gpa, bytes.length)) return false;
    this.all().set(bytes, gpa);
    this.onWrite(gpa, bytes.length);
    return true;
  }

  fill(gpa: number, length: number, value: number): boolean {
    if (!this.contains(gpa, length)) return false;
    this.all().fill(value, gpa, gpa + length);
    this.onWrite(gpa, length);
    return true;
  }

  u8(gpa: number): number {
    return this.contains(gpa, 1) ? this.all()[gpa]! : -1;
  }

  u16(gpa: number): number {
    return this.contains(gpa, 2) ? this.view16().getUint16(gpa, true) : -1;
  }

  u32(gpa: number): number {
    return this.contains(gpa, 4) ? this.view16().getUint32(gpa, true) : -1;
  }

  setU8(gpa: number, value: number): boolean {
    if (!this.contains(gpa, 1)) return false;
    this.all()[gpa] = value;
    this.onWrite(gpa, 1);
    return true;
  }

  setU16(gpa: number, value: number): boolean {
    if (!this.contains(gpa, 2)) return false;
    this.view16().setUint16(gpa, value, true);
    this.onWrite(gpa, 2);
    return true;
  }

  setU32(gpa: number, value: number): boolean {
    if (!this.contains(gpa, 4)) return false;
    this.view16().setUint32(gpa, value, true);
    this.onWrite(gpa, 4);
    return true;
  }

  setU64(gpa: number, lo: number, hi: number): boolean {
    if (!this.contains(gpa, 8)) return false;
    this.view16().setUint32(gpa, lo, true);
    this.view16().setUint32(gpa + 4, hi, true);
    this.onWrite(gpa, 8);
    return true;
  }

  /** The first `count` of these, 32 bits each. */
  setWords(gpa: number, words: Uint32Array, count: number): boolean {
    if (!this.contains(gpa, 4 * count)) return false;
    const view = this.view16();
    for (let n = 0; n < count; n++) view.setUint32(gpa + 4 * n, words[n]!, true);
    this.onWrite(gpa, 4 * count);
    return true;
  }

  private all(): Uint8Array {
    if (this.ram.length === 0) this.renew();
    return this.ram;
  }

  private view16(): DataView {
    if (this.ram.length === 0) this.renew();
    return this.data;
  }

  /** Memory that has grown leaves views of no length behind; asking it for its buffer each time would cost more than the access. */
  private renew(): void {
    this.ram = new Uint8Array(this.memory.buffer, this.base, this.bytes);
    this.data = new DataView(this.memory.buffer, this.base, this.bytes);
  }
}
