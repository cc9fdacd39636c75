// Start of day by Linux's 32- and 64-bit boot protocols: a zero page, then the entry of a vmlinux or of a bzImage's loader.

import { InputError } from '../../base/errors.ts';
import { struct } from '../../base/struct.ts';
import { loadSegments } from '../../image/index.ts';
import type { Guest, Platform } from '../define.ts';
import { bzImageLoad, neededBzImage } from './bzimage.ts';
import {
  COMMAND_LINE_AT,
  type KernelLoad,
  loadGuest,
  type Placed,
  ZERO_PAGE_AT,
} from './layout.ts';
import { enterFlat32, enterFlat64, GPR } from './registers.ts';

const ZERO_PAGE_BYTES = 4096;
const HEADER_AT = 0x1f1;
const E820_AT = 0x2d0;
/** Documentation/x86/boot.rst: a loader without a number of its own. */
export const LOADER_UNDEFINED = 0xff;
const BOOT_FLAG = 0xaa55;
const HDRS = 0x53726448;
/** boot.rst, 64-bit boot protocol: behind the 32-bit entry, if xloadflags say so. */
const ENTRY_64_OFFSET = 0x200;
const XLF_KERNEL_64 = 1;

/** The fields that a loader fills (Documentation/x86/boot.rst and zero-page.rst). */
export const bootParams = struct(
  'boot_params',
  {
    acpi_rsdp_addr: { type: 'u64', at: 0x70 },
    e820_entries: { type: 'u8', at: 0x1e8 },
    boot_flag: { type: 'u16', at: 0x1fe },
    header: { type: 'u32', at: 0x202 },
    version: { type: 'u16', at: 0x206 },
    type_of_loader: { type: 'u8', at: 0x210 },
    ramdisk_image: { type: 'u32', at: 0x218 },
    ramdisk_size: { type: 'u32', at: 0x21c },
    cmd_line_ptr: { type: 'u32', at: 0x228 },
  },
  { size: ZERO_PAGE_BYTES },
);

export const e820Entry = struct(
  'boot_e820_entry',
  { addr: 'u64', size: 'u64', type: 'u32' },
  { size: 20, packed: true },
);

/** At the entry of the vmlinux, in the mode that the kernel runs in. */
export function startByZeroPage(platform: Platform, guest: Guest): void {
  const elf = guest.kernel.elf();
  const entry = Number(elf.entry);
  if (!Number.isSafeInteger(entry) || entry < 0x100000 || entry >= platform.ram.bytes) {
    throw new InputError(
      'boot/no-entry',
      `${guest.kernel.name} has its entry at 0x${elf.entry.toString(16)}, which is not an address of this machine's memory`,
      'give a kernel with a PVH note (CONFIG_PVH), or one linked with a physical entry address.',
    );
  }
  enter(platform, guest, { segments: loadSegments(elf) }, elf.bits, entry);
}

/** At an entry of the bzImage's protected-mode part, which unpacks the vmlinux itself. */
export function startByBzImage(platform: Platform, guest: Guest, bits: 32 | 64): void {
  const image = neededBzImage(guest.kernel);
  if (bits === 64 && ((image.header.xloadflags ?? 0) & XLF_KERNEL_64) === 0) {
    throw new InputError(
      'boot/no-64-bit-entry',
      `${guest.kernel.name} has no 64-bit entry: its header lacks XLF_KERNEL_64`,
      'enter it by the 32-bit protocol: --boot linux32.',
    );
  }
  const { at, load } = bzImageLoad(image);
  enter(platform, guest, load, bits, bits === 64 ? at + ENTRY_64_OFFSET : at);
}

function enter(
  platform: Platform,
  guest: Guest,
  load: KernelLoad,
  bits: 32 | 64,
  entry: number,
): void {
  const { initrd } = loadGuest(platform, guest, load);
  writeZeroPage(platform, guest, initrd);
  if (bits === 64) enterFlat64(platform.cpu, platform.ram, entry);
  else enterFlat32(platform.cpu, platform.ram, entry);
  platform.cpu.state.setGpr(GPR.rsi, BigInt(ZERO_PAGE_AT));
}

function writeZeroPage(platform: Platform, guest: Guest, initrd: Placed): void {
  const { memoryMap, ram, rsdp } = platform;
  const { header } = guest.kernel;
  const page = new Uint8Array(ZERO_PAGE_BYTES);
  if (header) page.set(header.raw.subarray(0, E820_AT - HEADER_AT), HEADER_AT);
  const view = new DataView(page.buffer);
  bootParams.write(view, 0, {
    acpi_rsdp_addr: rsdp,
    e820_entries: memoryMap.length,
    boot_flag: BOOT_FLAG,
    header: HDRS,
    version: header?.version ?? 0x20f,
    type_of_loader: LOADER_UNDEFINED,
    ramdisk_image: initrd.gpa,
    ramdisk_size: initrd.bytes,
    cmd_line_ptr: COMMAND_LINE_AT,
  });
  memoryMap.forEach(({ start, size, type }, n) => {
    e820Entry.write(view, E820_AT + n * e820Entry.size, { addr: start, size, type });
  });
  ram.write(ZERO_PAGE_AT, page);
}
