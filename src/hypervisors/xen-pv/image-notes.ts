// What a kernel says to a Xen loader: its ELF notes, or in images before 2006 the text of its section __xen_guest.

import { InputError } from '../../base/errors.ts';
import {
  asciiText,
  type ElfFile,
  elfNotes,
  type KernelImage,
  sectionBytes,
} from '../../image/index.ts';

/** xen/include/public/elfnote.h */
export const XEN_ELFNOTE_ENTRY = 1;
export const XEN_ELFNOTE_HYPERCALL_PAGE = 2;
export const XEN_ELFNOTE_VIRT_BASE = 3;
export const XEN_ELFNOTE_PADDR_OFFSET = 4;
export const XEN_ELFNOTE_XEN_VERSION = 5;
export const XEN_ELFNOTE_GUEST_OS = 6;
export const XEN_ELFNOTE_LOADER = 8;
export const XEN_ELFNOTE_PAE_MODE = 9;
export const XEN_ELFNOTE_FEATURES = 10;
export const XEN_ELFNOTE_HV_START_LOW = 12;
export const XEN_ELFNOTE_INIT_P2M = 15;
export const XEN_ELFNOTE_MOD_START_PFN = 16;
export const XEN_ELFNOTE_SUPPORTED_FEATURES = 17;

/** Virtual addresses are signed numbers. */
export interface ImageNotes {
  readonly entry: number;
  readonly hypercallPage: number | null;
  readonly virtBase: number;
  readonly paddrOffset: number;
  /** A 32-bit kernel with three levels of page tables. */
  readonly pae: boolean;
  /** It takes frame numbers beyond 20 bits in CR3. */
  readonly extendedCr3: boolean;
  /** Words of the FEATURES note; `!name` is one that the kernel cannot do without. */
  readonly features: readonly string[];
  /** Bits of SUPPORTED_FEATURES. */
  readonly supported: number;
  /** The initrd may lie outside the initial mapping. */
  readonly modStartPfn: boolean;
  /** Where it wants its P2M list; null: behind the kernel. */
  readonly initP2m: number | null;
  /** Whom it is for; empty: it does not say. */
  readonly loader: string;
  readonly guestOs: string;
  readonly xenVersion: string;
}

type Value = bigint | string;

/** Null: the file says nothing to a Xen PV loader. */
export function imageNotes(elf: ElfFile): ImageNotes | null {
  const notes = notesOf(elf);
  const said = notes ?? sectionOf(elf);
  if (!said) return null;
  const isLegacy = notes === null;
  const number = (key: number): number | null => {
    const value = said.get(key);
    return typeof value === 'bigint' ? address(value, elf.bits) : null;
  };
  const text = (key: number): string => {
    const value = said.get(key);
    return typeof value === 'string' ? value : '';
  };
  const base = number(XEN_ELFNOTE_VIRT_BASE) ?? 0;
  const pae = text(XEN_ELFNOTE_PAE_MODE);
  return {
    entry: number(XEN_ELFNOTE_ENTRY) ?? address(elf.entry, elf.bits),
    hypercallPage: number(XEN_ELFNOTE_HYPERCALL_PAGE),
    virtBase: base,
    // Images of before the notes have virtual addresses for physical ones unless they say otherwise (elfnote.h).
    paddrOffset: number(XEN_ELFNOTE_PADDR_OFFSET) ?? (isLegacy ? base : 0),
    pae: /^yes|bimodal/.test(pae),
    // The word `yes` says so much in a note; in the section it needs its addition (Xen 4.17, common/libelf).
    extendedCr3: isLegacy ? /\[extended-cr3\]/.test(pae) : /^yes|bimodal/.test(pae),
    features: text(XEN_ELFNOTE_FEATURES)
      .split('|')
      .filter((word) => word !== ''),
    supported: number(XEN_ELFNOTE_SUPPORTED_FEATURES) ?? 0,
    modStartPfn: (number(XEN_ELFNOTE_MOD_START_PFN) ?? 0) !== 0,
    initP2m: number(XEN_ELFNOTE_INIT_P2M),
    loader: text(XEN_ELFNOTE_LOADER),
    guestOs: text(XEN_ELFNOTE_GUEST_OS),
    xenVersion: text(XEN_ELFNOTE_XEN_VERSION),
  };
}

