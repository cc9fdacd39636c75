// Where start of day puts what it hands to a kernel: all in the first 640 KiB, the initrd at the top of RAM.

import { InputError } from '../../base/errors.ts';
import type { LoadSegment } from '../../image/index.ts';
import { HIGH_RAM_START, RAM_BYTES_MAX } from '../../machine/memory.ts';
import type { Guest, Platform } from '../define.ts';

/** The places of Firecracker's known-good layout (docs/hypervisors/native.md). */
export const GDT_AT = 0x500;
export const START_INFO_AT = 0x6000;
export const MODULE_LIST_AT = 0x6040;
export const MEMORY_MAP_AT = 0x6080;
export const ZERO_PAGE_AT = 0x7000;
export const STACK_TOP = 0x8ff0;
export const PAGE_TABLES_AT = 0x9000;
export const COMMAND_LINE_AT = 0x20000;
/** Linux's COMMAND_LINE_SIZE on x86, its NUL included (arch/x86/include/asm/setup.h). */
const COMMAND_LINE_BYTES = 2048;
const PAGE = 4096;
const MEBIBYTE = 1 << 20;
const SPARSE_CHUNK = 16 * PAGE;
/** Boot code of Linux takes addresses below this for granted (boot.rst, initrd_addr_max of a vmlinux without header). */
const INITRD_END_MAX = 0x7fff_ffff;

/** What a protocol puts into memory as the kernel. */
export interface KernelLoad {
  readonly segments: readonly LoadSegment[];
  /** First byte that the kernel leaves alone before it reserves memory, if that lies behind its segments. */
  readonly end?: number;
}

/** A file beside the kernel. */
export interface Placed {
  readonly gpa: number;
  readonly bytes: number;
}

export interface Loaded {
  /** First byte behind the kernel's segments. */
  readonly kernelEnd: number;
  /** Where the initrd lies; size 0 if there is none. */
  readonly initrd: Placed;
  readonly commandLineBytes: number;
}

/** Copies kernel, initrd and command line into RAM. Nothing is written unless all of them fit. */
export function loadGuest(platform: Platform, guest: Guest, kernel: KernelLoad): Loaded {
  const { segments } = kernel;
  const kernelEnd = checkSegments(platform, guest, kernel);
  const initrd = placeInitrd(platform, guest, kernelEnd);
  const line = commandLineBytes(guest);
  for (const { gpa, bytes, memBytes } of segments) {
    writeSparse(platform, gpa, bytes);
    platform.ram.fill(gpa + bytes.length, memBytes - bytes.length, 0);
  }
  if (guest.initrd) platform.ram.write(initrd.gpa, guest.initrd);
  platform.ram.write(COMMAND_LINE_AT, line);
  return { kernelEnd, initrd, commandLineBytes: line.length - 1 };
}

/** RAM is zero at start of day: runs of zeros are not copied, so that the host need not find pages for them. */
function writeSparse(platform: Platform, gpa: number, bytes: Uint8Array): void {
  let from = 0;
  for (let at = 0; at < bytes.length; at += SPARSE_CHUNK) {
    if (!isZero(bytes, at, Math.min(at + SPARSE_CHUNK, bytes.length))) continue;
    if (at > from) platform.ram.write(gpa + from, bytes.subarray(from, at));
    from = at + SPARSE_CHUNK;
  }
  if (from < bytes.length) platform.ram.write(gpa + from, bytes.subarray(from));
}

export function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  const at = bytes.byteOffset + from;
  if (((at | (to - from)) & 7) === 0) {
    const words = new Float64Array(bytes.buffer, at, (to - from) >> 3);
    // As doubles: a word of zeros is 0, and so is that of the sign alone, which the bytes behind it tell apart.
    for (let i = 0; i < words.length; i++)
      if (words[i] !== 0 || bytes[from + i * 8 + 7] !== 0) return false;
    return true;
  }
  for (let i = from; i < to; i++) if (bytes[i] !== 0) return false;
  return true;
}

