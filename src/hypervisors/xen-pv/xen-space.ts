// Xen's part of a guest's address space: the machine-to-physical table, and a window for its GDT and LDT.

import { bug } from '../../base/errors.ts';
import type { Platform } from '../define.ts';
import { FIRST_RESERVED_GDT_PAGE, HYPERVISOR_VIRT_START_PAE } from './abi.ts';
import {
  FIRST_XEN_L2_SLOT,
  PTE_A,
  PTE_D,
  PTE_P,
  PTE_RW,
  PTE_US,
  type XenEntry,
  type XenSlots,
} from './page-tables.ts';

/** xen/include/public/arch-x86/xen-x86_64.h */
export const HYPERVISOR_VIRT_START = -0x8000_0000_0000; // 0xffff800000000000
export const HYPERVISOR_VIRT_END = -0x7800_0000_0000; // 0xffff880000000000
export const MACH2PHYS_VIRT_START = HYPERVISOR_VIRT_START;
/** 0xffff804000000000: the header gives the table 256 GiB. */
export const MACH2PHYS_VIRT_END = MACH2PHYS_VIRT_START + 0x40_0000_0000;
/** xen/include/public/arch-x86/xen-x86_32.h; its table may reach to where Xen 4.17 ends it, MACH2PHYS_COMPAT_VIRT_END. */
export const MACH2PHYS_VIRT_START_PAE = HYPERVISOR_VIRT_START_PAE;
export const MACH2PHYS_VIRT_END_COMPAT = 0xffe0_0000;
/** Where Xen maps a vCPU's descriptor tables: slot 260 of the top-level table (Xen 4.17, PERDOMAIN_VIRT_START). */
const PERDOMAIN_SLOT = 260;
const PERDOMAIN_VIRT_START = HYPERVISOR_VIRT_START + (PERDOMAIN_SLOT - 256) * 0x80_0000_0000;

/** Pages of a vCPU's GDT and LDT in the window. */
export const GDT_PAGES = 16;
export const LDT_PAGES = 16;
/** One page of Xen's own behind the guest's. */
export const GDT_LIMIT = (FIRST_RESERVED_GDT_PAGE + 1) * 4096 - 1;

const VCPU_PAGES = GDT_PAGES + LDT_PAGES;
const ENTRIES = 512;
/** Tables are for every ring to walk; what pages allow, the last level says. */
const TABLE = PTE_P | PTE_RW | PTE_US | PTE_A;
const GUEST_READS = PTE_P | PTE_US | PTE_A;
const XEN_READS = PTE_P | PTE_A;
const XEN_WRITES = PTE_P | PTE_RW | PTE_A | PTE_D;

/**
 * Xen's descriptors in its page of the GDT, by index: what 64-bit guests find at 0xe023, 0xe02b, 0xe033 (xen-x86_64.h), and
 * 32-bit ones at 0xe019, 0xe021 for ring 1, at 0xe02b, 0xe033 for ring 3 (xen-x86_32.h).
 */
type Words = readonly (readonly [index: number, lo: number, hi: number])[];
const XEN_DESCRIPTORS: { readonly wide: Words; readonly narrow: Words } = {
  wide: [
    [1, 0x00000000, 0x00af9b00],
    [2, 0x0000ffff, 0x00cf9300],
    [4, 0x0000ffff, 0x00cffb00],
    [5, 0x0000ffff, 0x00cff300],
    [6, 0x00000000, 0x00affb00],
    [7, 0x0000ffff, 0x00cf9b00],
  ],
  narrow: [
    [1, 0x00000000, 0x00af9b00],
    [2, 0x0000ffff, 0x00cf9300],
    [3, 0x0000ffff, 0x00cfbb00],
    [4, 0x0000ffff, 0x00cfb300],
    [5, 0x0000ffff, 0x00cffb00],
    [6, 0x0000ffff, 0x00cff300],
  ],
};

export const gdtAt = (vcpu: number): number => PERDOMAIN_VIRT_START + vcpu * VCPU_PAGES * 4096;
export const ldtAt = (vcpu: number): number => gdtAt(vcpu) + GDT_PAGES * 4096;

export class XenSpace implements XenSlots {
  readonly entries: readonly XenEntry[];
  readonly narrowEntries: readonly XenEntry[];
  private readonly platform: Platform;
  private readonly takeFrame: () => number;
  private readonly window: number;
  private readonly zeroPage: number;
  private readonly xenPage: number;
  /** Machine frame of each page of the machine-to-physical table. */
  private readonly m2pPages: Uint32Array;
  /** And of that with entries of 4 bytes, which 32-bit guests see. */
  private readonly narrowPages: Uint32Array;
  /** The table above a 32-bit guest's own: the processor is in long mode. */
  private readonly aboveNarrow: number;

  /** `takeFrame` gives a cleared frame of Xen's own. */
  constructor(platform: Platform, takeFrame: () => number, totalFrames: number) {
    this.platform = platform;
    this.takeFrame = takeFrame;
    this.zeroPage = takeFrame();
    this.xenPage = takeFrame();
    const m2pPages = Math.ceil((totalFrames * 8) / 4096);
    if (m2pPages > ENTRIES * ENTRIES) bug(`${totalFrames} frames are too many`);
    this.m2pPages = Uint32Array.from({ length: m2pPages }, takeFrame);
    for (const mfn of this.m2pPages) platform.ram.fill(mfn * 4096, 4096, 0xff);
    const narrowPages = Math.ceil((totalFrames * 4) / 4096);
    this.narrowPages = Uint32Array.from({ length: narrowPages }, takeFrame);
    for (const mfn of this.narrowPages) platform.ram.fill(mfn * 4096, 4096, 0xff);
    this.aboveNarrow = takeFrame();
    this.window = takeFrame();
    this.putDescriptors(false);
    this.entries = [
      [MACH2PHYS_VIRT_START === HYPERVISOR_VIRT_START ? 256 : bug('M2P moved'), ...this.m2pTree()],
      [PERDOMAIN_SLOT, ...this.branch(this.branch(this.window)[0] >>> 12)],
    ];
    const [slot, lo, hi] = this.entries[1]!;
    platform.ram.setU64(this.aboveNarrow * 4096 + slot * 8, lo, hi);
    this.narrowEntries = this.narrowTables();
  }

