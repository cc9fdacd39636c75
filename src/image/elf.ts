// ELF files, 32 and 64 bits: headers, segments, notes, sections and symbols, and what a loader does with them.
import { InputError } from '../base/errors.ts';
import { asciiText, type ByteReader, byteReader, hasMagic } from './bytes.ts';

export interface ElfSegment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  /** A kernel's virtual addresses need all 64 bits. */
  readonly vaddr: bigint;
  readonly paddr: number;
  readonly fileBytes: number;
  readonly memBytes: number;
  readonly align: number;
}

export interface ElfSection {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly addr: bigint;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly entryBytes: number;
}

export interface ElfSymbol {
  readonly name: string;
  readonly value: bigint;
  readonly size: number;
  readonly info: number;
  readonly section: number;
}

export interface ElfNote {
  readonly name: string;
  readonly type: number;
  readonly desc: Uint8Array;
}

export interface ElfFile {
  readonly bytes: Uint8Array;
  readonly bits: 32 | 64;
  readonly type: number;
  readonly machine: number;
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  readonly sections: readonly ElfSection[];
}

/** What goes where in guest physical memory: `bytes`, then zeros up to `memBytes`. */
export interface LoadSegment {
  readonly gpa: number;
  readonly bytes: Uint8Array;
  readonly memBytes: number;
}

// System V ABI, chapters 4 and 5 (gabi), names as in elf.h.
const ELF_MAGIC = [0x7f, 0x45, 0x4c, 0x46];
const ELFCLASS32 = 1;
const ELFCLASS64 = 2;
const ELFDATA2LSB = 1;
export const EM_386 = 3;
export const EM_X86_64 = 62;
export const PT_LOAD = 1;
export const PT_NOTE = 4;
const SHT_SYMTAB = 2;
const SHT_NOTE = 7;
const SHT_NOBITS = 8;
/** More of either than this is damage: kernels have about 5 and 80. */
const TABLE_ENTRIES_MAX = 4096;

/** Xen's notes, which any hypervisor may use (xen/include/public/elfnote.h). */
export const XEN_ELFNOTE_PHYS32_ENTRY = 18;

export function isElf(bytes: Uint8Array): boolean {
  return hasMagic(bytes, ELF_MAGIC);
}

/** Parses an x86 ELF file; `what` is the subject of errors, such as a file name. */
export function parseElf(bytes: Uint8Array, what = 'The ELF file'): ElfFile {
  const r = byteReader(bytes, what, 'image/corrupt-elf');
  if (!isElf(bytes)) throw notElf(`${what} is not an ELF file`);
  const elfClass = r.u8(4);
  if ((elfClass !== ELFCLASS32 && elfClass !== ELFCLASS64) || r.u8(5) !== ELFDATA2LSB) {
    throw notElf(`${what} is not a little-endian ELF file of 32 or 64 bits`);
  }
  const wide = elfClass === ELFCLASS64;
  const machine = r.u16(18);
  if (machine !== EM_386 && machine !== EM_X86_64) {
    throw notElf(`${what} is for ELF machine ${machine}, not for x86`);
  }
  const at = wide ? WIDE_HEADER : NARROW_HEADER;
  const segments = tableOf(r, what, at, 'ph', wide ? 56 : 32, (place) => segmentAt(r, place, wide));
  const raw = tableOf(r, what, at, 'sh', wide ? 64 : 40, (place) => sectionAt(r, place, wide));
  const names = raw[r.u16(at.shstrndx)];
  const sections = raw.map(({ nameAt, ...section }) => ({
    ...section,
    name: names ? nameIn(r, names, nameAt) : '',
  }));
  const entry = wide ? r.u64n(24) : BigInt(r.u32(24));
  return { bytes, bits: wide ? 64 : 32, type: r.u16(16), machine, entry, segments, sections };
}

const WIDE_HEADER = {
  phoff: 32,
  phentsize: 54,
  shoff: 40,
  shentsize: 58,
  shstrndx: 62,
  wide: true,
};
const NARROW_HEADER = {
  phoff: 28,
  phentsize: 42,
  shoff: 32,
  shentsize: 46,
  shstrndx: 50,
  wide: false,
};

