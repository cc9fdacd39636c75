// The two buses of a PC, ports and memory-mapped registers: who answers where, and accesses cut to what a device takes.

import { bug } from '../base/errors.ts';
import type { MmioHandler, PioHandler } from './device.ts';
import { FLOATING } from './device.ts';

const PORTS = 0x10000;
/** An access that nobody claims is noted once; a hostile guest cannot grow the list beyond this. */
const NOTES_LIMIT = 256;

/** The first access to a place that no device claims. */
export interface UnclaimedAccess {
  readonly space: 'port' | 'memory';
  readonly address: number;
  readonly write: boolean;
}

/** A claimed range of ports. PCI devices move theirs or take it away. */
export interface PioWindow {
  place(first: number, mapped: boolean): void;
}

/** Ports: 65536 bytes, each claimed by at most one device; movable windows get what fixed claims leave them. */
export class PortBus {
  readonly unclaimed: UnclaimedAccess[] = [];
  private readonly fixed = new Uint16Array(PORTS); // 0: nobody, else index into `handlers` + 1
  private readonly owner = new Uint16Array(PORTS); // The same with the windows.
  private readonly noted = new Uint8Array(PORTS);
  private readonly handlers: PioHandler[] = [];
  private readonly first: number[] = [];
  private readonly end: number[] = [];
  /** Indexes of mapped windows, in the order of their creation. */
  private readonly windows: number[] = [];

  claim(first: number, length: number, handler: PioHandler): void {
    if (first < 0 || length < 1 || first + length > PORTS) {
      bug(`port claim ${first}+${length} is out of range`);
    }
    for (let port = first; port < first + length; port++) {
      if (this.fixed[port] !== 0) bug(`port 0x${port.toString(16)} is claimed twice`);
    }
    this.fixed.fill(this.enter(first, length, handler) + 1, first, first + length);
    this.rebuild();
  }

  /** A range that is nowhere yet. */
  window(length: number, handler: PioHandler): PioWindow {
    const index = this.enter(0, length, handler);
    return {
      place: (first, mapped) => {
        const fits = mapped && first >= 0 && first + length <= PORTS;
        this.first[index] = fits ? first : 0;
        this.end[index] = this.first[index]! + length;
        const at = this.windows.indexOf(index);
        if (fits && at < 0) this.windows.push(index);
        if (!fits && at >= 0) this.windows.splice(at, 1);
        if (fits || at >= 0) this.rebuild();
      },
    };
  }

  private enter(first: number, length: number, handler: PioHandler): number {
    this.handlers.push(handler);
    this.first.push(first);
    return this.end.push(first + length) - 1;
  }

  private rebuild(): void {
    this.owner.set(this.fixed);
    this.windows.sort((a, b) => a - b); // So that who wins does not hang on the order of moves.
    for (const index of this.windows) {
      for (let port = this.first[index]!; port < this.end[index]!; port++) {
        if (this.owner[port] === 0) this.owner[port] = index + 1;
      }
    }
  }

  read(port: number, bytes: number): number {
    const at = port & 0xffff;
    const owner = this.owner[at]!;
    if (bytes === 1) return this.readByte(at);
    if (owner !== 0 && this.handlers[owner - 1]!.wide && at + bytes <= this.end[owner - 1]!) {
      return this.handlers[owner - 1]!.read(at - this.first[owner - 1]!, bytes) >>> 0;
    }
    let value = 0;
    for (let i = 0; i < bytes; i++) value |= this.readByte((at + i) & 0xffff) << (8 * i);
    return value >>> 0;
  }

  write(port: number, bytes: number, value: number): void {
    const at = port & 0xffff;
    const owner = this.owner[at]!;
    if (bytes === 1) {
      this.writeByte(at, value & 0xff);
      return;
    }
    if (owner !== 0 && this.handlers[owner - 1]!.wide && at + bytes <= this.end[owner - 1]!) {
      const kept = bytes === 2 ? value & 0xffff : value >>> 0;
      this.handlers[owner - 1]!.write(at - this.first[owner - 1]!, kept, bytes);
      return;
    }
    for (let i = 0; i < bytes; i++) this.writeByte((at + i) & 0xffff, (value >>> (8 * i)) & 0xff);
  }

  private readByte(port: number): number {
    const owner = this.owner[port]!;
    if (owner !== 0) {
      return this.handlers[owner - 1]!.read(port - this.first[owner - 1]!, 1) & 0xff;
    }
    if (this.noted[port] === 0) this.note(port, false);
    return FLOATING;
  }

  private writeByte(port: number, value: number): void {
    const owner = this.owner[port]!;
    if (owner !== 0) {
      this.handlers[owner - 1]!.write(port - this.first[owner - 1]!, value, 1);
      return;
    }
    if (this.noted[port] === 0) this.note(port, true);
  }

