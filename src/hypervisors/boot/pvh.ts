// Start of day by PVH: the 32-bit entry of ELF note 18, with an hvm_start_info to tell of memory and initrd.

import { struct } from '../../base/struct.ts';
import { loadSegments } from '../../image/index.ts';
import type { Guest, Platform } from '../define.ts';
import {
  COMMAND_LINE_AT,
  loadGuest,
  MEMORY_MAP_AT,
  MODULE_LIST_AT,
  START_INFO_AT,
} from './layout.ts';
import { enterFlat32, GPR } from './registers.ts';

/** xen/include/public/arch-x86/hvm/start_info.h */
export const XEN_HVM_START_MAGIC_VALUE = 0x336ec578;
const START_INFO_VERSION = 1; // From 1 on there is a memory map, which a guest without Xen cannot do without.

export const hvmStartInfo = struct(
  'hvm_start_info',
  {
    magic: 'u32',
    version: 'u32',
    flags: 'u32',
    nr_modules: 'u32',
    modlist_paddr: 'u64',
    cmdline_paddr: 'u64',
    rsdp_paddr: 'u64',
    memmap_paddr: 'u64',
    memmap_entries: 'u32',
    reserved: 'u32',
  },
  { size: 56 },
);

export const hvmModlistEntry = struct(
  'hvm_modlist_entry',
  { paddr: 'u64', size: 'u64', cmdline_paddr: 'u64', reserved: 'u64' },
  { size: 32 },
);

export const hvmMemmapTableEntry = struct(
  'hvm_memmap_table_entry',
  { addr: 'u64', size: 'u64', type: 'u32', reserved: 'u32' },
  { size: 24 },
);

export function startByPvh(platform: Platform, guest: Guest, entry: number): void {
  const { initrd } = loadGuest(platform, guest, { segments: loadSegments(guest.kernel.elf()) });
  const { ram, memoryMap, rsdp } = platform;
  const area = new Uint8Array(
    MEMORY_MAP_AT - START_INFO_AT + memoryMap.length * hvmMemmapTableEntry.size,
  );
  const view = new DataView(area.buffer);
  hvmStartInfo.write(view, 0, {
    magic: XEN_HVM_START_MAGIC_VALUE,
    version: START_INFO_VERSION,
    nr_modules: initrd.bytes > 0 ? 1 : 0,
    modlist_paddr: initrd.bytes > 0 ? MODULE_LIST_AT : 0,
    cmdline_paddr: COMMAND_LINE_AT,
    rsdp_paddr: rsdp,
    memmap_paddr: MEMORY_MAP_AT,
    memmap_entries: memoryMap.length,
  });
  hvmModlistEntry.write(view, MODULE_LIST_AT - START_INFO_AT, {
    paddr: initrd.gpa,
    size: initrd.bytes,
  });
  memoryMap.forEach(({ start, size, type }, n) => {
    const at = MEMORY_MAP_AT - START_INFO_AT + n * hvmMemmapTableEntry.size;
    hvmMemmapTableEntry.write(view, at, { addr: start, size, type });
  });
  ram.write(START_INFO_AT, area);
  enterFlat32(platform.cpu, ram, entry);
  platform.cpu.state.setGpr(GPR.rbx, BigInt(START_INFO_AT));
}
