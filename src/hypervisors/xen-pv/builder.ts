// Start of day of a 64-bit PV guest: image, P2M, start_info, page tables and vCPU, as Xen's toolstack leaves them.

import { InputError } from '../../base/errors.ts';
import {
  CR0_AM,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_PE,
  CR0_PG,
  CR0_WP,
  CR4_DE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_PAE,
  CR4_PGE,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EFER_SCE,
  EFLAGS_IF,
} from '../../cpu/control-bits.ts';
import {
  CS,
  DPL3,
  FLAT_CODE64,
  FLAT_DATA,
  LDTR,
  SS_REG,
  setNullSegment,
  setSegmentTo,
  TR,
} from '../../cpu/descriptors.ts';
import { reset } from '../../cpu/reset.ts';
import { type ElfFile, loadSegments } from '../../image/index.ts';
import type { Guest } from '../define.ts';
import { FLAT_RING3_CS64, FLAT_RING3_DS } from './abi.ts';
import { hex } from './bounce.ts';
import { type DomainLayout, layoutDomain } from './domain-layout.ts';
import { TYPE_L4 } from './frames.ts';
import { hypercallPage64 } from './hypercall-page.ts';
import { type ImageNotes, neededNotes } from './image-notes.ts';
import { PTE_A, PTE_D, PTE_P, PTE_RW, PTE_US } from './page-tables.ts';
import { currentVcpu, isGuestAddress, type PvDomain } from './pv-domain.ts';
import { MAX_GUEST_CMDLINE, SIF_MOD_START_PFN, START_MAGIC_64, startInfo } from './start-info.ts';
import { GDT_LIMIT, GDT_PAGES, gdtAt } from './xen-space.ts';

const PAGE = 4096;
const ENTRIES = 512;
const RSI = 6;
const RSP = 4;
const FLAT_LIMIT = 0xffffffff;
const BUSY_TSS = 0x8b;
const TSS_SELECTOR = 0xe040;
/** As Xen's toolstack writes them (tools/libs/guest, L1_PROT and its kind). */
const TABLE = PTE_P | PTE_RW | PTE_A | PTE_D | PTE_US;
const LEAF = PTE_P | PTE_RW | PTE_A | PTE_US;

/** Ports of console and store. */
export interface Rings {
  readonly consolePort: number;
  readonly storePort: number;
}

/** What is to be built, checked and found to fit; nothing is written yet. */
export interface DomainPlan {
  readonly guest: Guest;
  readonly elf: ElfFile;
  readonly notes: ImageNotes;
  readonly layout: DomainLayout;
  /** Machine frames of the rings. */
  readonly consoleMfn: number;
  readonly storeMfn: number;
}

/** `p2m`: machine frame of each page. */
export function planDomain(guest: Guest, p2m: Uint32Array): DomainPlan {
  const { elf, notes } = neededNotes(guest.kernel);
  checkKernel(guest, elf, notes);
  const layout = layoutDomain({
    notes,
    kernelEnd: checkSegments(guest, elf, notes, p2m.length),
    initrdBytes: guest.initrd?.length ?? 0,
    pages: p2m.length,
    wordBytes: 8,
  });
  const consoleMfn = p2m[layout.console]!;
  return { guest, elf, notes, layout, consoleMfn, storeMfn: p2m[layout.store]! };
}

export function buildDomain(pv: PvDomain, plan: DomainPlan, p2m: Uint32Array, rings: Rings): void {
  const { guest, elf, notes, layout } = plan;
  const memory = new GuestPages(pv, p2m);
  for (const { gpa, bytes } of loadSegments(elf)) memory.write(gpa - notes.paddrOffset, bytes);
  if (guest.initrd) memory.write(layout.initrd.pfn * PAGE, guest.initrd);
  if (notes.hypercallPage !== null) {
    memory.write(notes.hypercallPage - notes.virtBase, hypercallPage64());
  }
  writeP2m(pv, memory, layout, p2m);
  const top = writeTables(pv, notes, layout, p2m);
  writeStartInfo(pv, memory, { guest, notes, layout, rings, p2m });
  startVcpu(pv, notes, layout, top);
}

