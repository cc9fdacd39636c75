// Start of day by PVH: what the kernel finds in registers and memory.

import { describe, expect, it } from 'vitest';
import { openKernel } from '../../image/index.ts';
import { tinyElf } from '../../lab/testing/tiny-kernel.ts';
import { TEST_RAM, testPlatform } from '../testing/platform.ts';
import { hvmMemmapTableEntry, hvmModlistEntry, hvmStartInfo } from './pvh.ts';
import { startOfDay } from './start.ts';

const CODE = [0xf4, 0xeb, 0xfd];

function started(initrd: Uint8Array | null) {
  const platform = testPlatform();
  const { ram, cpu } = platform;
  ram.fill(0x100000, 0x4000, 0xee);
  const kernel = openKernel(tinyElf(CODE, true, 0x3000), 'tiny');
  startOfDay(platform, { kernel, initrd, commandLine: 'console=ttyS0 x' });
  const all = ram.read(0, TEST_RAM)!;
  const view = new DataView(all.buffer, all.byteOffset, all.length);
  const info = hvmStartInfo.read(view, cpu.state.gpr32(3))!;
  return { platform, view, info, all };
}

describe('PVH', () => {
  it('enters flat 32-bit code with EBX at the start info and interrupts off', () => {
    const { platform } = started(null);
    const { state } = platform.cpu;
    expect(state.getVa('rip')).toBe(0x100000);
    expect([state.get('cr0'), state.get('cr4'), state.get('efer')]).toEqual([0x11, 0, 0]);
    expect(state.get('codeMode')).toBe(32);
    expect(state.get('eflags')).toBe(2);
  });

  it('gives magic, version, command line, memory map and RSDP', () => {
    const { info, view, platform } = started(null);
    expect(info).toMatchObject({ magic: 0x336ec578, version: 1, flags: 0, nr_modules: 0 });
    expect(info.rsdp_paddr).toBe(platform.rsdp);
    expect(info.memmap_entries).toBe(3);
    const entries = [0, 1, 2].map((n) =>
      hvmMemmapTableEntry.read(view, info.memmap_paddr + n * hvmMemmapTableEntry.size),
    );
    expect(entries).toEqual([
      { addr: 0, size: 0x9fc00, type: 1, reserved: 0 },
      { addr: 0x9fc00, size: 0x60400, type: 2, reserved: 0 },
      { addr: 0x100000, size: TEST_RAM - 0x100000, type: 1, reserved: 0 },
    ]);
    const line = [...'console=ttyS0 x'].map((c) => c.charCodeAt(0));
    expect([
      ...new Uint8Array(view.buffer).slice(info.cmdline_paddr, info.cmdline_paddr + 16),
    ]).toEqual([...line, 0]);
  });

  it('puts the initrd at the top of memory, on a page of its own', () => {
    const initrd = new Uint8Array(5000).fill(7);
    const { info, view, all } = started(initrd);
    const module = hvmModlistEntry.read(view, info.modlist_paddr)!;
    expect(module).toMatchObject({ size: 5000, paddr: TEST_RAM - 8192 });
    expect(all.slice(module.paddr, module.paddr + 5000)).toEqual(initrd);
  });

  it('clears what a segment has in memory beyond its file', () => {
    const { all } = started(null);
    expect([...all.slice(0x100000, 0x100003)]).toEqual(CODE);
    expect(all.slice(0x100003, 0x103000).every((byte) => byte === 0)).toBe(true);
    expect(all[0x103000]).toBe(0xee);
  });

  it('writes nothing at all when the guest is refused', () => {
    const platform = testPlatform();
    const kernel = openKernel(tinyElf(CODE), 'tiny');
    const initrd = new Uint8Array(TEST_RAM);
    const guest = { kernel, initrd, commandLine: '' };
    expect(() => startOfDay(platform, guest)).toThrow(/does not fit above the kernel/);
    expect(platform.ram.read(0, TEST_RAM)!.every((byte) => byte === 0)).toBe(true);
  });
});
