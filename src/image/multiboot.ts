// Multiboot 1 headers: where they stand in a file, and what they ask of the loader.
import { InputError } from '../base/errors.ts';
import { byteReader } from './bytes.ts';
import { isElf, type LoadSegment, loadSegments, parseElf } from './elf.ts';

/** Names and numbers of the Multiboot Specification 0.6.96, 3.1. */
export const MULTIBOOT_HEADER_MAGIC = 0x1badb002;
const MULTIBOOT_SEARCH = 8192;
const MULTIBOOT_HEADER_ALIGN = 4;
const MULTIBOOT_PAGE_ALIGN = 1 << 0;
const MULTIBOOT_MEMORY_INFO = 1 << 1;
const MULTIBOOT_VIDEO_MODE = 1 << 2;
const MULTIBOOT_AOUT_KLUDGE = 1 << 16;
/** A loader must refuse what it does not know of these. */
const REQUIRED_FLAGS = 0xffff;

export interface MultibootHeader {
  /** Of its magic number in the file. */
  readonly offset: number;
  readonly flags: number;
  /** Where to put the file and where to enter it; null: it is an ELF file that says so itself. */
  readonly addresses: MultibootAddresses | null;
}

export interface MultibootAddresses {
  readonly header_addr: number;
  readonly load_addr: number;
  /** 0: to the end of the file. */
  readonly load_end_addr: number;
  /** 0: no memory to clear behind it. */
  readonly bss_end_addr: number;
  readonly entry_addr: number;
}

/** Null if there is none in the first 8 KiB. */
export function multibootHeader(bytes: Uint8Array): MultibootHeader | null {
  const end = Math.min(bytes.length, MULTIBOOT_SEARCH) - 12;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at <= end; at += MULTIBOOT_HEADER_ALIGN) {
    if (view.getUint32(at, true) !== MULTIBOOT_HEADER_MAGIC) continue;
    const flags = view.getUint32(at + 4, true);
    if (((MULTIBOOT_HEADER_MAGIC + flags + view.getUint32(at + 8, true)) & 0xffffffff) !== 0)
      continue;
    return { offset: at, flags, addresses: addresses(bytes, at, flags) };
  }
  return null;
}

function addresses(bytes: Uint8Array, at: number, flags: number): MultibootAddresses | null {
  if ((flags & MULTIBOOT_AOUT_KLUDGE) === 0) return null;
  const r = byteReader(bytes, 'The multiboot header', 'image/corrupt-multiboot');
  return {
    header_addr: r.u32(at + 12),
    load_addr: r.u32(at + 16),
    load_end_addr: r.u32(at + 20),
    bss_end_addr: r.u32(at + 24),
    entry_addr: r.u32(at + 28),
  };
}

/** What to load, and the physical address to enter it at. */
export interface MultibootLoad {
  readonly segments: readonly LoadSegment[];
  readonly entry: number;
}

/** `name` is the subject of errors. */
export function multibootLoad(
  bytes: Uint8Array,
  header: MultibootHeader,
  name: string,
): MultibootLoad {
  const unknown = header.flags & REQUIRED_FLAGS & ~(MULTIBOOT_PAGE_ALIGN | MULTIBOOT_MEMORY_INFO);
  if (unknown !== 0) {
    throw new InputError(
      'image/multiboot-flags',
      unknown === MULTIBOOT_VIDEO_MODE
        ? `${name} asks its loader for a video mode, and this machine has no display`
        : `${name} asks its loader for features that multiboot 1 does not have (flags 0x${unknown.toString(16)})`,
      'Build it without that flag in its multiboot header.',
    );
  }
  if (header.addresses) return rawLoad(bytes, header.offset, header.addresses, name);
  if (!isElf(bytes)) {
    throw new InputError(
      'image/corrupt-multiboot',
      `${name} has a multiboot header without addresses, but is not an ELF file`,
      'Give an ELF file, or a header with flag bit 16 and its five addresses.',
    );
  }
  return elfLoad(bytes, name);
}

/** Specification 3.1.3: the part of the file from `load_addr` on, counted from where the header lies. */
function rawLoad(
  bytes: Uint8Array,
  headerAt: number,
  at: MultibootAddresses,
  name: string,
): MultibootLoad {
  const start = headerAt - (at.header_addr - at.load_addr);
  const loadBytes = at.load_end_addr === 0 ? bytes.length - start : at.load_end_addr - at.load_addr;
  const end = at.load_addr + loadBytes;
  const bssEnd = at.bss_end_addr === 0 ? end : at.bss_end_addr;
  if (at.header_addr < at.load_addr || start < 0 || loadBytes <= 0 || bssEnd < end) {
    throw new InputError(
      'image/corrupt-multiboot',
      `${name} has a multiboot header whose addresses contradict each other`,
      'The file may be damaged or only partly copied.',
    );
  }
  const r = byteReader(bytes, name, 'image/corrupt-multiboot');
  const segment = {
    gpa: at.load_addr,
    bytes: r.slice(start, loadBytes),
    memBytes: bssEnd - at.load_addr,
  };
  return { segments: [segment], entry: at.entry_addr };
}

/** An entry within a segment's virtual addresses is one there: loaders of higher-half kernels take it as physical. */
function elfLoad(bytes: Uint8Array, name: string): MultibootLoad {
  const elf = parseElf(bytes, name);
  const entry = Number(elf.entry);
  const home = elf.segments.find(
    ({ type, vaddr, memBytes }) =>
      type === 1 && elf.entry >= vaddr && elf.entry < vaddr + BigInt(memBytes),
  );
  const physical = home ? home.paddr + Number(elf.entry - home.vaddr) : entry;
  if (physical > 0xffff_ffff) {
    throw new InputError(
      'image/corrupt-multiboot',
      `${name} has its entry at 0x${physical.toString(16)}, and multiboot enters kernels in 32-bit mode`,
      'Link it to an entry below 4 GiB.',
    );
  }
  return { segments: loadSegments(elf), entry: physical };
}