function checkKernel({ kernel }: Guest, elf: ElfFile, notes: ImageNotes): void {
  if (elf.bits !== 64) {
    throw new InputError(
      'xen-pv/bits',
      `${kernel.name} is a 32-bit kernel, and 32-bit PV guests are not supported yet`,
      'try --on xen-pvh or --on kvm.',
    );
  }
  const page = notes.hypercallPage;
  if (page !== null && (page % PAGE !== 0 || page < notes.virtBase)) {
    throw new InputError(
      'xen-pv/notes',
      `${kernel.name} has its hypercall page outside itself`,
      'the file may be damaged.',
    );
  }
  const needs = notes.features.filter((word) => /^!(?!writable_page_tables$)/.test(word));
  const unfit = notes.virtBase % PAGE !== 0 || !isGuestAddress(notes.virtBase);
  if (unfit || needs.length > 0) {
    throw new InputError(
      'xen-pv/notes',
      needs.length > 0
        ? `${kernel.name} cannot do without the feature '${needs[0]}'`
        : `${kernel.name} wants to be mapped at 0x${hex(notes.virtBase)}, where a guest cannot be`,
      'its ELF notes ask for what no PV domain has.',
    );
  }
}

function checkSegments({ kernel }: Guest, elf: ElfFile, notes: ImageNotes, pages: number): number {
  let end = notes.hypercallPage === null ? 0 : notes.hypercallPage - notes.virtBase + PAGE;
  for (const { gpa, memBytes } of loadSegments(elf)) {
    const at = gpa - notes.paddrOffset;
    if (at < 0) {
      throw new InputError(
        'xen-pv/segment',
        `a segment of ${kernel.name} lies below the kernel's base address`,
        'the file may be damaged.',
      );
    }
    end = Math.max(end, at + memBytes);
  }
  if (end <= pages * PAGE) return end;
  throw new InputError(
    'xen-pv/memory',
    `${kernel.name} needs ${Math.ceil(end / 2 ** 20)} MiB, and the domain has ${Math.floor((pages * PAGE) / 2 ** 20)}`,
    'give the machine more memory: --memory 512M.',
  );
}

/** Writes by pseudo-physical address: neighbouring pages lie anywhere in the machine. */
class GuestPages {
  private readonly pv: PvDomain;
  private readonly p2m: Uint32Array;

  constructor(pv: PvDomain, p2m: Uint32Array) {
    this.pv = pv;
    this.p2m = p2m;
  }

  /** Pages of zeros are not copied: memory is zero at the start. */
  write(at: number, bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; ) {
      const offset = (at + from) % PAGE;
      const size = Math.min(PAGE - offset, bytes.length - from);
      const part = bytes.subarray(from, from + size);
      if (part.some((byte) => byte !== 0)) this.pv.platform.ram.write(this.place(at + from), part);
      from += size;
    }
  }

  place(at: number): number {
    return this.p2m[Math.floor(at / PAGE)]! * PAGE + (at % PAGE);
  }
}

function writeP2m(pv: PvDomain, memory: GuestPages, layout: DomainLayout, p2m: Uint32Array): void {
  const list = new Uint32Array(p2m.length * 2);
  p2m.forEach((mfn, pfn) => {
    list[pfn * 2] = mfn;
    pv.space.setPfn(mfn, pfn);
  });
  memory.write(layout.p2m.pfn * PAGE, new Uint8Array(list.buffer));
}

/** Top table first, then level by level: kernels recycle the first three. Answers the top table, validated and pinned. */
function writeTables(
  { tables, frames }: PvDomain,
  { virtBase }: ImageNotes,
  layout: DomainLayout,
  p2m: Uint32Array,
): number {
  let next = layout.tables.pfn;
  const isTable = (pfn: number) =>
    pfn >= layout.tables.pfn && pfn < layout.tables.pfn + layout.tables.pages;
  const first = Math.floor(virtBase / PAGE);
  const put = (table: number, slot: number, mfn: number, flags: number) =>
    tables.put(table, slot, (mfn << 12) | flags, mfn >>> 20);
  const top = next++;
  /** Tables of the level above, by the number of the area that each covers. */
  let above = new Map<number, number>([[Math.floor(first / ENTRIES ** 4), top]]);
  for (let level = 3; level >= 1; level--) {
    const span = ENTRIES ** level;
    const here = new Map<number, number>();
    const last = Math.floor((first + layout.mappedPages - 1) / span);
    for (let area = Math.floor(first / span); area <= last; area++) {
      const pfn = next++;
      here.set(area, pfn);
      const parent = above.get(Math.floor(area / ENTRIES))!;
      put(p2m[parent]!, modulo(area, ENTRIES), p2m[pfn]!, TABLE);
    }
    above = here;
  }
  for (let pfn = 0; pfn < layout.mappedPages; pfn++) {
    const table = above.get(Math.floor((first + pfn) / ENTRIES))!;
    const flags = isTable(pfn) ? LEAF & ~PTE_RW : LEAF;
    put(p2m[table]!, modulo(first + pfn, ENTRIES), p2m[pfn]!, flags);
  }
  const mfn = p2m[top]!;
  // Once for the pin, once for being the one that runs.
  for (let n = 0; n < 2; n++) {
    if (tables.getFrameAndType(mfn, TYPE_L4) !== 0)
      throw new InputError('xen-pv/tables', 'the initial tables are refused', 'this is our bug.');
  }
  frames.setPinned(mfn, true);
  return mfn;
}

