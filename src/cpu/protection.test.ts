// Virtual-8086 mode, alignment checks and BOUND on both engines.

import { describe, expect, it } from 'vitest';
import { CR0_AM, EFLAGS_AC, EFLAGS_IF, EFLAGS_VM } from './control-bits.ts';
import { CODE3, DATA3, enterRing3, IDT, STACK3, TSS } from './testing/descriptor-tables.ts';
import { CODE, ENGINES, type Guest, guest } from './testing/guest.ts';

const RING0_STACK = 0x8800;

/** Opens the gate of a vector to ring 3. */
function openGate(g: Guest, vector: number): void {
  g.write32(IDT + vector * 8 + 4, g.read32(IDT + vector * 8 + 4) | 0x6000);
}

function inV86(engine: (typeof ENGINES)[number], text: string, iopl = 0): Guest {
  const g = guest(engine);
  g.write32(TSS + 4, RING0_STACK, 0x10);
  const flags = EFLAGS_VM | (iopl << 12) | 2;
  // GS FS DS ES SS ESP EFLAGS CS EIP.
  const frame = [0x50, 0x40, 0x30, 0x20, 0x900, 0x100, flags, 0x780, 0];
  g.code(`${frame.map((word) => `push ${word}`).join(';')}; iretd; hlt`);
  return g.code(text, 0x7800, 16);
}

function inRing3(engine: (typeof ENGINES)[number], text: string, aligned = true): Guest {
  const g = guest(engine).code(text);
  g.write32(TSS + 4, RING0_STACK, 0x10);
  enterRing3(g, false);
  for (const n of [0, 3, 4, 5]) g.state.setSeg(n, 16, DATA3);
  openGate(g, 0x40);
  if (aligned) {
    g.state.set('cr0', g.state.get('cr0') | CR0_AM);
    g.state.set('eflags', 2 | EFLAGS_AC);
  }
  g.cpu.stateChanged();
  return g;
}

