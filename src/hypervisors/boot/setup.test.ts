// `--boot setup`: what the setup code finds in registers and memory, and what the BIOS answers it.

import { describe, expect, it } from 'vitest';
import { SEG_SELECTOR } from '../../cpu/state.ts';
import { openKernel } from '../../image/index.ts';
import { TEST_RAM, testPlatform } from '../testing/platform.ts';
import { INIT_SIZE, PREF_ADDRESS, tinyBzImage } from '../testing/tiny-bzimage.ts';
import { COMMAND_LINE_AT } from './layout.ts';
import { startOfDay } from './start.ts';

const SETUP_AT = 0x90000;
/** Where the code below puts what it wants to tell: in its data segment, behind itself. */
const REPORT = 0x4000;
const STEPS = 20_000;

/** Runs 16-bit code as a kernel's setup code until it halts. */
function setup(code16: string, initrd: Uint8Array | null = null) {
  const platform = testPlatform();
  const kernel = openKernel(tinyBzImage({ code16, system: [1, 2, 3] }), 'tiny');
  startOfDay(platform, { kernel, initrd, commandLine: 'quiet', boot: 'setup' });
  const exit = platform.cpu.run(STEPS);
  const { ram } = platform;
  const word = (n: number) => ram.u16(SETUP_AT + REPORT + 2 * n);
  return { ...platform, exit, word };
}

const report = (...registers: string[]) =>
  registers.map((r, n) => `mov [${REPORT + 2 * n}], ${r}`).join('\n');

describe('the setup code', () => {
  it('starts in real mode with all data segments alike, interrupts off and a stack', () => {
    const { exit, cpu } = setup('hlt');
    const { state } = cpu;
    expect(exit.kind).toBe('halt');
    expect(state.get('cr0') & 1).toBe(0);
    expect(state.get('eflags') & 0x200).toBe(0);
    expect([0, 2, 3, 4, 5].map((n) => state.seg(n, SEG_SELECTOR))).toEqual([
      0x9000, 0x9000, 0x9000, 0x9000, 0x9000,
    ]);
    expect(state.seg(1, SEG_SELECTOR)).toBe(0x9020);
    expect(state.gpr32(4)).toBe(0xe000);
  });

  it('finds a loader, a heap, its command line and its initrd in the header', () => {
    const initrd = new Uint8Array(5000).fill(7);
    const { ram } = setup('hlt', initrd);
    expect(ram.u8(SETUP_AT + 0x210)).toBe(0xff);
    expect(ram.u8(SETUP_AT + 0x211)).toBe(0x81);
    expect(ram.u16(SETUP_AT + 0x224)).toBe(0xde00);
    expect(ram.u32(SETUP_AT + 0x228)).toBe(COMMAND_LINE_AT);
    expect([...ram.read(COMMAND_LINE_AT, 6)!]).toEqual([...'quiet\0'].map((c) => c.charCodeAt(0)));
    expect([ram.u32(SETUP_AT + 0x218), ram.u32(SETUP_AT + 0x21c)]).toEqual([TEST_RAM - 8192, 5000]);
    expect(ram.read(TEST_RAM - 8192, 5000)).toEqual(initrd);
    expect([...ram.read(0x100000, 3)!]).toEqual([1, 2, 3]);
  });

  it('is refused when the initrd would lie where the kernel unpacks itself', () => {
    const initrd = new Uint8Array(TEST_RAM - PREF_ADDRESS - INIT_SIZE + 1);
    expect(() => setup('hlt', initrd)).toThrow(/does not fit above the kernel/);
  });

  it('is refused for a file without it', () => {
    const elf = new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
    expect(() => openKernel(elf, 'short')).toThrow();
    const platform = testPlatform();
    const kernel = { ...openKernel(tinyBzImage({}), 'x'), bzImage: null };
    const guest = { kernel, initrd: null, commandLine: '', boot: 'setup' } as const;
    expect(() => startOfDay(platform, guest)).toThrow(/is not a bzImage/);
  });
});

