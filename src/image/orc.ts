// Unwind tables of 64-bit Linux kernels (ORC): for any instruction, where its caller's frame lies.

import type { ElfFile } from './elf.ts';

/** Registers that a frame can hang on: `ORC_REG_*` of arch/x86/include/asm/orc_types.h (6.1); the others are rare. */
export const ORC_REG = { undefined: 0, prevSp: 1, bp: 4, sp: 5, bpIndirect: 8, spIndirect: 9 };
/** `UNWIND_HINT_TYPE_*` of include/linux/objtool.h (6.1): a return address, or the registers of an exception. */
export const ORC_TYPE = { call: 0, regs: 1, regsPartial: 2 };

export interface OrcEntry {
  readonly spOffset: number;
  readonly bpOffset: number;
  readonly spReg: number;
  readonly bpReg: number;
  readonly type: number;
  /** Nobody called this. */
  readonly end: boolean;
}

export interface OrcTable {
  readonly size: number;
  /** By the address that the code was linked to. */
  find(address: number): OrcEntry | null;
}

const IP_BYTES = 4;
const ENTRY_BYTES = 6;

/**
 * Documentation/x86/orc-unwinder.rst (6.1): `.orc_unwind_ip` has addresses relative to themselves, sorted when the kernel is
 * built, and `.orc_unwind` an entry for each. Null: there are none, or they are those of 6.4 and later, which have a header.
 */
export function orcTable({ bytes, bits, sections }: ElfFile): OrcTable | null {
  const named = (wanted: string) => sections.find(({ name }) => name === wanted);
  const [ips, entries] = [named('.orc_unwind_ip'), named('.orc_unwind')];
  if (bits !== 64 || !ips || !entries || named('.orc_header')) return null;
  const size = Math.floor(ips.size / IP_BYTES);
  const whole =
    entries.size === size * ENTRY_BYTES &&
    ips.offset + ips.size <= bytes.length &&
    entries.offset + entries.size <= bytes.length;
  if (!whole || size === 0) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const base = Number(BigInt.asIntN(64, ips.addr));
  const addresses = new Float64Array(size);
  for (let n = 0; n < size; n++) {
    addresses[n] = base + n * IP_BYTES + view.getInt32(ips.offset + n * IP_BYTES, true);
    if (n > 0 && addresses[n]! < addresses[n - 1]!) return null;
  }
  return {
    size,
    find(address) {
      let [low, high] = [0, size];
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (addresses[middle]! <= address) low = middle + 1;
        else high = middle;
      }
      return low === 0 ? null : entryAt(view, entries.offset + (low - 1) * ENTRY_BYTES);
    },
  };
}

/** struct orc_entry: two offsets, then registers, type and end as fields of bits. */
function entryAt(view: DataView, at: number): OrcEntry {
  const flags = view.getUint16(at + 4, true);
  return {
    spOffset: view.getInt16(at, true),
    bpOffset: view.getInt16(at + 2, true),
    spReg: flags & 0xf,
    bpReg: (flags >> 4) & 0xf,
    type: (flags >> 8) & 3,
    end: (flags & 0x400) !== 0,
  };
}
