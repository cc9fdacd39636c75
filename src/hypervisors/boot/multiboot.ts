// Start of day by multiboot 1: flat 32-bit mode, EBX at an information structure, and the BIOS that kernels may go back to.

import { InputError } from '../../base/errors.ts';
import { struct } from '../../base/struct.ts';
import type { Assembler } from '../../cpu/asm.ts';
import { multibootLoad } from '../../image/index.ts';
import { HIGH_RAM_START, LOW_RAM_END } from '../../machine/memory.ts';
import type { Guest, GuestModule, Platform } from '../define.ts';
import { BIOS_BASE } from './bios/rom.ts';
import { startBios } from './bios/start.ts';
import { checkSegments, GDT_AT, mebibytes, writeSegments } from './layout.ts';
import { CODE_SELECTOR, DATA_SELECTOR, GDT_BYTES, writeGdt } from './registers.ts';

/** Multiboot Specification 0.6.96, 3.2 and 3.3. */
export const MULTIBOOT_BOOTLOADER_MAGIC = 0x2badb002;
const MULTIBOOT_INFO_MEMORY = 1 << 0;
const MULTIBOOT_INFO_CMDLINE = 1 << 2;
const MULTIBOOT_INFO_MODS = 1 << 3;
const MULTIBOOT_INFO_MEM_MAP = 1 << 6;
const MULTIBOOT_INFO_BOOT_LOADER_NAME = 1 << 9;

export const multibootInfo = struct(
  'multiboot_info',
  {
    flags: 'u32',
    mem_lower: 'u32',
    mem_upper: 'u32',
    boot_device: 'u32',
    cmdline: 'u32',
    mods_count: 'u32',
    mods_addr: 'u32',
    mmap_length: { type: 'u32', at: 44 },
    mmap_addr: { type: 'u32', at: 48 },
    boot_loader_name: { type: 'u32', at: 64 },
  },
  { size: 120 },
);

export const multibootModule = struct(
  'multiboot_mod_list',
  { mod_start: 'u32', mod_end: 'u32', cmdline: 'u32', pad: 'u32' },
  { size: 16 },
);

/** `size` counts the bytes behind itself. */
export const multibootMmapEntry = struct(
  'multiboot_mmap_entry',
  { size: 'u32', addr: 'u64', len: 'u64', type: 'u32' },
  { size: 24, packed: true },
);

/** The structure and all that it points to but the modules lie here. */
export const INFO_AT = 0x10000;
const INFO_END = 0x14000;
const PAGE = 4096;
const LOADER_NAME = 'pvops';
/** Loaders put the kernel's name before its words; kernels drop the first word. */
const KERNEL_WORD = 'kernel';

interface PlacedModule extends GuestModule {
  readonly gpa: number;
}

export function startByMultiboot(platform: Platform, guest: Guest): void {
  const { kernel } = guest;
  if (!kernel.multiboot) {
    throw new InputError(
      'boot/not-multiboot',
      `${kernel.name} has no multiboot header in its first 8 KiB`,
      'say --boot direct, or give a multiboot kernel.',
    );
  }
  const { segments, entry } = multibootLoad(kernel.bytes, kernel.multiboot, kernel.name);
  const kernelEnd = checkSegments(platform, guest, { segments });
  const modules = placeModules(platform, guest, kernelEnd);
  const info = information(platform, guest, modules);
  writeSegments(platform, segments);
  for (const { gpa, bytes } of modules) platform.ram.write(gpa, bytes);
  platform.ram.write(INFO_AT, info);
  writeGdt(platform.ram, false);
  startBios(platform, (a) => handOver(a, entry));
}