const modulo = (a: number, b: number): number => ((a % b) + b) % b;

interface StartParts {
  readonly guest: Guest;
  readonly notes: ImageNotes;
  readonly layout: DomainLayout;
  readonly rings: Rings;
  readonly p2m: Uint32Array;
}

function writeStartInfo(
  pv: PvDomain,
  memory: GuestPages,
  { guest, notes, layout, rings, p2m }: StartParts,
): void {
  const va = (pfn: number) => notes.virtBase + pfn * PAGE;
  const page = new Uint8Array(startInfo.wide.size);
  const initrd = guest.initrd !== null && guest.initrd.length > 0;
  const byPfn = initrd && notes.modStartPfn;
  startInfo.wide.write(new DataView(page.buffer), 0, {
    magic: text(START_MAGIC_64, 32),
    nr_pages: p2m.length,
    shared_info: pv.xen.state.sharedInfo,
    flags: byPfn ? SIF_MOD_START_PFN : 0,
    store_mfn: rings.storePort === 0 ? 0 : p2m[layout.store]!,
    store_evtchn: rings.storePort,
    console_mfn: rings.consolePort === 0 ? 0 : p2m[layout.console]!,
    console_evtchn: rings.consolePort,
    pt_base: va(layout.tables.pfn),
    nr_pt_frames: layout.tables.pages,
    mfn_list: va(layout.p2m.pfn),
    mod_start: initrd ? (byPfn ? layout.initrd.pfn : va(layout.initrd.pfn)) : 0,
    mod_len: guest.initrd?.length ?? 0,
    cmd_line: commandLine(guest.commandLine),
  });
  memory.write(layout.startInfo * PAGE, page);
}

function commandLine(line: string): Uint8Array {
  if (line.length < MAX_GUEST_CMDLINE) return text(line, MAX_GUEST_CMDLINE);
  throw new InputError(
    'xen-pv/command-line',
    `the command line has ${line.length} bytes, and a PV guest's at most ${MAX_GUEST_CMDLINE - 1}`,
    'say less with --append.',
  );
}

function text(value: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let n = 0; n < value.length; n++) bytes[n] = value.charCodeAt(n);
  return bytes;
}

/** xen.h, start-of-day; fact sheet 2.7. */
function startVcpu(pv: PvDomain, notes: ImageNotes, layout: DomainLayout, top: number): void {
  const { cpu } = pv;
  const { state } = cpu;
  reset(state);
  state.set('cr0', (CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG) >>> 0);
  // PGE is the processor's: user pages of both address spaces survive the switch between them.
  state.set('cr4', CR4_PAE | CR4_DE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT);
  state.set('efer', EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE);
  setSegmentTo(state, CS, FLAT_RING3_CS64, 0, FLAT_LIMIT, FLAT_CODE64 | DPL3);
  setSegmentTo(state, SS_REG, FLAT_RING3_DS, 0, FLAT_LIMIT, FLAT_DATA | DPL3);
  for (const n of [0, 3, 4, 5]) setNullSegment(state, n, 0);
  for (let n = 0; n < GDT_PAGES; n++) pv.space.mapGdt(pv.current, n, -1);
  state.setVa('gdtrBase', gdtAt(pv.current));
  state.set('gdtrLimit', GDT_LIMIT);
  // Every exception exits: no table of the guest's, and none of ours, is ever looked at.
  state.set('idtrLimit', 0);
  setSegmentTo(state, TR, TSS_SELECTOR, 0, 0, BUSY_TSS);
  setNullSegment(state, LDTR, 0);
  state.set('cpl', 3);
  state.set('eflags', 2 | EFLAGS_IF);
  state.setVa('rip', notes.entry);
  const va = (pfn: number) => BigInt.asUintN(64, BigInt(notes.virtBase + pfn * PAGE));
  state.setGpr(RSI, va(layout.startInfo));
  state.setGpr(RSP, va(layout.stack) + BigInt(PAGE));
  const vcpu = currentVcpu(pv);
  vcpu.kernelTable = top;
  state.setVa('cr3', top * PAGE);
  cpu.stateChanged();
  cpu.mmu.flushAll();
  pv.frames.flushed();
}
