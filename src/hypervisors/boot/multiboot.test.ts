// Start of day by multiboot 1: registers at the entry, the information structure, modules.

import { describe, expect, it } from 'vitest';
import { openKernel } from '../../image/index.ts';
import type { Guest } from '../define.ts';
import { TEST_RAM, testPlatform } from '../testing/platform.ts';
import { INFO_AT, multibootInfo, multibootMmapEntry, multibootModule } from './multiboot.ts';
import { startOfDay } from './start.ts';

const LOAD_AT = 0x100000;
const ENTRY = LOAD_AT + 32;
const HLT = 0xf4;
const STEPS = 5000;

/** A raw image with an address header, which halts at its entry. */
function image(flags = 0x10003): Uint8Array {
  const bytes = new Uint8Array(64).fill(HLT, 32);
  const view = new DataView(bytes.buffer);
  const words = [
    0x1badb002,
    flags,
    -(0x1badb002 + flags),
    LOAD_AT,
    LOAD_AT,
    0,
    LOAD_AT + 0x2000,
    ENTRY,
  ];
  words.forEach((word, n) => {
    view.setUint32(4 * n, word >>> 0, true);
  });
  return bytes;
}

function started(changes: Partial<Guest> = {}) {
  const platform = testPlatform();
  platform.ram.fill(LOAD_AT, 0x4000, 0xee);
  const kernel = openKernel(image(), 'tiny');
  startOfDay(platform, { kernel, initrd: null, commandLine: 'a=b', ...changes });
  const exit = platform.cpu.run(STEPS);
  const all = platform.ram.read(0, TEST_RAM)!;
  const view = new DataView(all.buffer, all.byteOffset, all.length);
  const text = (at: number) => String.fromCharCode(...all.slice(at, all.indexOf(0, at)));
  return { ...platform, exit, view, all, text, info: multibootInfo.read(view, INFO_AT)! };
}

describe('multiboot 1', () => {
  it('enters flat 32-bit code with the magic number in EAX and the information in EBX', () => {
    const { cpu, exit } = started();
    const { state } = cpu;
    expect(exit.kind).toBe('halt');
    expect(state.getVa('rip')).toBe(ENTRY + 1);
    expect([state.gpr32(0), state.gpr32(3)]).toEqual([0x2badb002, INFO_AT]);
    expect(state.get('codeMode')).toBe(32);
    expect(state.get('cr0') & 0x80000001).toBe(1);
    expect(state.get('eflags') & 0x200).toBe(0);
    expect([0, 2, 3, 4, 5].map((n) => state.segBase(n))).toEqual([0, 0, 0, 0, 0]);
  });

  it('loads the image and clears what it has in memory beyond the file', () => {
    const { all } = started();
    expect([...all.slice(LOAD_AT + 32, LOAD_AT + 64)]).toEqual(new Array(32).fill(HLT));
    expect(all.slice(LOAD_AT + 64, LOAD_AT + 0x2000).every((byte) => byte === 0)).toBe(true);
    expect(all[LOAD_AT + 0x2000]).toBe(0xee);
  });

  it('tells of memory, command line and loader', () => {
    const { info, view, memoryMap, text } = started();
    expect(info).toMatchObject({
      flags: 0x24d,
      mem_lower: 639,
      mem_upper: (TEST_RAM >> 10) - 1024,
    });
    expect(text(info.cmdline)).toBe('kernel a=b');
    expect(text(info.boot_loader_name)).toBe('pvops');
    expect(info.mmap_length).toBe(24 * memoryMap.length);
    const map = memoryMap.map((_, n) => multibootMmapEntry.read(view, info.mmap_addr + 24 * n));
    expect(map).toEqual(
      memoryMap.map(({ start, size, type }) => ({ size: 20, addr: start, len: size, type })),
    );
  });

  it('puts initrd and modules on pages of their own behind the kernel, each with its words', () => {
    const first = new Uint8Array(5000).fill(1);
    const second = new Uint8Array(10).fill(2);
    const modules = [{ bytes: second, commandLine: 'two 2' }];
    const { info, view, all, text } = started({ initrd: first, modules });
    expect(info.mods_count).toBe(2);
    const list = [0, 1].map((n) => multibootModule.read(view, info.mods_addr + 16 * n)!);
    expect(list).toMatchObject([
      { mod_start: 0x102000, mod_end: 0x102000 + 5000 },
      { mod_start: 0x104000, mod_end: 0x104000 + 10 },
    ]);
    expect(list.map(({ cmdline }) => text(cmdline))).toEqual(['', 'two 2']);
    expect(all.slice(0x104000, 0x10400a)).toEqual(second);
  });

  it('refuses an image that needs a video mode', () => {
    const kernel = openKernel(image(0x10007), 'tiny');
    expect(() => started({ kernel })).toThrow(/asks its loader for a video mode/);
  });

  it('refuses modules that do not fit', () => {
    const modules = [{ bytes: new Uint8Array(TEST_RAM), commandLine: '' }];
    expect(() => started({ modules })).toThrow(/do not fit into 16 MiB/);
  });
});
