// What the launcher does: puts kernel, initrd, zero page and first page tables into the guest's memory, and the vCPU at its entry.

import { InputError } from '../../base/errors.ts';
import {
  CR0_AM,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_PE,
  CR0_PG,
  CR0_WP,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_PAE,
  EFLAGS_IF,
} from '../../cpu/control-bits.ts';
import { LDTR, setNullSegment, setSegmentTo, TR } from '../../cpu/descriptors.ts';
import { reset } from '../../cpu/reset.ts';
import { loadSegments } from '../../image/index.ts';
import { neededBzImage, systemAt } from '../boot/bzimage.ts';
import { COMMAND_LINE_AT, type KernelLoad, loadGuest, type Placed } from '../boot/layout.ts';
import { bootParams, e820Entry, LOADER_UNDEFINED } from '../boot/zero-page.ts';
import type { Guest, Platform } from '../define.ts';
import { SWITCHER_ADDR, X86_SUBARCH_LGUEST } from './abi.ts';
import { GDT_OFFSET, TSS_OFFSET } from './descriptors.ts';
import { writeFirstTables } from './first-tables.ts';
import { GDT_ENTRIES, type LguestHost } from './host.ts';
import { isPaeKernel } from './pae.ts';

const HIGH_RAM = 0x100000;
/** In the guest, ESI points to it: it is at address 0 (Documentation/lguest/lguest.c, 2.6.32). */
const ZERO_PAGE_AT = 0;
const ZERO_PAGE_BYTES = 4096;
const HEADER_AT = 0x1f1;
const E820_AT = 0x2d0;
const LOADFLAGS_AT = 0x211;
const SUBARCH_AT = 0x23c;
const VERSION_AT = 0x206;
/** Documentation/x86/boot.txt (2.6.32): the first version with hardware_subarch; no loading of segments. */
const PROTOCOL = 0x207;
const KEEP_SEGMENTS = 1 << 6;
const HDRS = 0x53726448;
const BOOT_FLAG = 0xaa55;
/**
 * Initrd and first tables lie below: where any kernel reaches them through its linear map, which ends at 896 MiB less what it
 * keeps for vmalloc and what the host keeps at the top.
 */
const LOWMEM_END = 0x3000_0000;
/** A 32-bit TSS without a bitmap of ports: every IN and OUT of ring 1 and 3 faults (SDM 1 19.5.2). */
const TSS_LIMIT = 0x67;
const ATTR_TSS_BUSY = 0x8b;
const LAUNCHED_BY = new Set(['direct', 'linux32']);

export function launch(host: LguestHost, guest: Guest): void {
  const { platform, shadow, descriptors, state } = host;
  checkKernel(guest);
  state.pae = isPae(guest);
  const { load, entry } = planKernel(guest);
  const low = { ...platform, memoryBytes: Math.min(platform.memoryBytes, LOWMEM_END) };
  const { initrd } = loadGuest(low, guest, load);
  writeZeroPage(platform, guest, initrd);
  const end = initrd.bytes > 0 ? initrd.gpa : low.memoryBytes;
  const tables = writeFirstTables(platform.ram, {
    ramBytes: low.memoryBytes,
    end,
    pae: state.pae,
  });
  host.mapOwn();
  setRegisters(host, entry);
  shadow.start(tables.top);
  descriptors.start();
  descriptors.loadFirst();
}

function checkKernel({ kernel, boot = 'direct', modules = [] }: Guest): void {
  if (kernel.bits === 64) {
    throw new InputError(
      'boot/not-32-bit',
      `${kernel.name} is a 64-bit kernel, and guests of lguest run in 32 bits`,
      'give a 32-bit kernel of 2.6.23 to 4.13, built with CONFIG_LGUEST_GUEST.',
    );
  }
  if (!LAUNCHED_BY.has(boot) || modules.length > 0) {
    throw new InputError(
      'boot/lguest',
      `a guest of lguest is not started by ${modules.length > 0 ? 'modules' : boot}`,
      'its launcher enters the kernel itself: --boot direct, or linux32 for the unpacking code of a bzImage.',
    );
  }
}

/** A bzImage that does not say where its vmlinux is can only be taken for the commoner kind. */
function isPae({ kernel }: Guest): boolean {
  if (kernel.bzImage && !kernel.bzImage.payload && !kernel.config()) return false;
  return isPaeKernel(kernel);
}

/** The vmlinux, or the bzImage's code that unpacks it: where the user asks for it, and where nobody else can find it. */
function planKernel({ kernel, boot }: Guest): { load: KernelLoad; entry: number } {
  const { bzImage } = kernel;
  if (boot === 'linux32' || (bzImage && !bzImage.payload)) {
    const { header, system } = neededBzImage(kernel);
    return { load: systemAt(header, system, HIGH_RAM), entry: header.code32_start };
  }
  const elf = kernel.elf();
  return { load: { segments: loadSegments(elf) }, entry: Number(elf.entry) };
}

/** The whole setup header goes into it: unpacking code reads kernel_alignment there. */
function writeZeroPage({ ram, memoryBytes }: Platform, guest: Guest, initrd: Placed): void {
  const { header } = guest.kernel;
  const page = new Uint8Array(ZERO_PAGE_BYTES);
  if (header) page.set(header.raw.subarray(0, E820_AT - HEADER_AT), HEADER_AT);
  const view = new DataView(page.buffer);
  bootParams.write(view, 0, {
    e820_entries: 1,
    boot_flag: BOOT_FLAG,
    header: HDRS,
    version: Math.max(view.getUint16(VERSION_AT, true), PROTOCOL),
    type_of_loader: LOADER_UNDEFINED,
    ramdisk_image: initrd.gpa,
    ramdisk_size: initrd.bytes,
    cmd_line_ptr: COMMAND_LINE_AT,
  });
  page[LOADFLAGS_AT]! |= KEEP_SEGMENTS;
  view.setUint32(SUBARCH_AT, X86_SUBARCH_LGUEST, true);
  e820Entry.write(view, E820_AT, { addr: 0, size: memoryBytes, type: 1 });
  ram.write(ZERO_PAGE_AT, page);
}

/** Everything is 0 but what runs: no stack, no IDT; the guest's CR4 is the host's, which has its FPU ready (fact sheet 4). */
function setRegisters({ cpu, state: { pae } }: LguestHost, entry: number): void {
  const { state } = cpu;
  reset(state);
  for (let n = 0; n < 8; n++) state.setGpr32(n, 0);
  const switcher = SWITCHER_ADDR[pae ? 'pae' : 'plain'];
  state.set('cr0', (CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG) >>> 0);
  state.set('cr4', CR4_OSFXSR | CR4_OSXMMEXCPT | (pae ? CR4_PAE : 0));
  state.set('eflags', EFLAGS_IF | 2);
  state.setVa('gdtrBase', switcher + GDT_OFFSET);
  state.set('gdtrLimit', GDT_ENTRIES * 8 - 1);
  state.setVa('idtrBase', switcher);
  state.set('idtrLimit', 0);
  setNullSegment(state, LDTR, 0);
  setSegmentTo(state, TR, 0x80, switcher + TSS_OFFSET, TSS_LIMIT, ATTR_TSS_BUSY);
  state.setVa('rip', entry >>> 0);
  cpu.stateChanged();
  cpu.mmu.flushAll();
}
