// Start of day of a PV guest: image, P2M, start_info, page tables and vCPU, as Xen's toolstack leaves them.

import { InputError } from '../../base/errors.ts';
import { type ElfFile, loadSegments } from '../../image/index.ts';
import { isZero, moreMemory } from '../boot/layout.ts';
import type { Guest } from '../define.ts';
import { FLAT_RING1_DS, VMASST_TYPE_pae_extended_cr3 } from './abi.ts';
import { type DomainLayout, layoutDomain } from './domain-layout.ts';
import { startVcpu } from './first-vcpu.ts';
import { hypercallPage32, hypercallPage64 } from './hypercall-page.ts';
import { type ImageNotes, neededNotes } from './image-notes.ts';
import { writeTables } from './initial-tables.ts';
import { checkAddresses, checkLoader } from './loader-rules.ts';
import { currentVcpu, hex, isGuestAddress, type PvDomain } from './pv-domain.ts';
import {
  MAX_GUEST_CMDLINE,
  SIF_MOD_START_PFN,
  START_MAGIC_32,
  START_MAGIC_64,
  startInfo,
} from './start-info.ts';

const PAGE = 4096;

/** Ports of console and store. */
export interface Rings {
  readonly consolePort: number;
  readonly storePort: number;
}

/** What is to be built, checked and found to fit; nothing is written yet. */
export interface DomainPlan {
  /** The width is the image's: a 32-bit PAE guest. */
  readonly narrow: boolean;
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
  const narrow = elf.bits === 32;
  checkLoader(guest.kernel, notes);
  checkKernel(guest, notes, narrow);
  const layout = layoutDomain({
    notes,
    kernelEnd: checkSegments(guest, elf, notes, p2m.length),
    initrdBytes: guest.initrd?.length ?? 0,
    pages: p2m.length,
    wordBytes: narrow ? 4 : 8,
  });
  checkRange(guest, notes, layout, narrow);
  const consoleMfn = p2m[layout.console]!;
  return { narrow, guest, elf, notes, layout, consoleMfn, storeMfn: p2m[layout.store]! };
}

export function buildDomain(pv: PvDomain, plan: DomainPlan, p2m: Uint32Array, rings: Rings): void {
  const { guest, elf, notes, layout } = plan;
  const memory = new GuestPages(pv, p2m);
  for (const { gpa, bytes } of loadSegments(elf)) memory.write(gpa - notes.paddrOffset, bytes);
  if (guest.initrd) memory.write(layout.initrd.pfn * PAGE, guest.initrd);
  if (notes.hypercallPage !== null) {
    const page = plan.narrow ? hypercallPage32() : hypercallPage64();
    memory.write(notes.hypercallPage - notes.virtBase, page);
  }
  writeP2m(pv, memory, layout, p2m);
  const table = writeTables(pv, notes, layout, p2m);
  writeStartInfo(pv, memory, { guest, notes, layout, rings, p2m });
  const va = (pfn: number) => notes.virtBase + pfn * PAGE;
  const stackEnd = va(layout.stack) + PAGE;
  startVcpu(pv, { entry: notes.entry, startInfo: va(layout.startInfo), stackEnd, table });
  if (!plan.narrow) return;
  const vcpu = currentVcpu(pv);
  vcpu.kernelSs = FLAT_RING1_DS;
  vcpu.kernelSp = stackEnd;
  // Tables above 4 GiB suit such a guest; there are none on this machine (xen.h, VMASST_TYPE_pae_extended_cr3).
  if (notes.extendedCr3) pv.state.assists |= 1 << VMASST_TYPE_pae_extended_cr3;
}

function checkKernel({ kernel }: Guest, notes: ImageNotes, narrow: boolean): void {
  if (narrow && !notes.pae) {
    throw new InputError(
      'xen-pv/pae',
      `${kernel.name} is a 32-bit kernel without PAE, and Xen has guests with PAE only`,
      'it needs CONFIG_X86_PAE (CONFIG_HIGHMEM64G): try --on kvm.',
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
  const unfit =
    notes.virtBase % PAGE !== 0 || !isGuestAddress({ state: { narrow } }, notes.virtBase);
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

/** What the initial tables map must not reach Xen's part, nor the end of the address space. */
function checkRange(
  { kernel }: Guest,
  { virtBase }: ImageNotes,
  { mappedPages }: DomainLayout,
  narrow: boolean,
): void {
  const last = virtBase + mappedPages * PAGE - 1;
  const width = { state: { narrow } };
  const wraps = !narrow && virtBase < 0 && last >= 0;
  if (isGuestAddress(width, last) && !wraps) return;
  throw new InputError(
    'xen-pv/range',
    `${kernel.name} and what comes with it end at 0x${hex(last)}, where a guest cannot be`,
    'a smaller initrd may fit.',
  );
}

function checkSegments({ kernel }: Guest, elf: ElfFile, notes: ImageNotes, pages: number): number {
  let end = notes.hypercallPage === null ? 0 : notes.hypercallPage - notes.virtBase + PAGE;
  let start = Number.POSITIVE_INFINITY;
  for (const { gpa, memBytes } of loadSegments(elf)) {
    const at = gpa - notes.paddrOffset;
    if (at < 0) {
      throw new InputError(
        'xen-pv/segment',
        `a segment of ${kernel.name} lies below the kernel's base address`,
        'the file may be damaged.',
      );
    }
    start = Math.min(start, at);
    end = Math.max(end, at + memBytes);
  }
  checkAddresses(kernel, notes, { start, end });
  if (end <= pages * PAGE) return end;
  throw new InputError(
    'xen-pv/memory',
    `${kernel.name} needs ${Math.ceil(end / 2 ** 20)} MiB, and the domain has ${Math.floor((pages * PAGE) / 2 ** 20)}`,
    moreMemory(end),
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
      if (!isZero(bytes, from, from + size))
        this.pv.platform.ram.write(this.place(at + from), bytes.subarray(from, from + size));
      from += size;
    }
  }

  place(at: number): number {
    return this.p2m[Math.floor(at / PAGE)]! * PAGE + (at % PAGE);
  }
}

function writeP2m(pv: PvDomain, memory: GuestPages, layout: DomainLayout, p2m: Uint32Array): void {
  const words = pv.state.narrow ? 1 : 2;
  const list = new Uint32Array(p2m.length * words);
  p2m.forEach((mfn, pfn) => {
    list[pfn * words] = mfn;
    pv.space.setPfn(mfn, pfn);
  });
  memory.write(layout.p2m.pfn * PAGE, new Uint8Array(list.buffer));
}

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
  const form = pv.state.narrow ? startInfo.narrow : startInfo.wide;
  const page = new Uint8Array(form.size);
  const initrd = guest.initrd !== null && guest.initrd.length > 0;
  const byPfn = initrd && notes.modStartPfn;
  form.write(new DataView(page.buffer), 0, {
    magic: text(pv.state.narrow ? START_MAGIC_32 : START_MAGIC_64, 32),
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