describe('the BIOS', () => {
  it('gives the memory map entry by entry, and its end by EBX 0', () => {
    const { ram, word, memoryMap } = setup(`
      mov di, ${REPORT + 16}
      xor ebx, ebx
      xor si, si
    next:
      mov eax, 0xe820
      mov edx, 0x534d4150
      mov ecx, 20
      int 0x15
      jb done
      add di, cx
      inc si
      test ebx, ebx
      jne next
    done:
      ${report('si', 'bx')}
      hlt`);
    expect([word(0), word(1)]).toEqual([memoryMap.length, 0]);
    memoryMap.forEach(({ start, size, type }, n) => {
      const at = SETUP_AT + REPORT + 16 + 20 * n;
      const dwords = [0, 4, 8, 12, 16].map((offset) => ram.u32(at + offset));
      expect(dwords).toEqual([start, 0, size, 0, type]);
    });
  });

  it('refuses E820 without its signature, with carry and AH 86h', () => {
    const { word } = setup(`
      mov eax, 0xe820
      xor edx, edx
      xor ebx, ebx
      mov ecx, 20
      int 0x15
      setb cl
      mov ch, ah
      ${report('cx')}
      hlt`);
    expect(word(0)).toBe(0x8601);
  });

  it('gives the size of memory in all older ways too', () => {
    const { word } = setup(`
      mov ax, 0xe801
      int 0x15
      ${report('ax', 'bx', 'cx', 'dx')}
      mov ah, 0x88
      int 0x15
      mov [${REPORT + 8}], ax
      int 0x12
      mov [${REPORT + 10}], ax
      hlt`);
    const words = [0, 1, 2, 3, 4, 5].map(word);
    expect(words).toEqual([15 << 10, 0, 15 << 10, 0, 15 << 10, 0]);
  });

  it('has no drives, no display and no key', () => {
    const { word } = setup(`
      mov ax, 0x4100
      mov dx, 0x80
      int 0x13
      setb al
      mov [${REPORT}], ax
      mov ah, 0x0f
      int 0x10
      mov [${REPORT + 2}], ax
      mov ax, 0x1a00
      int 0x10
      mov [${REPORT + 4}], ax
      mov ah, 1
      int 0x16
      sete al
      mov [${REPORT + 6}], al
      hlt`);
    expect(word(0)).toBe(0x0101);
    expect(word(1) >> 8).toBe(0); // Columns of text.
    expect(word(2) & 0xff).toBe(0); // 1Ah would mean VGA.
    expect(word(3) & 0xff).toBe(1);
  });

  it('says that A20 is open', () => {
    const { word } = setup(`
      mov ax, 0x2401
      int 0x15
      setb bl
      mov ax, 0x2402
      int 0x15
      mov ah, bl
      ${report('ax')}
      hlt`);
    expect(word(0)).toBe(1);
  });

  it('counts timer ticks when interrupts are on', () => {
    const platform = testPlatform();
    const code16 = 'sti\nagain:\nhlt\njmp again';
    const kernel = openKernel(tinyBzImage({ code16 }), 'tiny');
    startOfDay(platform, { kernel, initrd: null, commandLine: '', boot: 'setup' });
    const ticks = [0, 1, 2, 3].map(() => {
      expect(platform.cpu.run(STEPS).kind).toBe('halt');
      platform.clock.skipTo(platform.clock.nextDeadline());
      platform.clock.runDue(10);
      return platform.ram.u32(0x46c);
    });
    expect(ticks[3]! - ticks[1]!).toBe(2); // One each 55 ms, which is how far the deadlines lie apart.
  });

  it('stops with a sentence on the serial port at an undefined opcode', () => {
    const { exit, cpu } = setup('ud2');
    expect(exit.kind).toBe('halt');
    expect(cpu.state.seg(1, SEG_SELECTOR)).toBe(0xf000);
  });
});
