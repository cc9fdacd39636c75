// Guest memory as a program wants to find it: writes at addresses, merged into runs of bytes.

import {
  type Descriptor,
  encodeDescriptor,
  encodeGate32,
  encodeGate64,
  type Gate,
} from './descriptors.ts';
import { GDT, IDT32, IDT64 } from './layout.ts';

export interface Run {
  readonly at: number;
  readonly bytes: Uint8Array;
}

export class Memory {
  private readonly bytes = new Map<number, number>();

  write(at: number, data: Iterable<number>): this {
    let next = at;
    for (const byte of data) this.bytes.set(next++, byte);
    return this;
  }

  u8(at: number, ...values: readonly number[]): this {
    return this.write(at, values);
  }
  u16(at: number, ...values: readonly number[]): this {
    return this.write(
      at,
      values.flatMap((value) => little(BigInt(value), 2)),
    );
  }
  u32(at: number, ...values: readonly number[]): this {
    return this.write(
      at,
      values.flatMap((value) => little(BigInt(value), 4)),
    );
  }
  u64(at: number, ...values: readonly (number | bigint)[]): this {
    return this.write(
      at,
      values.flatMap((value) => little(BigInt(value), 8)),
    );
  }

  /** An entry of the GDT. */
  gdt(selector: number, descriptor: Descriptor): this {
    return this.write(GDT + (selector & ~7), encodeDescriptor(descriptor));
  }
  /** A gate as an entry of the GDT: 8 bytes, or 16 for long mode. */
  callGate(selector: number, gate: Gate, long = false): this {
    return this.write(GDT + (selector & ~7), long ? encodeGate64(gate) : encodeGate32(gate));
  }
  idt32(vector: number, gate: Gate): this {
    return this.write(IDT32 + vector * 8, encodeGate32(gate));
  }
  idt64(vector: number, gate: Gate): this {
    return this.write(IDT64 + vector * 16, encodeGate64(gate));
  }

  /** Runs in ascending order. */
  runs(): Run[] {
    const sorted = [...this.bytes.keys()].sort((a, b) => a - b);
    const runs: { at: number; data: number[] }[] = [];
    for (const at of sorted) {
      const last = runs.at(-1);
      if (last && last.at + last.data.length === at) last.data.push(this.bytes.get(at) ?? 0);
      else runs.push({ at, data: [this.bytes.get(at) ?? 0] });
    }
    return runs.map(({ at, data }) => ({ at, bytes: Uint8Array.from(data) }));
  }
}

export function little(value: bigint, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, n) => Number((value >> BigInt(8 * n)) & 0xffn));
}