  private note(port: number, write: boolean): void {
    this.noted[port] = 1;
    if (this.unclaimed.length >= NOTES_LIMIT) return;
    this.unclaimed.push({ space: 'port', address: port, write });
  }
}

interface Region {
  base: number;
  size: number;
  mapped: boolean;
  /** An earlier claim answers for a part of it. */
  covered: boolean;
  readonly handler: MmioHandler;
}

const overlap = (a: Region, b: Region): boolean =>
  a.base < b.base + b.size && b.base < a.base + a.size;

/** A claimed range of guest-physical memory; some devices (the local APIC) move theirs or take it away. */
export interface MmioWindow {
  place(base: number, mapped: boolean): void;
}

/** Memory-mapped registers. Devices see aligned dwords on reads, and pieces that never cross a dword on writes. */
export class MmioBus {
  readonly unclaimed: UnclaimedAccess[] = [];
  private readonly regions: Region[] = [];
  private last: Region | null = null;

  claim(base: number, size: number, handler: MmioHandler): MmioWindow {
    if (base % 4 !== 0 || size % 4 !== 0 || size <= 0)
      bug(`mmio claim ${base}+${size} is unaligned`);
    const region: Region = { base, size, mapped: true, covered: false, handler };
    this.regions.push(region);
    this.markCovered();
    return {
      place: (newBase, mapped) => {
        region.base = newBase;
        region.mapped = mapped;
        this.markCovered();
      },
    };
  }

  /** Whether a device answers at this address now. */
  claims(gpa: number): boolean {
    return this.find(gpa) !== null;
  }

  read(gpa: number, bytes: number, out: Uint32Array): void {
    const shift = gpa & 3; // Not %: above 2 GiB that is a division of floating-point numbers.
    const at = gpa - shift;
    const first = this.readDword(at);
    if (shift === 0) {
      out[0] = bytes === 1 ? first & 0xff : bytes === 2 ? first & 0xffff : first;
      out[1] = bytes === 8 ? this.readDword(at + 4) : 0;
      return;
    }
    const bits = shift * 8;
    const second = shift + bytes > 4 ? this.readDword(at + 4) : 0;
    const third = shift + bytes > 8 ? this.readDword(at + 8) : 0;
    const low = (first >>> bits) | (second << (32 - bits));
    out[0] = bytes === 1 ? low & 0xff : bytes === 2 ? low & 0xffff : low;
    out[1] = bytes === 8 ? (second >>> bits) | (third << (32 - bits)) : 0;
  }

  write(gpa: number, bytes: number, lo: number, hi: number): void {
    const shift = gpa & 3;
    if (bytes === 8 && shift === 0) {
      this.writePiece(gpa, lo >>> 0, 4);
      this.writePiece(gpa + 4, hi >>> 0, 4);
      return;
    }
    if (shift + bytes <= 4) {
      const kept = bytes === 4 ? lo >>> 0 : bytes === 2 ? lo & 0xffff : lo & 0xff;
      this.writePiece(gpa, kept, bytes);
      return;
    }
    for (let i = 0; i < bytes; i++) {
      this.writePiece(gpa + i, ((i < 4 ? lo : hi) >>> ((i & 3) * 8)) & 0xff, 1);
    }
  }

  private readDword(gpa: number): number {
    const region = this.find(gpa);
    if (region !== null) return region.handler.read(gpa - region.base);
    this.note(gpa, false);
    return -1;
  }

  private writePiece(gpa: number, value: number, bytes: number): void {
    const region = this.find(gpa);
    if (region !== null) region.handler.write(gpa - region.base, value, bytes);
    else this.note(gpa, true);
  }

  /** What is found first may be kept for the next access only if no other region could be found before it. */
  private markCovered(): void {
    this.last = null;
    this.regions.forEach((region, n) => {
      region.covered = this.regions
        .slice(0, n)
        .some((other) => other.mapped && overlap(region, other));
    });
  }

  private find(gpa: number): Region | null {
    const last = this.last;
    if (last?.mapped && gpa >= last.base && gpa < last.base + last.size) return last;
    for (let i = 0; i < this.regions.length; i++) {
      const region = this.regions[i]!;
      if (region.mapped && gpa >= region.base && gpa < region.base + region.size) {
        this.last = region.covered ? null : region;
        return region;
      }
    }
    return null;
  }

  /** Noted once a page. */
  private note(gpa: number, write: boolean): void {
    if (this.unclaimed.length >= NOTES_LIMIT) return;
    const page = gpa - (gpa % 4096);
    for (let i = 0; i < this.unclaimed.length; i++) {
      const { address } = this.unclaimed[i]!;
      if (address - (address % 4096) === page) return;
    }
    this.unclaimed.push({ space: 'memory', address: gpa, write });
  }
}
