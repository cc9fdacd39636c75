// The MSI-X table and pending bits of one function, in a memory BAR of their own.

import type { MmioHandler } from '../device.ts';

/** PCI 3.0 6.8.2.3: message control. */
export const MSIX_CONTROL = { masked: 0x4000, enabled: 0x8000 } as const;
const ENTRY_DWORDS = 4;
const VECTOR_MASKED = 1;

export interface MsixState {
  /** Address low, address high, data, vector control, of each entry. */
  table: Uint32Array;
  pending: Uint32Array;
}

export function msixState(vectors: number): MsixState {
  const table = new Uint32Array(vectors * ENTRY_DWORDS);
  for (let n = 0; n < vectors; n++) table[n * ENTRY_DWORDS + 3] = VECTOR_MASKED;
  return { table, pending: new Uint32Array(Math.ceil(vectors / 32)) };
}

/** Where the pending bits lie in the BAR: behind the table, on a boundary of 2 KiB. */
export function pendingOffset(vectors: number): number {
  return Math.max(0x800, Math.ceil((vectors * 16) / 0x800) * 0x800);
}

export function msixBarSize(vectors: number): number {
  let size = 0x1000;
  while (size < pendingOffset(vectors) + 0x800) size *= 2;
  return size;
}

export type SendMessage = (lo: number, hi: number, data: number) => void;

export class Msix {
  private readonly state: MsixState;
  private readonly control: () => number;
  private readonly send: SendMessage;

  /** `control` is the capability's message control word. */
  constructor(state: MsixState, control: () => number, send: SendMessage) {
    this.state = state;
    this.control = control;
    this.send = send;
  }

  enabled(): boolean {
    return (this.control() & MSIX_CONTROL.enabled) !== 0;
  }

  interrupt(vector: number): void {
    const { table, pending } = this.state;
    if (!this.enabled() || vector < 0 || vector * ENTRY_DWORDS >= table.length) return;
    const at = vector * ENTRY_DWORDS;
    const masked =
      (this.control() & MSIX_CONTROL.masked) !== 0 || (table[at + 3]! & VECTOR_MASKED) !== 0;
    if (masked) pending[vector >>> 5]! |= 1 << (vector & 31);
    else this.send(table[at]!, table[at + 1]!, table[at + 2]!);
  }

  /** After a mask was lifted: what pends is sent (PCI 3.0 6.8.3.4). */
  flush(): void {
    const { table, pending } = this.state;
    for (let vector = 0; vector * ENTRY_DWORDS < table.length; vector++) {
      const bit = 1 << (vector & 31);
      if ((pending[vector >>> 5]! & bit) === 0) continue;
      pending[vector >>> 5]! &= ~bit;
      this.interrupt(vector);
    }
  }

  handler(): MmioHandler {
    const { table, pending } = this.state;
    const pendingAt = pendingOffset(table.length / ENTRY_DWORDS);
    return {
      read(offset) {
        if (offset < table.length * 4) return table[offset >>> 2]!;
        return offset >= pendingAt ? (pending[(offset - pendingAt) >>> 2] ?? 0) : 0;
      },
      write: (offset, value, bytes) => {
        const index = offset >>> 2;
        // Narrow writes are undefined (6.8.2.6); here they do nothing.
        if (bytes !== 4 || index >= table.length) return;
        table[index] = (index & 3) === 3 ? value & VECTOR_MASKED : value;
        if ((index & 3) === 3 && (value & VECTOR_MASKED) === 0) this.flush();
      },
    };
  }
}