function tableOf<T>(
  r: ByteReader,
  what: string,
  at: typeof WIDE_HEADER,
  kind: 'ph' | 'sh',
  entryBytes: number,
  read: (place: number) => T,
): T[] {
  const offsetAt = kind === 'ph' ? at.phoff : at.shoff;
  const sizeAt = kind === 'ph' ? at.phentsize : at.shentsize;
  const start = at.wide ? r.u64(offsetAt) : r.u32(offsetAt);
  const size = r.u16(sizeAt);
  const count = start === 0 ? 0 : r.u16(sizeAt + 2);
  if (count > TABLE_ENTRIES_MAX || (count > 0 && size < entryBytes)) {
    throw corrupt(`${what} has ${count} table entries of ${size} bytes`);
  }
  return Array.from({ length: count }, (_, n) => read(start + n * size));
}

function segmentAt(r: ByteReader, at: number, wide: boolean): ElfSegment {
  const segment = wide
    ? {
        type: r.u32(at),
        flags: r.u32(at + 4),
        offset: r.u64(at + 8),
        vaddr: r.u64n(at + 16),
        paddr: r.u64(at + 24),
        fileBytes: r.u64(at + 32),
        memBytes: r.u64(at + 40),
        align: r.u64(at + 48),
      }
    : {
        type: r.u32(at),
        offset: r.u32(at + 4),
        vaddr: BigInt(r.u32(at + 8)),
        paddr: r.u32(at + 12),
        fileBytes: r.u32(at + 16),
        memBytes: r.u32(at + 20),
        flags: r.u32(at + 24),
        align: r.u32(at + 28),
      };
  if (segment.type === PT_LOAD || segment.type === PT_NOTE)
    r.slice(segment.offset, segment.fileBytes);
  return segment;
}

function sectionAt(
  r: ByteReader,
  at: number,
  wide: boolean,
): Omit<ElfSection, 'name'> & { nameAt: number } {
  const nameAt = r.u32(at);
  const type = r.u32(at + 4);
  return wide
    ? {
        nameAt,
        type,
        flags: r.u64(at + 8),
        addr: r.u64n(at + 16),
        offset: r.u64(at + 24),
        size: r.u64(at + 32),
        link: r.u32(at + 40),
        entryBytes: r.u64(at + 56),
      }
    : {
        nameAt,
        type,
        flags: r.u32(at + 8),
        addr: BigInt(r.u32(at + 12)),
        offset: r.u32(at + 16),
        size: r.u32(at + 20),
        link: r.u32(at + 24),
        entryBytes: r.u32(at + 36),
      };
}

function nameIn(r: ByteReader, table: { offset: number; size: number }, at: number): string {
  if (at >= table.size) return '';
  return asciiText(r.bytes, table.offset + at, table.offset + Math.min(table.size, at + 4096));
}

/** The content of a section; empty for those that take no room in the file. */
export function sectionBytes(elf: ElfFile, section: ElfSection): Uint8Array {
  if (section.type === SHT_NOBITS) return new Uint8Array(0);
  return byteReader(elf.bytes, `The ELF section ${section.name}`, 'image/corrupt-elf').slice(
    section.offset,
    section.size,
  );
}

/** The symbol table, if it was not stripped. */
export function elfSymbols(elf: ElfFile): ElfSymbol[] {
  const table = elf.sections.find(({ type }) => type === SHT_SYMTAB);
  const strings = table && elf.sections[table.link];
  if (!table || !strings) return [];
  const wide = elf.bits === 64;
  const r = byteReader(sectionBytes(elf, table), 'The ELF symbol table', 'image/corrupt-elf');
  const names = byteReader(sectionBytes(elf, strings), 'The ELF string table', 'image/corrupt-elf');
  const whole = { offset: 0, size: names.bytes.length };
  const step = wide ? 24 : 16;
  const symbols: ElfSymbol[] = [];
  for (let at = 0; at + step <= r.bytes.length; at += step) {
    const name = nameIn(names, whole, r.u32(at));
    symbols.push(
      wide
        ? {
            name,
            info: r.u8(at + 4),
            section: r.u16(at + 6),
            value: r.u64n(at + 8),
            size: Number(r.u64n(at + 16)),
          }
        : {
            name,
            value: BigInt(r.u32(at + 4)),
            size: r.u32(at + 8),
            info: r.u8(at + 12),
            section: r.u16(at + 14),
          },
    );
  }
  return symbols;
}