/** The notes of a kernel that can be a PV guest, or a sentence that says why it cannot. */
export function neededNotes(kernel: KernelImage): { elf: ElfFile; notes: ImageNotes } {
  if (kernel.bzImage && !kernel.bzImage.payload) throw notXen(kernel);
  const elf = kernel.elf();
  const notes = imageNotes(elf);
  if (!notes) throw notXen(kernel);
  return { elf, notes };
}

function notXen({ name }: KernelImage): InputError {
  return new InputError(
    'xen-pv/no-notes',
    `${name} has no ELF notes for a Xen PV guest`,
    'it was built without CONFIG_XEN_PV (CONFIG_XEN in kernels before 4.13): try --on xen-pvh or --on kvm.',
  );
}

/** Linux has other notes of Xen's too (PVH); a PV guest has one of these. */
function notesOf(elf: ElfFile): Map<number, Value> | null {
  const notes = elfNotes(elf).filter(({ name }) => name === 'Xen');
  const isPv = notes.some(
    ({ type }) => type === XEN_ELFNOTE_ENTRY || type === XEN_ELFNOTE_HYPERCALL_PAGE,
  );
  if (!isPv) return null;
  return new Map(notes.map(({ type, desc }) => [type, noteValue(type, desc)]));
}

const TEXTS = new Set([
  XEN_ELFNOTE_XEN_VERSION,
  XEN_ELFNOTE_GUEST_OS,
  XEN_ELFNOTE_LOADER,
  XEN_ELFNOTE_PAE_MODE,
  XEN_ELFNOTE_FEATURES,
]);

function noteValue(type: number, desc: Uint8Array): Value {
  if (TEXTS.has(type)) return asciiText(desc).replace(/\0.*$/s, '');
  let value = 0n;
  for (let n = Math.min(desc.length, 8) - 1; n >= 0; n--) value = (value << 8n) | BigInt(desc[n]!);
  return value;
}

/** Keys of `__xen_guest` that have become notes. */
const SECTION_KEYS: Readonly<Record<string, number>> = {
  VIRT_BASE: XEN_ELFNOTE_VIRT_BASE,
  VIRT_ENTRY: XEN_ELFNOTE_ENTRY,
  ELF_PADDR_OFFSET: XEN_ELFNOTE_PADDR_OFFSET,
  HYPERCALL_PAGE: XEN_ELFNOTE_HYPERCALL_PAGE,
  PAE: XEN_ELFNOTE_PAE_MODE,
  LOADER: XEN_ELFNOTE_LOADER,
  GUEST_OS: XEN_ELFNOTE_GUEST_OS,
  XEN_VER: XEN_ELFNOTE_XEN_VERSION,
  FEATURES: XEN_ELFNOTE_FEATURES,
};

/** `KEY=value,KEY=value`; the hypercall page is told by its number behind VIRT_BASE. */
function sectionOf(elf: ElfFile): Map<number, Value> | null {
  const section = elf.sections.find(({ name }) => name === '__xen_guest');
  if (!section) return null;
  const said = new Map<number, Value>();
  for (const part of asciiText(sectionBytes(elf, section)).replace(/\0.*$/s, '').split(',')) {
    const [name = '', value = 'yes'] = part.split('=');
    const key = SECTION_KEYS[name.trim()];
    if (key === undefined) continue;
    said.set(key, TEXTS.has(key) ? value : wholeNumber(value));
  }
  const page = said.get(XEN_ELFNOTE_HYPERCALL_PAGE);
  const base = said.get(XEN_ELFNOTE_VIRT_BASE);
  if (typeof page === 'bigint')
    said.set(
      XEN_ELFNOTE_HYPERCALL_PAGE,
      (typeof base === 'bigint' ? base : 0n) + BigInt.asUintN(64, page << 12n),
    );
  return said;
}

function wholeNumber(text: string): bigint {
  return /^(0x[0-9a-fA-F]{1,16}|\d{1,19})$/.test(text.trim()) ? BigInt(text.trim()) : 0n;
}

function address(value: bigint, bits: 32 | 64): number {
  return bits === 64 ? Number(BigInt.asIntN(64, value)) : Number(BigInt.asUintN(32, value));
}