describe.each(ENGINES)('on the %s', (engine) => {
  describe('virtual-8086 mode', () => {
    it('is entered by IRET and left by an exception that saves and clears the data segments', () => {
      const g = inV86(engine, 'mov ax, 0x1234; mov word ptr [0x10], ax; ud2');
      expect(g.run()).toBe('#6');
      expect(g.read16(0x310)).toBe(0x1234);
      expect(g.stack(9)).toEqual([
        6,
        0x780,
        EFLAGS_VM | 0x10002,
        0x100,
        0x900,
        0x20,
        0x30,
        0x40,
        0x50,
      ]);
      expect([0, 3, 4, 5].map((n) => g.state.seg(n, 16))).toEqual([0, 0, 0, 0]);
      expect([g.state.get('cpl'), g.state.get('eflags') & EFLAGS_VM]).toEqual([0, 0]);
      expect(g.state.gpr32(4)).toBe(RING0_STACK - 36);
    });

    it.each(['cli', 'sti', 'pushf', 'popf', 'int 0x21', 'iret'])(
      'refuses %s below IOPL 3',
      (text) => {
        const g = inV86(engine, `nop; ${text}`, 2);
        expect(g.run()).toBe('#13');
        expect(g.stack(2)).toEqual([0, 1]);
      },
    );

    it.each(['hlt', 'clts', 'mov eax, cr0', 'lmsw ax', 'invd'])('refuses %s', (text) => {
      expect(inV86(engine, text, 3).run()).toBe('#13');
    });

    it.each(['lldt ax', 'ltr ax', 'sldt ax', 'str ax', 'lar ax, bx', 'verr ax'])(
      'does not know %s',
      (text) => {
        expect(inV86(engine, text, 3).run()).toBe('#6');
      },
    );

    it('does flags, software interrupts and returns of its own with IOPL 3', () => {
      const g = inV86(engine, 'sti; pushf; pop ax; int 0x21', 3);
      openGate(g, 0x21);
      expect(g.run()).toBe('#33');
      expect(g.state.gpr32(0) & 0xffff).toBe(0x3202);
      expect(g.stack(3)[2]).toBe(EFLAGS_VM | 0x3202);
    });

    it('asks the bitmap for ports whatever IOPL', () => {
      const g = inV86(engine, 'in al, 0x60; hlt', 3);
      g.write32(TSS + 0x64, 0x68 << 16); // The bitmap begins behind the limit.
      expect(g.run()).toBe('#13');
      expect(g.stack(2)).toEqual([0, 0]);
      expect(g.log.some((line) => line.startsWith('in'))).toBe(false);
    });

    it('IRET goes back to where it was interrupted', () => {
      const g = inV86(engine, 'mov bx, 1; ud2; mov cx, 2; ud2').handler(
        6,
        'cmp ecx, 2; je done; add dword ptr [esp], 2; iretd; done:; hlt',
      );
      g.run();
      expect([g.state.gpr32(3), g.state.gpr32(1)]).toEqual([1, 2]);
    });

    it('a handler outside ring 0 is refused', () => {
      const g = inV86(engine, 'ud2');
      g.write32(IDT + 6 * 8, (CODE3 << 16) | 0xb000);
      expect(g.run()).toBe('#13');
      expect(g.stack(1)).toEqual([(CODE3 & ~3) | 1]);
    });
  });

  describe('alignment checks', () => {
    it.each([
      ['mov eax, dword ptr [0x6002]', true],
      ['mov eax, dword ptr [0x6004]', false],
      ['mov ax, word ptr [0x6001]', true],
      ['mov al, byte ptr [0x6001]', false],
      ['mov dword ptr [0x6001], eax', true],
      ['add word ptr [0x6003], 1', true],
      ['push eax', false],
      ['fld qword ptr [0x6004]', true],
      ['fld qword ptr [0x6008]', false],
    ])('%s: %s', (text, refused) => {
      const g = inRing3(engine, `${text}; int 0x40`);
      expect(g.run()).toBe(refused ? '#17' : '#64');
      if (refused) expect(g.stack(3)).toEqual([0, CODE, CODE3]);
      expect(g.state.gpr32(4)).toBeLessThan(RING0_STACK);
    });

    it('are off without CR0.AM or EFLAGS.AC, and go on when software sets AC', () => {
      const text = 'mov eax, dword ptr [0x6001]; pushfd; or dword ptr [esp], 0x40000; popfd';
      const g = inRing3(engine, `${text}; mov eax, dword ptr [0x6001]; int 0x40`, false);
      g.state.set('cr0', g.state.get('cr0') | CR0_AM);
      g.cpu.stateChanged();
      expect(g.run()).toBe('#17');
      expect(g.stack(5).slice(3)).toEqual([EFLAGS_AC | 0x10002, STACK3]);
    });

    it('are for ring 3 only', () => {
      const g = guest(engine).code('mov eax, dword ptr [0x6001]; hlt');
      g.state.set('cr0', g.state.get('cr0') | CR0_AM);
      g.state.set('eflags', 2 | EFLAGS_AC);
      g.cpu.stateChanged();
      expect(g.run()).toBe(`0x${(CODE + 6).toString(16)}`);
    });
  });

  it('BOUND and INTO have their vectors', () => {
    const bound = guest(engine).code('mov eax, 5; bound eax, qword ptr [0x6000]; hlt');
    bound.write32(0x6000, 1, 4);
    expect(bound.run()).toBe('#5');
    expect(bound.stack(1)).toEqual([CODE + 5]);
    const inside = guest(engine).code('mov eax, 4; bound eax, qword ptr [0x6000]; hlt');
    inside.write32(0x6000, 0xffffffff, 4);
    expect(inside.run()).toBe(`0x${(CODE + 12).toString(16)}`);
    const into = guest(engine).code('mov al, 0x7f; add al, 1; into; hlt');
    expect(into.run()).toBe('#4');
    expect(into.stack(1)).toEqual([CODE + 5]);
    expect(guest(engine).code('xor eax, eax; into; hlt').run()).toBe(
      `0x${(CODE + 4).toString(16)}`,
    );
  });

  it('an interrupt between two iterations has RF in its frame, one before the first has not', () => {
    const g = guest(engine).code('mov ecx, 100; mov edi, 0x6000; rep stosb; hlt');
    g.state.set('eflags', 2 | EFLAGS_IF);
    g.cpu.run(22);
    g.cpu.setInterruptLine(true);
    expect(g.run()).toBe('#48');
    expect(g.state.gpr32(1)).toBe(80);
    expect(g.stack(3)).toEqual([CODE + 10, 8, 0x10202]);
    const h = guest(engine).code('mov ecx, 100; mov edi, 0x6000; rep stosb; hlt');
    h.state.set('eflags', 2 | EFLAGS_IF);
    h.cpu.run(2);
    h.cpu.setInterruptLine(true);
    expect(h.run()).toBe('#48');
    expect(h.stack(3)).toEqual([CODE + 10, 8, 0x202]);
  });

  it('RDRAND and RDSEED give what follows from the seed, with CF set and the other flags clear', () => {
    const g = guest(engine).code('rdrand eax; rdseed ecx; rdrand bx; pushfd; hlt');
    g.state.set64('random', 1234567n);
    g.run();
    // The reference output of SplitMix64 for this seed begins 6457827717110365317, 3203168211198807973.
    expect(g.state.gpr32(0)).toBe(Number(6457827717110365317n & 0xffffffffn));
    expect(g.state.gpr32(1)).toBe(Number(3203168211198807973n & 0xffffffffn));
    expect(g.stack(1)).toEqual([3]);
  });
});