  /** Xen's own descriptors, for guests of either width. */
  putDescriptors(narrow: boolean): void {
    this.platform.ram.fill(this.xenPage * 4096, 4096, 0);
    for (const [index, lo, hi] of XEN_DESCRIPTORS[narrow ? 'narrow' : 'wide'])
      this.platform.ram.setU64(this.xenPage * 4096 + index * 8, lo, hi);
  }

  /** Puts a 32-bit guest's L3 table under Xen's table, which the processor begins with; answers that. */
  underTop(l3: number): number {
    this.put(this.aboveNarrow, 0, l3, TABLE);
    return this.aboveNarrow;
  }

  /** `pfn` null: the frame belongs to nobody. */
  setPfn(mfn: number, pfn: number | null): void {
    const at = this.m2pPages[mfn >>> 9]! * 4096 + (mfn & 0x1ff) * 8;
    if (pfn === null) this.platform.ram.setU64(at, 0xffffffff, 0xffffffff);
    else this.platform.ram.setU64(at, pfn >>> 0, Math.floor(pfn / 4294967296));
    const narrowAt = this.narrowPages[mfn >>> 10]! * 4096 + (mfn & 0x3ff) * 4;
    this.platform.ram.setU32(narrowAt, pfn === null ? 0xffffffff : pfn >>> 0);
  }

  /** The frame that each 2 MiB of the machine-to-physical table begin with. */
  m2pExtents(): readonly number[] {
    return [...this.m2pPages].filter((_, n) => n % ENTRIES === 0);
  }

  pfnOf(mfn: number): number {
    return this.platform.ram.u32(this.m2pPages[mfn >>> 9]! * 4096 + (mfn & 0x1ff) * 8);
  }

  /** The frame that the table has for that page, its last one; -1: none. A search, for what is done once in a while. */
  mfnOf(pfn: number): number {
    for (let mfn = this.m2pPages.length * ENTRIES - 1; mfn >= 0; mfn--)
      if (this.pfnOf(mfn) === pfn) return mfn;
    return -1;
  }

  /** Page `n` of a vCPU's GDT; -1: an empty one. */
  mapGdt(vcpu: number, n: number, mfn: number): void {
    const slot = vcpu * VCPU_PAGES + n;
    if (n >= FIRST_RESERVED_GDT_PAGE) this.put(this.window, slot, this.xenPage, XEN_WRITES);
    else if (mfn < 0) this.put(this.window, slot, this.zeroPage, XEN_READS);
    else this.put(this.window, slot, mfn, XEN_WRITES);
    this.platform.cpu.mmu.flushPage(gdtAt(vcpu) + n * 4096);
  }

  /** Page `n` of a vCPU's LDT; -1: none, an access faults. */
  mapLdt(vcpu: number, n: number, mfn: number): void {
    const slot = vcpu * VCPU_PAGES + GDT_PAGES + n;
    if (mfn < 0) this.platform.ram.setU64(this.window * 4096 + slot * 8, 0, 0);
    else this.put(this.window, slot, mfn, XEN_WRITES);
    this.platform.cpu.mmu.flushPage(ldtAt(vcpu) + n * 4096);
  }

  private m2pTree(): readonly [lo: number, hi: number] {
    const directory = this.takeFrame();
    for (let n = 0; n < this.m2pPages.length; n += ENTRIES) {
      const table = this.takeFrame();
      this.m2pPages
        .subarray(n, n + ENTRIES)
        .forEach((mfn, slot) => void this.put(table, slot, mfn, GUEST_READS));
      this.put(directory, n / ENTRIES, table, TABLE);
    }
    return this.branch(directory);
  }

  /** Entries of a 32-bit guest's last L2. Its programs, in ring 3, do not see the table. */
  private narrowTables(): readonly XenEntry[] {
    const out: XenEntry[] = [];
    for (let n = 0; n < this.narrowPages.length; n += ENTRIES) {
      const table = this.takeFrame();
      this.narrowPages
        .subarray(n, n + ENTRIES)
        .forEach((mfn, slot) => void this.put(table, slot, mfn, XEN_READS));
      out.push([FIRST_XEN_L2_SLOT + n / ENTRIES, ...entry(table, TABLE)]);
    }
    return out;
  }

  /** A table whose first entry is `child`, as an entry. */
  private branch(child: number): readonly [lo: number, hi: number] {
    const table = this.takeFrame();
    this.put(table, 0, child, TABLE);
    return entry(table, TABLE);
  }

  private put(table: number, slot: number, mfn: number, flags: number): void {
    this.platform.ram.setU64(table * 4096 + slot * 8, ...entry(mfn, flags));
  }
}

/** A machine of memory32 has no frame above 4 GiB. */
function entry(mfn: number, flags: number): readonly [lo: number, hi: number] {
  return [((mfn << 12) | flags) >>> 0, 0];
}
