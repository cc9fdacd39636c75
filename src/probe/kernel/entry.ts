// The ways in on hardware: multiboot, PVH and Linux's two entries, and from there to paging with flat segments.

import type { GuestBinding } from '../../ops/index.ts';
import { type Emitter, IMAGE_AT } from './emitter.ts';

/** As the log spells them; the number is what the entry leaves in `kernel.boot_way`. */
export const BOOT_WAYS = ['own', 'multiboot', 'pvh', 'linux32', 'linux64'] as const;
/** Multiboot Specification 0.6.96, 3.1: pages aligned, memory told, addresses in the header. */
const MULTIBOOT_MAGIC = 0x1badb002;
const MULTIBOOT_FLAGS = 0x00010003;
/** boot.rst: the 64-bit entry lies 0x200 bytes behind the 32-bit one. */
export const ENTRY64_AT = 0x200;
/** struct boot_params: the header's magic number, version and sub-architecture (boot.rst). */
const [HEADER_AT, VERSION_AT, SUBARCH_AT] = [0x202, 0x206, 0x23c];
const HDRS = 0x53726448;
const VERSION_WITH_SUBARCH = 0x0207;
const [CS32, CS, DS] = [0x10, 0x60, 0x68];
const MSR_EFER = 0xc0000080;
const EFER_LME = 0x100;
/** PAE and PGE; paging and write protection. */
const CR4 = 0xa0;
const CR0 = 0x80010000;

const ZERO_MEMORY =
  'cld; mov edi, kernel.bss; mov ecx, kernel.image_end; sub ecx, edi; shr ecx, 2; xor eax, eax; rep stosd';

/** The first 0x240 bytes of the image. */
export function emitHead(code: Emitter): void {
  code.in32('jmp entry.linux32').align(64);
  const checksum = -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS) >>> 0;
  code.bind('kernel.multiboot').dd(MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, checksum);
  code.dd('kernel.multiboot', IMAGE_AT, 'kernel.data_end', 'kernel.image_end', 'entry.multiboot');
  code.align(ENTRY64_AT);
  if (code.bits === 64) code.text('jmp entry.linux64');
}

export function emitEntries(code: Emitter, bindings: readonly GuestBinding[]): void {
  const enter = (way: number, register: string) =>
    `mov dword ptr [kernel.boot_way], ${way}; mov [kernel.boot_argument], ${register}`;
  code.in32(`entry.multiboot:; ${enter(1, 'ebx')}; jmp entry.flat`);
  code.in32(`entry.pvh:; ${enter(2, 'ebx')}; jmp entry.flat`);
  code.in32('entry.linux32:');
  emitSubarchitectures(code, bindings);
  code.in32(`${enter(3, 'esi')}; jmp entry.flat`);
  if (code.bits === 64) {
    code.text(
      `entry.linux64:; cli; mov [kernel.boot_argument], rsi; mov dword ptr [kernel.boot_way], 4`,
    );
    // Down to 32-bit code under the loader's paging, which maps this part one to one.
    code.text(
      `mov rsp, kernel.stack_top; lgdt [kernel.gdt_record]; push ${CS32}; push entry.flat; o64 retf`,
    );
  }
  emitFlat(code);
}

/** Linux's way to tell platforms apart whose loaders fill the zero page alike; nothing but ESI is known yet. */
function emitSubarchitectures(code: Emitter, bindings: readonly GuestBinding[]): void {
  for (const [n, { start, bits }] of bindings.entries()) {
    if (start?.subarchitecture === undefined || !bits.includes(code.bits)) continue;
    const next = code.fresh('subarch');
    code.in32(`cmp dword ptr [esi+${HEADER_AT}], ${HDRS}; jne ${next}`);
    code.in32(`cmp word ptr [esi+${VERSION_AT}], ${VERSION_WITH_SUBARCH}; jb ${next}`);
    code.in32(`cmp dword ptr [esi+${SUBARCH_AT}], ${start.subarchitecture}; jne ${next}`);
    // A loader of bzImages has zeroed nothing.
    code.in32(`${ZERO_MEMORY}; mov dword ptr [kernel.binding], ${n}; jmp ${start.label}; ${next}:`);
  }
}

/** Memory zeroed, own GDT, tables and paging. 32-bit code. */
function emitFlat(code: Emitter): void {
  const wide = code.bits === 64;
  code.in32(`entry.flat:; cli; ${ZERO_MEMORY}; mov esp, kernel.stack_top`);
  code.in32(
    `lgdt [kernel.gdt_record]; push ${CS32}; push entry.cs; retf; entry.cs:; mov eax, ${DS}`,
  );
  for (const segment of ['ds', 'es', 'ss', 'fs', 'gs']) code.in32(`mov ${segment}, ax`);
  emitTables(code);
  code.in32(`mov eax, cr4; or eax, ${CR4}; mov cr4, eax; mov eax, table.top; mov cr3, eax`);
  if (wide) code.in32(`mov ecx, ${MSR_EFER}; rdmsr; or eax, ${EFER_LME}; wrmsr`);
  code.in32(`mov eax, cr0; or eax, ${CR0}; and eax, 0xfffffff3; mov cr0, eax`);
  code.in32(`push ${CS}; push entry.paged; retf`);
  code.text('entry.paged:; mov {sp}, kernel.stack_top; jmp kernel.main');
}

/**
 * One to one: 4 MiB by small pages, because the image is there and its pages are to be changed one by one; the rest of the first
 * GiB by large ones, and the last, where the local APIC is, uncached.
 */
function emitTables(code: Emitter): void {
  const fill = (table: string, from: number, flags: number, step: number, count: number) => {
    const loop = code.fresh('fill');
    code.in32(`mov edi, ${table}; mov eax, ${(from | flags) >>> 0}; mov ecx, ${count}`);
    code.in32(`${loop}:; mov [edi], eax; add edi, 8; add eax, ${step}; dec ecx; jne ${loop}`);
  };
  const link = (slot: string, table: string, flags: number) =>
    code.in32(`mov eax, ${table}; or eax, ${flags}; mov [${slot}], eax`);
  // Present, writable, user; a PDPTE of PAE has none but the first (SDM 3A table 4-8).
  const [leaf, upper] = [7, code.bits === 64 ? 7 : 1];
  fill('table.l1', 0, leaf, 0x1000, 1024);
  fill('table.pd0', 0, 0x80 | leaf, 0x200000, 512);
  fill('table.pd3', 0xc0000000, 0x93, 0x200000, 512);
  link('table.pd0', 'table.l1', leaf);
  link('table.pd0+8', 'table.l1_next', leaf);
  link('table.pdpt', 'table.pd0', upper);
  link('table.pdpt+24', 'table.pd3', upper);
  if (code.bits === 64) link('table.top', 'table.pdpt', leaf);
}
