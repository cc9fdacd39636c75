// Breakpoints, single steps, the resume flag and shadows, on both engines. SDM 3B 18.2 and 18.3.

import { describe, expect, it } from 'vitest';
import { CR4_DE, EFLAGS_IF, EFLAGS_RF, EFLAGS_TF } from './control-bits.ts';
import { CODE, ENGINES, type Guest, guest } from './testing/guest.ts';

const DR6_INIT = 0xffff0ff0;
const BS = 0x4000;
const DATA = 0x6000;

function arm(g: Guest, n: number, address: number, rw: number, length: number): void {
  g.state.setVa((['dr0', 'dr1', 'dr2', 'dr3'] as const)[n] ?? 'dr0', address);
  const bits = (2 << (2 * n)) | (((length << 2) | rw) << (16 + 4 * n));
  g.state.set('dr7', (g.state.get('dr7') | bits) >>> 0);
  g.cpu.mmu.breakpointsChanged();
}

describe.each(ENGINES)('on the %s', (engine) => {
  describe('instruction breakpoints', () => {
    it('are faults before the instruction, without RF in the frame', () => {
      const g = guest(engine).code('mov eax, 1; mov ebx, 2; mov ecx, 3; hlt');
      arm(g, 1, CODE + 5, 0, 0);
      expect(g.run()).toBe('#1');
      expect([g.state.gpr32(0), g.state.gpr32(3)]).toEqual([1, 0]);
      expect(g.stack(3)).toEqual([CODE + 5, 8, 2]);
      expect(g.state.get('dr6')).toBe((DR6_INIT | 2) >>> 0);
    });

    it('are passed by a handler that sets RF, which lasts for one instruction', () => {
      const g = guest(engine)
        .code('mov ebx, 3; again:; dec ebx; jnz again; hlt')
        .handler(1, 'inc esi; or dword ptr [esp + 8], 0x10000; iretd');
      arm(g, 0, CODE + 5, 0, 0);
      expect(g.run()).toBe(`0x${(CODE + 9).toString(16)}`);
      expect(g.state.gpr32(6)).toBe(3);
      expect(g.state.gpr32(3)).toBe(0);
    });

    it('stop at a repeated instruction once, not at each iteration', () => {
      const g = guest(engine)
        .code('mov ecx, 5; mov edi, 0x6000; rep stosb; hlt')
        .handler(1, 'inc esi; or dword ptr [esp + 8], 0x10000; iretd');
      arm(g, 0, CODE + 10, 0, 0);
      g.run();
      expect([g.state.gpr32(1), g.state.gpr32(6)]).toEqual([0, 1]);
    });

    it('that software arms hold for the very next instruction', () => {
      const g = guest(engine).code(
        `mov eax, ${CODE + 16}; mov dr0, eax; mov eax, 2; mov dr7, eax; nop; hlt`,
      );
      expect(g.run()).toBe('#1');
      expect(g.stack(1)).toEqual([CODE + 16]);
    });
  });

  describe('data breakpoints', () => {
    it.each([
      ['a store within four bytes', 1, 3, 'mov byte ptr [0x6003], al', true],
      ['a load, when writes are watched', 1, 3, 'mov al, [0x6003]', false],
      ['a load, when both are watched', 3, 3, 'mov al, [0x6003]', true],
      ['a store that ends right before', 1, 0, 'mov dword ptr [0x5ffc], eax', false],
      ['a store that begins below and reaches it', 1, 0, 'mov dword ptr [0x5ffd], eax', true],
      ['a read-modify-write', 1, 1, 'add dword ptr [0x6000], eax', true],
      ['a push', 1, 3, 'push eax', true],
    ] as const)('see %s or not', (_what, rw, length, text, hit) => {
      const g = guest(engine).code(`mov esp, 0x6004; nop; nop; ${text}; after:; mov ebx, 7; hlt`);
      arm(g, 2, DATA, rw, length);
      const where = g.run();
      expect(where).toBe(hit ? '#1' : where.startsWith('0x') ? where : '');
      expect(g.state.get('dr6') & 0xf).toBe(hit ? 4 : 0);
      // A trap: the instruction is done and the next one has not begun.
      expect(g.state.gpr32(3)).toBe(hit ? 0 : 7);
    });

    it('are traps with RIP behind the instruction and no RF', () => {
      const g = guest(engine).code('mov eax, 5; mov dword ptr [0x6000], eax; nop; hlt');
      arm(g, 0, DATA, 1, 3);
      expect(g.run()).toBe('#1');
      expect(g.stack(3)).toEqual([CODE + 10, 8, 2]);
      expect(g.read32(DATA)).toBe(5);
    });

    it('stop a repeated store behind the iteration, with RF in the frame', () => {
      const g = guest(engine).code('mov ecx, 64; mov edi, 0x5ff0; mov al, 9; rep stosb; hlt');
      arm(g, 0, DATA, 1, 0);
      expect(g.run()).toBe('#1');
      expect(g.state.gpr32(1)).toBe(64 - 17);
      expect(g.stack(3)).toEqual([CODE + 12, 8, 2 | EFLAGS_RF]);
    });

    it('are forgotten when the instruction faults after the access', () => {
      const g = guest(engine).code('mov eax, dword ptr [0x6000]; nop; hlt');
      arm(g, 0, DATA, 3, 3);
      g.state.setSeg(3, 8, 0x6001);
      g.cpu.stateChanged();
      expect(g.run()).toBe('#13');
      expect(g.state.get('dr6')).toBe(DR6_INIT);
    });
  });

  it('breakpoints on ports need CR4.DE', () => {
    for (const de of [false, true]) {
      const g = guest(engine).code('mov edx, 0x71; in al, dx; nop; hlt');
      g.state.set('cr4', de ? CR4_DE : 0);
      arm(g, 0, 0x70, 2, 1);
      expect(g.run()).toBe(de ? '#1' : `0x${(CODE + 8).toString(16)}`);
      expect(g.state.get('dr6') & 0xf).toBe(de ? 1 : 0);
    }
  });

  it('general detect stops the access to a debug register and is cleared for the handler', () => {
    const g = guest(engine).code('mov eax, 0x2400; mov dr7, eax; mov eax, dr0; hlt');
    expect(g.run()).toBe('#1');
    expect(g.stack(1)).toEqual([CODE + 8]);
    expect(g.state.get('dr6')).toBe((DR6_INIT | 0x2000) >>> 0);
    expect(g.state.get('dr7')).toBe(0x400);
  });

  describe('single steps', () => {
    it('begin behind the instruction after the one that sets TF', () => {
      const g = guest(engine).code('push 0x102; popfd; inc eax; inc eax; hlt');
      expect(g.run()).toBe('#1');
      expect(g.state.gpr32(0)).toBe(1);
      expect(g.stack(3)).toEqual([CODE + 7, 8, 2 | EFLAGS_TF]);
      expect(g.state.get('dr6')).toBe((DR6_INIT | BS) >>> 0);
    });

    it('still follow the instruction that clears TF', () => {
      const g = guest(engine).code('push 2; push 0x102; popfd; popfd; inc eax; hlt');
      expect(g.run()).toBe('#1');
      expect(g.state.gpr32(0)).toBe(0);
      expect(g.stack(3)[2]).toBe(2);
    });

    it('do not follow INT n into its handler', () => {
      const g = guest(engine).code('push 0x102; popfd; int 0x40; hlt');
      expect(g.run()).toBe('#64');
      expect(g.stack(3)[2]).toBe(2 | EFLAGS_TF);
    });

    it('skip the instruction that loads SS', () => {
      const g = guest(engine).code(
        'mov edx, ss; push 0x102; popfd; mov ss, dx; inc eax; inc eax; hlt',
      );
      expect(g.run()).toBe('#1');
      expect(g.state.gpr32(0)).toBe(1);
    });

    it('wake a processor that halts', () => {
      const g = guest(engine).code('push 0x102; popfd; hlt; nop');
      expect(g.run()).toBe('#1');
      expect(g.stack(1)).toEqual([CODE + 7]);
    });
  });

  it('icebp is a trap that DR6 does not show', () => {
    const g = guest(engine).code('int1; hlt');
    expect(g.run()).toBe('#1');
    expect(g.stack(3)).toEqual([CODE + 1, 8, 2]);
    expect(g.state.get('dr6')).toBe(DR6_INIT);
  });

  describe('a waiting interrupt', () => {
    it('is taken after the instruction behind STI', () => {
      const g = guest(engine).code('sti; inc eax; inc eax; hlt');
      g.cpu.setInterruptLine(true);
      expect(g.run()).toBe('#48');
      expect(g.state.gpr32(0)).toBe(1);
      expect(g.stack(3)).toEqual([CODE + 2, 8, 2 | EFLAGS_IF]);
    });

    it('waits for the stack pointer that follows a new SS', () => {
      const g = guest(engine).code('mov eax, ss; push 0x202; mov ss, ax; popfd; nop; hlt');
      g.cpu.setInterruptLine(true);
      expect(g.run()).toBe('#48');
      const h = guest(engine).code('mov eax, ss; sti; mov ss, ax; mov esp, 0x8800; nop; hlt');
      h.cpu.setInterruptLine(true);
      expect(h.run()).toBe('#48');
      expect(h.state.gpr32(4)).toBe(0x8800 - 12);
    });
  });
});