export function writeSegments({ ram }: Platform, segments: readonly LoadSegment[]): void {
  for (const { gpa, bytes, memBytes } of segments) {
    ram.write(gpa, bytes);
    ram.fill(gpa + bytes.length, memBytes - bytes.length, 0);
  }
}

/** Answers the kernel's end. */
export function checkSegments(
  platform: Platform,
  guest: Guest,
  { segments, end: needed = 0 }: KernelLoad,
): number {
  const { name } = guest.kernel;
  let end = 0;
  let total = 0;
  for (const { gpa, memBytes } of segments) {
    total += memBytes;
    if (memBytes === 0) continue;
    if (gpa < HIGH_RAM_START) {
      throw new InputError(
        'boot/kernel-below-1m',
        `${name} wants to be loaded at 0x${gpa.toString(16)}, below 1 MiB`,
        'kernels for this machine are linked to physical addresses from 0x100000 on.',
      );
    }
    end = Math.max(end, gpa + memBytes);
  }
  if (end === 0) {
    throw new InputError(
      'boot/kernel-empty',
      `${name} has no segment to load`,
      'give a linked kernel: a vmlinux or a bzImage, not an object file.',
    );
  }
  // Segments that lie over each other are no reason to refuse a kernel, but to write RAM more than once over is.
  end = Math.max(end, needed, total);
  if (end > platform.memoryBytes) {
    throw new InputError(
      'boot/kernel-too-large',
      `${name} needs memory up to ${mebibytes(end)}, but the machine has ${mebibytes(platform.memoryBytes)}`,
      moreMemory(end),
    );
  }
  return end;
}

/** What to try for something that takes so many bytes. */
export function moreMemory(bytes: number): string {
  const mebi = Math.ceil(bytes / MEBIBYTE / 64) * 64 + 64;
  return mebi * MEBIBYTE <= RAM_BYTES_MAX
    ? `give it more: --memory ${mebi}M.`
    : 'no machine has so much (3 GiB at most): the file may be damaged.';
}

/** At the top of RAM, so that nothing the kernel puts behind itself can meet it. */
function placeInitrd(platform: Platform, guest: Guest, kernelEnd: number): Loaded['initrd'] {
  const bytes = guest.initrd?.length ?? 0;
  if (bytes === 0) return { gpa: 0, bytes: 0 };
  const top = Math.min(
    platform.memoryBytes,
    guest.kernel.header?.initrd_addr_max ?? INITRD_END_MAX,
  );
  const gpa = Math.floor((top - bytes) / PAGE) * PAGE;
  if (gpa < kernelEnd) {
    throw new InputError(
      'boot/initrd-too-large',
      `the initrd of ${mebibytes(bytes)} does not fit above the kernel, which ends at ${mebibytes(kernelEnd)}`,
      `the machine has ${mebibytes(platform.memoryBytes)}: raise --memory, or give a smaller initrd.`,
    );
  }
  return { gpa, bytes };
}

/** With its NUL. */
function commandLineBytes(guest: Guest): Uint8Array {
  const { commandLine, kernel } = guest;
  const limit = Math.min(
    kernel.header?.cmdline_size ?? COMMAND_LINE_BYTES - 1,
    COMMAND_LINE_BYTES - 1,
  );
  if (commandLine.length > limit) {
    throw new InputError(
      'boot/command-line-too-long',
      `the kernel command line has ${commandLine.length} bytes, but ${kernel.name} takes ${limit}`,
      'shorten what --append adds.',
    );
  }
  const bytes = new Uint8Array(commandLine.length + 1);
  for (let i = 0; i < commandLine.length; i++) {
    const code = commandLine.charCodeAt(i);
    if (code < 0x20 || code > 0x7e) {
      throw new InputError(
        'boot/command-line-text',
        `the kernel command line has a character that is not printable ASCII at position ${i}`,
        'quote what --append adds, without line breaks.',
      );
    }
    bytes[i] = code;
  }
  return bytes;
}

export const mebibytes = (bytes: number): string => `${Math.ceil(bytes / MEBIBYTE)} MiB`;