/** Specification 3.2: protected mode with flat segments, paging and interrupts off. */
function handOver(a: Assembler, entry: number): void {
  a.text(`
    cli
    cs lgdt [multiboot_gdt]
    mov eax, cr0
    or al, 1
    mov cr0, eax`);
  // A far jump with a 32-bit offset, which the label, counted from the segment's start, has not.
  const flatCode = BigInt(BIOS_BASE) + a.here + 8n;
  a.bytes(0x66, 0xea).dd(flatCode).dw(CODE_SELECTOR).use(32);
  a.text(`
    mov eax, ${DATA_SELECTOR}
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    mov ss, ax
    mov eax, ${MULTIBOOT_BOOTLOADER_MAGIC}
    mov ebx, ${INFO_AT}
    mov ecx, ${entry}
    jmp ecx`);
  a.bind(a.label('multiboot_gdt'))
    .dw(GDT_BYTES - 1)
    .dd(GDT_AT);
}

/** One behind the other above the kernel, each on a page of its own. */
function placeModules({ ram }: Platform, guest: Guest, kernelEnd: number): PlacedModule[] {
  const { initrd, modules = [] } = guest;
  const all = initrd ? [{ bytes: initrd, commandLine: '' }, ...modules] : modules;
  let next = kernelEnd;
  return all.map((module) => {
    const gpa = Math.ceil(next / PAGE) * PAGE;
    next = gpa + module.bytes.length;
    if (next <= ram.bytes) return { ...module, gpa };
    throw new InputError(
      'boot/modules-too-large',
      `the modules do not fit into ${mebibytes(ram.bytes)} of memory above the kernel, which ends at ${mebibytes(kernelEnd)}`,
      'raise --memory.',
    );
  });
}

function information(
  platform: Platform,
  guest: Guest,
  modules: readonly PlacedModule[],
): Uint8Array {
  const area = new Area(guest.kernel.name);
  const at = area.take(multibootInfo.size);
  const list = area.take(modules.length * multibootModule.size);
  const map = area.take(platform.memoryMap.length * multibootMmapEntry.size);
  multibootInfo.write(area.view, at, {
    flags:
      MULTIBOOT_INFO_MEMORY |
      MULTIBOOT_INFO_CMDLINE |
      MULTIBOOT_INFO_MODS |
      MULTIBOOT_INFO_MEM_MAP |
      MULTIBOOT_INFO_BOOT_LOADER_NAME,
    mem_lower: LOW_RAM_END >> 10,
    mem_upper: (platform.ram.bytes - HIGH_RAM_START) >> 10,
    cmdline: area.text(`${KERNEL_WORD} ${guest.commandLine}`),
    mods_count: modules.length,
    mods_addr: INFO_AT + list,
    mmap_length: platform.memoryMap.length * multibootMmapEntry.size,
    mmap_addr: INFO_AT + map,
    boot_loader_name: area.text(LOADER_NAME),
  });
  modules.forEach(({ gpa, bytes, commandLine }, n) => {
    multibootModule.write(area.view, list + n * multibootModule.size, {
      mod_start: gpa,
      mod_end: gpa + bytes.length,
      cmdline: area.text(commandLine),
    });
  });
  platform.memoryMap.forEach(({ start, size, type }, n) => {
    const entry = { size: multibootMmapEntry.size - 4, addr: start, len: size, type };
    multibootMmapEntry.write(area.view, map + n * multibootMmapEntry.size, entry);
  });
  return area.bytes();
}

/** The information area while it is written. */
class Area {
  readonly view = new DataView(new ArrayBuffer(INFO_END - INFO_AT));
  private readonly name: string;
  private used = 0;

  constructor(name: string) {
    this.name = name;
  }

  take(bytes: number): number {
    const at = this.used;
    this.used += (bytes + 3) & ~3;
    if (this.used <= INFO_END - INFO_AT) return at;
    throw new InputError(
      'boot/multiboot-info',
      `the command lines and modules for ${this.name} do not fit into ${INFO_END - INFO_AT} bytes`,
      'give fewer modules or shorter command lines.',
    );
  }

  /** Answers the guest-physical address of the text, which ends with a NUL. */
  text(text: string): number {
    const at = this.take(text.length + 1);
    for (let i = 0; i < text.length; i++) this.view.setUint8(at + i, text.charCodeAt(i) & 0xff);
    return INFO_AT + at;
  }

  bytes(): Uint8Array {
    return new Uint8Array(this.view.buffer, 0, this.used);
  }
}