/** The notes of all note segments, or of note sections where there are no such segments. */
export function elfNotes(elf: ElfFile): ElfNote[] {
  const segments = elf.segments.filter(({ type }) => type === PT_NOTE);
  const areas =
    segments.length > 0
      ? segments.map(({ offset, fileBytes }) => elf.bytes.subarray(offset, offset + fileBytes))
      : elf.sections
          .filter(({ type }) => type === SHT_NOTE)
          .map((section) => sectionBytes(elf, section));
  // Areas that lie over each other would give a small file any number of notes.
  if (areas.reduce((sum, area) => sum + area.length, 0) > elf.bytes.length) {
    throw corrupt('The ELF file has note areas that overlap');
  }
  return areas.flatMap(notesIn);
}

function notesIn(area: Uint8Array): ElfNote[] {
  const r = byteReader(area, 'An ELF note area', 'image/corrupt-elf');
  const notes: ElfNote[] = [];
  for (let at = 0; at + 12 <= area.length; ) {
    const nameBytes = r.u32(at);
    const descBytes = r.u32(at + 4);
    // Linux aligns both to 4 in either class (include/linux/elfnote.h).
    const descAt = at + 12 + Math.ceil(nameBytes / 4) * 4;
    const name = asciiText(r.slice(at + 12, nameBytes));
    // The last note of GRUB's 32-bit Xen image says that it is longer than its segment: what is there counts.
    const room = Math.max(area.length - descAt, 0);
    notes.push({
      name,
      type: r.u32(at + 8),
      desc: r.slice(Math.min(descAt, area.length), Math.min(descBytes, room)),
    });
    at = descAt + Math.ceil(descBytes / 4) * 4;
  }
  return notes;
}

/** The value of a Xen note that holds a number of 4 or 8 bytes; null if there is none. */
export function xenNoteValue(elf: ElfFile, type: number): bigint | null {
  const note = elfNotes(elf).find((each) => each.name === 'Xen' && each.type === type);
  if (!note || note.desc.length < 4) return null;
  const r = byteReader(note.desc, 'A Xen note', 'image/corrupt-elf');
  return note.desc.length >= 8 ? r.u64n(0) : BigInt(r.u32(0));
}

/** The physical address of the PVH entry, or null if the kernel has none (needs CONFIG_PVH). */
export function pvhEntry(elf: ElfFile): number | null {
  const value = xenNoteValue(elf, XEN_ELFNOTE_PHYS32_ENTRY);
  return value === null || value > 0xffff_ffffn ? null : Number(value);
}

/** The PT_LOAD segments by physical address, lowest first; those without memory are left out. */
export function loadSegments(elf: ElfFile): LoadSegment[] {
  const loads = elf.segments.filter(({ type, memBytes }) => type === PT_LOAD && memBytes > 0);
  if (loads.length === 0) throw corrupt('The ELF file has nothing to load: no PT_LOAD segment');
  for (const { fileBytes, memBytes, paddr } of loads) {
    if (fileBytes > memBytes || paddr + memBytes > Number.MAX_SAFE_INTEGER) {
      throw corrupt('The ELF file has a segment whose sizes contradict each other');
    }
  }
  return loads
    .map(({ paddr, offset, fileBytes, memBytes }) => ({
      gpa: paddr,
      bytes: elf.bytes.subarray(offset, offset + fileBytes),
      memBytes,
    }))
    .sort((a, b) => a.gpa - b.gpa);
}

function notElf(message: string): InputError {
  return new InputError(
    'image/not-elf',
    message,
    'pvops boots x86 kernels: bzImage, vmlinux or a .deb with one.',
  );
}

function corrupt(message: string): InputError {
  return new InputError(
    'image/corrupt-elf',
    message,
    'The file may be damaged or only partly copied.',
  );
}
