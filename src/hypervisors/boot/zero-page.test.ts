// Start of day by Linux's 32- and 64-bit boot protocols: registers and zero page.

import { describe, expect, it } from 'vitest';
import { SEG_SELECTOR } from '../../cpu/state.ts';
import { openKernel } from '../../image/index.ts';
import { tinyElf } from '../../lab/testing/tiny-kernel.ts';
import type { BootWay } from '../define.ts';
import { TEST_RAM, testPlatform } from '../testing/platform.ts';
import { PREF_ADDRESS, tinyBzImage } from '../testing/tiny-bzimage.ts';
import { startOfDay } from './start.ts';
import { bootParams, e820Entry } from './zero-page.ts';

const E820_AT = 0x2d0;

function started(file: Uint8Array, boot: BootWay, initrd: Uint8Array | null = null) {
  const platform = testPlatform();
  startOfDay(platform, { kernel: openKernel(file, 'tiny'), initrd, commandLine: 'x', boot });
  const { cpu, ram } = platform;
  const at = cpu.state.gpr32(6);
  const page = ram.read(at, 4096)!;
  const view = new DataView(page.buffer, page.byteOffset, page.length);
  return { ...platform, state: cpu.state, page, view, params: bootParams.read(view, 0)! };
}

describe('the zero page', () => {
  it('tells of loader, command line, initrd, memory map and RSDP', () => {
    const initrd = new Uint8Array(100);
    const { params, view, memoryMap, rsdp } = started(tinyBzImage({}), 'linux32', initrd);
    expect(params).toMatchObject({
      acpi_rsdp_addr: rsdp,
      e820_entries: memoryMap.length,
      boot_flag: 0xaa55,
      header: 0x53726448,
      version: 0x20f,
      type_of_loader: 0xff,
      ramdisk_image: TEST_RAM - 4096,
      ramdisk_size: 100,
      cmd_line_ptr: 0x20000,
    });
    const entries = memoryMap.map((_, n) => e820Entry.read(view, E820_AT + n * e820Entry.size));
    expect(entries).toEqual(
      memoryMap.map(({ start, size, type }) => ({ addr: start, size, type })),
    );
  });

  it('has the header of the bzImage, and a cleared sentinel', () => {
    const { view } = started(tinyBzImage({}), 'linux32');
    expect(view.getUint8(0x1ef)).toBe(0);
    expect(view.getUint8(0x211)).toBe(1);
    expect(view.getUint32(0x258, true)).toBe(PREF_ADDRESS);
  });
});

describe('the 32-bit entry', () => {
  it('is the first byte of the protected-mode part, in flat code without paging', () => {
    const { state, ram } = started(tinyBzImage({ system: [0xaa, 0xbb] }), 'linux32');
    expect(state.getVa('rip')).toBe(PREF_ADDRESS);
    expect([...ram.read(PREF_ADDRESS, 2)!]).toEqual([0xaa, 0xbb]);
    expect([state.get('cr0'), state.get('cr4'), state.get('efer')]).toEqual([0x11, 0, 0]);
    expect([
      state.seg(1, SEG_SELECTOR),
      state.seg(3, SEG_SELECTOR),
      state.seg(2, SEG_SELECTOR),
    ]).toEqual([0x10, 0x18, 0x18]);
    expect([3, 5, 7].map((n) => state.gpr32(n))).toEqual([0, 0, 0]); // EBX EBP EDI: boot.rst.
    expect(state.get('eflags')).toBe(2);
  });

  it('is the one of a vmlinux in the mode that the kernel runs in', () => {
    const { state } = started(tinyElf([0xf4], false), 'direct');
    expect(state.getVa('rip')).toBe(0x100000);
    expect(state.get('codeMode')).toBe(64); // tinyElf is an ELF64.
  });
});

describe('the 64-bit entry', () => {
  it('lies 0x200 bytes behind, in long mode on an identity map', () => {
    const { state, cpu } = started(tinyBzImage({ system: [0xf4] }), 'linux64');
    expect(state.getVa('rip')).toBe(PREF_ADDRESS + 0x200);
    expect(state.get('codeMode')).toBe(64);
    expect(state.get('efer')).toBe(0x500);
    expect(cpu.mmu.fetch(PREF_ADDRESS + 0x200)).toBe(PREF_ADDRESS + 0x200);
    expect(cpu.mmu.fetch(TEST_RAM - 1)).toBe(TEST_RAM - 1);
  });

  it('is refused for a kernel that does not have it', () => {
    expect(() => started(tinyBzImage({ xloadflags: 0 }), 'linux64')).toThrow(/XLF_KERNEL_64/);
  });
});
