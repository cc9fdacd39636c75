// How a guest of lguest starts: what the launcher puts into its memory, the state of its first instruction, and its end.

import { expect, test } from 'vitest';
import { openKernel } from '../../image/index.ts';
import { bareGuest } from '../testing/bare-guest.ts';
import { tinyBzImage } from '../testing/tiny-bzimage.ts';
import { PAGE_OFFSET } from './first-tables.ts';
import { lguest } from './index.ts';
import { firstTables, guest, MEMORY, runLguest } from './testing/lguest-guest.ts';

const { init, print, off, keep, keepAt } = guest;
const E820 = 0x2d0;

test.each([false, true])(
  'a guest in ring 1 prints a line by NOTIFY and switches itself off, PAE %s',
  (pae) => {
    const run = runLguest(`${init}; ${print('hello')}; ${off}; hello: "hello, lguest\\n"`, { pae });
    expect(run.why).toBe('LHCALL_SHUTDOWN: Power down');
    expect(run.output).toBe('hello, lguest\n');
    expect(run.stop).toBe('off');
    expect(run.cpu.state.get('cpl')).toBe(1);
  },
);

test('the first instruction finds every register 0, flat segments of ring 1, and no stack', () => {
  const { results, why } = runLguest(
    `or eax, ebx; or eax, ecx; or eax, edx; or eax, esi; or eax, edi; or eax, esp; ${keep('eax')}
     ${['cs', 'ds', 'es', 'ss', 'fs', 'gs'].map((name) => `mov eax, ${name}; ${keep('eax')}`).join(';')}
     ${init}; pushfd; pop eax; ${keep('eax')}; sgdt [0x300000]; ${keepAt(0x300000)}; str ax; ${off}`,
  );
  expect(why).toContain('Power down');
  expect(results.slice(0, 7)).toEqual([0, 0x61, 0x69, 0x69, 0x69, 0, 0]);
  expect(results[7]! & 0x3200).toBe(0x200);
  expect(results[8]! & 0xffff).toBe(0xff);
});

test('the zero page at 0 names lguest, the command line, one piece of RAM, and the initrd at its top', () => {
  const initrd = new Uint8Array(5000).fill(0x77);
  const { ram } = runLguest('hlt', { commandLine: 'console=hvc0 quiet', initrd, budget: 5 });
  const text = String.fromCharCode(...ram.read(ram.u32(0x228), 19)!);
  expect(text).toBe('console=hvc0 quiet\0');
  expect(ram.u32(0x202)).toBe(0x53726448);
  expect(ram.u16(0x206)).toBeGreaterThanOrEqual(0x207);
  expect(ram.u8(0x210)).toBe(0xff);
  expect(ram.u8(0x211) & 0x40).toBe(0x40);
  expect(ram.u32(0x23c)).toBe(1);
  expect([ram.u8(0x1e8), ram.u32(E820), ram.u32(E820 + 8), ram.u32(E820 + 16)]).toEqual([
    1,
    0,
    MEMORY,
    1,
  ]);
  const [at, bytes] = [ram.u32(0x218), ram.u32(0x21c)];
  expect([at, bytes]).toEqual([MEMORY - 0x2000, 5000]);
  expect(ram.u8(at + 4999)).toBe(0x77);
  // What would make the kernel believe in a screen (arch/x86/include/asm/screen_info.h).
  expect([ram.u32(0), ram.u32(4), ram.u32(12)]).toEqual([0, 0, 0]);
});

test('the first tables lie right below the initrd, and are what pgdir says', () => {
  const { results } = runLguest(`${init}; ${keepAt(guest.field('pgdir'))}; ${off}`, {
    initrd: new Uint8Array(0x3000),
  });
  expect(results).toEqual([MEMORY - 0x3000 - 0x1000]);
  expect(firstTables(false).top).toBe(MEMORY - 0x1000);
});

test('a bzImage is entered at its own code, with its whole header in the zero page', () => {
  const { results, why, ram } = runLguest(
    `${init}; ${keepAt(0x230)}; ${keepAt(0x258)}; ${keepAt(0x260)}; ${off}`,
    { bzImage: true },
  );
  expect(why).toContain('Power down');
  // kernel_alignment, pref_address, init_size.
  expect(results).toEqual([0x1000, 0x200000, 0x40000]);
  expect(ram.u8(0x234)).toBe(1);
});

test('RAM is there at PAGE_OFFSET too, and the device page behind it is not mapped yet', () => {
  const { results, why } = runLguest(
    `mov dword ptr [${PAGE_OFFSET + 0x300000}], 5; ${keepAt(0x300000)}; mov eax, [${PAGE_OFFSET + MEMORY}]`,
  );
  expect(results).toEqual([5]);
  expect(why).toContain('unhandled trap 14');
});

test('a 64-bit kernel is refused, and so is a protocol that lguest does not have', () => {
  const start = (file: Uint8Array, boot: 'direct' | 'pvh') =>
    bareGuest(lguest, { memoryBytes: MEMORY, transmit: () => {} }).attached.start({
      kernel: openKernel(file, 'tiny'),
      initrd: null,
      commandLine: '',
      boot,
    });
  expect(() => start(tinyBzImage({ xloadflags: 1 }), 'direct')).toThrow('64-bit kernel');
  expect(() => start(tinyBzImage({ xloadflags: 0 }), 'pvh')).toThrow('not started by pvh');
});

test('a kernel without lguest ends with a hint at what it lacks', () => {
  const { why } = runLguest('cli');
  expect(why).toContain('unhandled trap 13');
  expect(why).toContain('CONFIG_LGUEST_GUEST');
});
