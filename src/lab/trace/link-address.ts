// From the address at which a kernel runs to the one that it was linked for: by what memory holds, never by guess.

import { type Peeked, peekBytes } from '../../cpu/peek.ts';
import { type ElfFile, findBanner } from '../../image/index.ts';

/** Where the kernel's banner was linked to, physically and virtually: wherever memory has it, the kernel is. */
interface Landmark {
  readonly vaddr: number;
  readonly paddr: number;
  readonly bytes: Uint8Array;
}

const PF_X = 1;
/** A relocated 64-bit kernel moves by 2 MiB within its gibibyte, one of 32 bits by CONFIG_PHYSICAL_ALIGN, 8 KiB at least. */
const STEP = { 64: 0x20_0000, 32: 0x2000 } as const;
const REACH = { 64: 0x4000_0000, 32: 0x2000_0000 } as const;

/** Of one kernel in one machine. */
export class LinkAddress {
  private readonly elf: ElfFile;
  private readonly landmark: Landmark | null;
  /** How far the kernel runs from where it was linked for; null: not known yet. */
  private slide: number | null = null;
  private failures = 0;

  constructor(elf: ElfFile) {
    this.elf = elf;
    this.landmark = landmarkOf(elf);
  }

  /** Null: the address is not the kernel's, or nothing in memory tells. */
  of(cpu: Peeked, rip: number): number | null {
    const { landmark } = this;
    if (!landmark) return null;
    return this.physical(cpu, rip, landmark) ?? this.virtual(cpu, rip, landmark);
  }

  /** Before its own page tables a kernel runs where it was loaded. */
  private physical({ views, layout }: Peeked, rip: number, landmark: Landmark): number | null {
    const segment = this.elf.segments.find(
      ({ flags, paddr, memBytes }) => flags & PF_X && rip >= paddr && rip < paddr + memBytes,
    );
    if (!segment || landmark.paddr + landmark.bytes.length > layout.ramBytes) return null;
    const at = layout.ramBase + landmark.paddr;
    if (landmark.bytes.some((byte, n) => views.u8[at + n] !== byte)) return null;
    return rip - segment.paddr + addressOf(segment.vaddr, this.elf.bits);
  }

  private virtual(cpu: Peeked, rip: number, landmark: Landmark): number | null {
    this.slide ??= this.search(cpu, rip, landmark);
    return this.slide === null ? null : rip - this.slide;
  }

  /** Tried ever less often while nothing is found: firmware and decompressors run first. */
  private search(cpu: Peeked, rip: number, landmark: Landmark): number | null {
    const { bits } = this.elf;
    if (bits === 64 ? rip >= 0 : rip < 0x4000_0000) return null;
    if (this.failures & (this.failures - 1)) {
      this.failures++;
      return null;
    }
    for (let way = 0; way < REACH[bits]; way += STEP[bits]) {
      if (isThere(cpu, landmark.vaddr + way, landmark.bytes)) return way;
      if (way > 0 && isThere(cpu, landmark.vaddr - way, landmark.bytes)) return -way;
    }
    this.failures++;
    return null;
  }
}

function isThere(cpu: Peeked, va: number, bytes: Uint8Array): boolean {
  const first = peekBytes(cpu, va, 1);
  if (first[0] !== bytes[0]) return false;
  const found = peekBytes(cpu, va, bytes.length);
  return found.length === bytes.length && found.every((byte, n) => byte === bytes[n]);
}

function landmarkOf(elf: ElfFile): Landmark | null {
  const banner = findBanner(elf.bytes);
  const segment =
    banner &&
    elf.segments.find(
      ({ vaddr, offset, fileBytes }) =>
        vaddr !== 0n && banner.at >= offset && banner.at < offset + fileBytes,
    );
  if (!segment) return null;
  const within = banner.at - segment.offset;
  const length = 'Linux version '.length + banner.version.length;
  return {
    vaddr: addressOf(segment.vaddr, elf.bits) + within,
    paddr: segment.paddr + within,
    bytes: elf.bytes.subarray(banner.at, banner.at + length),
  };
}

const addressOf = (value: bigint, bits: 32 | 64): number =>
  Number(bits === 64 ? BigInt.asIntN(64, value) : value);
