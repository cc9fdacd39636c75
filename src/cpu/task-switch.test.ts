// Task switches through TSS descriptors, task gates and nested returns, on both engines. SDM 3A 7.

import { describe, expect, it } from 'vitest';
import { CR0_TS, EFLAGS_NT, EFLAGS_VM } from './control-bits.ts';
import { CODE0, CODE3, DATA0, DATA3, GDT, IDT, LDT_SELECTOR } from './testing/descriptor-tables.ts';
import { CODE, ENGINES, type Guest, guest } from './testing/guest.ts';

const OLD_TSS = 0x4000;
const NEW_TSS = 0x4800;
const NEW_CODE = 0x7800;
const NEW_STACK = 0x9800;
/** Selectors behind those of the common tables. */
const OLD = 0x28;
const NEW = 0x58;
const GATE = 0x60;
const BUSY = 2;

interface NewTask {
  readonly cs?: number;
  readonly ss?: number;
  readonly ds?: number;
  readonly ldt?: number;
  readonly flags?: number;
  readonly trap?: boolean;
  readonly access?: number;
  readonly limit?: number;
}

const descriptor = (base: number, limit: number, access: number) =>
  BigInt(limit) | (BigInt(base) << 16n) | (BigInt(access) << 40n);

/** Ring 0 with a current 32-bit TSS, a second one, and a task gate to it. */
function twoTasks(engine: Guest['cpu']['engine']['name'], task: NewTask = {}): Guest {
  const g = guest(engine === 'reference' ? 'reference' : 'interpreter');
  g.write64(GDT + OLD, descriptor(OLD_TSS, 0x67, 0x8b));
  g.write64(GDT + NEW, descriptor(NEW_TSS, task.limit ?? 0x67, task.access ?? 0x89));
  g.write64(GDT + GATE, (BigInt(NEW) << 16n) | (0x85n << 40n));
  g.state.set('gdtrLimit', 0x67);
  const stack = NEW_STACK;
  g.write32(NEW_TSS + 0x20, NEW_CODE, task.flags ?? 2);
  g.write32(NEW_TSS + 0x28, 0xa0, 0xa1, 0xa2, 0xa3, stack, 0xa5, 0xa6, 0xa7);
  const ds = task.ds ?? DATA0;
  g.write32(NEW_TSS + 0x48, ds, task.cs ?? CODE0, task.ss ?? DATA0, ds, 0, DATA3);
  g.write32(NEW_TSS + 0x60, task.ldt ?? 0, task.trap ? 1 : 0);
  g.write32(NEW_TSS + 4, 0x8800, DATA0);
  return g.code('hlt', NEW_CODE);
}

const access = (g: Guest, selector: number) => (g.read32(GDT + selector + 4) >>> 8) & 0xff;
const entered = `0x${(NEW_CODE + 1).toString(16)}`;

describe.each(ENGINES)('on the %s', (engine) => {
  it('a jump to a TSS saves the old task, loads the new one and moves the busy mark', () => {
    const g = twoTasks(engine).code(`mov eax, 0x11; mov ecx, 0x12; stc; jmpf ${NEW}:0; hlt`);
    expect(g.run()).toBe(entered);
    expect([0, 1, 2, 3, 4, 5, 6, 7].map((n) => g.state.gpr32(n))).toEqual([
      0xa0,
      0xa1,
      0xa2,
      0xa3,
      NEW_STACK,
      0xa5,
      0xa6,
      0xa7,
    ]);
    expect(g.read32(OLD_TSS + 0x20)).toBe(CODE + 18);
    expect(g.read32(OLD_TSS + 0x24)).toBe(3);
    expect([g.read32(OLD_TSS + 0x28), g.read32(OLD_TSS + 0x2c)]).toEqual([0x11, 0x12]);
    expect(g.read16(OLD_TSS + 0x4c)).toBe(CODE0);
    expect([access(g, OLD) & BUSY, access(g, NEW) & BUSY]).toEqual([0, BUSY]);
    expect(g.state.seg(7, 16)).toBe(NEW);
    expect(g.state.segBase(7)).toBe(NEW_TSS);
    expect(g.state.get('cr0') & CR0_TS).toBe(CR0_TS);
    expect(g.state.get('eflags') & EFLAGS_NT).toBe(0);
  });

  it('a call links the tasks and IRET comes back behind it', () => {
    const g = twoTasks(engine).code(`callf ${GATE}:0; mov ebx, 0x77; hlt`);
    g.code('mov ecx, 0x55; iretd; inc ecx; hlt', NEW_CODE);
    expect(g.run()).toBe(`0x${(CODE + 13).toString(16)}`);
    expect(g.state.gpr32(3)).toBe(0x77);
    expect(g.read16(NEW_TSS)).toBe(OLD);
    // The task that IRET leaves is available again and goes on behind the IRET, without NT.
    expect(g.read32(NEW_TSS + 0x20)).toBe(NEW_CODE + 6);
    expect(g.read32(NEW_TSS + 0x2c)).toBe(0x55);
    expect(g.read32(NEW_TSS + 0x24) & EFLAGS_NT).toBe(0);
    expect([access(g, OLD) & BUSY, access(g, NEW) & BUSY]).toEqual([BUSY, 0]);
    expect(g.state.seg(7, 16)).toBe(OLD);
  });

  it('an exception through a task gate pushes its error code on the new stack', () => {
    const g = twoTasks(engine).code('mov eax, 0x60; mov ds, ax; hlt');
    g.write32(IDT + 13 * 8, NEW << 16, 0x8500);
    expect(g.run()).toBe(entered);
    expect(g.state.gpr32(4)).toBe(NEW_STACK - 4);
    expect(g.stack(1)).toEqual([GATE]);
    expect(g.read32(OLD_TSS + 0x20)).toBe(CODE + 5);
    // A fault restarts its instruction: RF.
    expect(g.read32(OLD_TSS + 0x24)).toBe(0x10002);
    expect(g.state.get('eflags') & EFLAGS_NT).toBe(EFLAGS_NT);
    expect([access(g, OLD) & BUSY, access(g, NEW) & BUSY]).toEqual([BUSY, BUSY]);
  });

  it('INT n through a task gate pushes nothing', () => {
    const g = twoTasks(engine).code('int 0x40; hlt');
    g.write32(IDT + 0x40 * 8, NEW << 16, 0x8500);
    expect(g.run()).toBe(entered);
    expect(g.state.gpr32(4)).toBe(NEW_STACK);
    expect(g.read32(OLD_TSS + 0x20)).toBe(CODE + 2);
  });

  it('enters ring 3', () => {
    const g = twoTasks(engine, { cs: CODE3, ss: DATA3, ds: DATA3 }).code(`jmpf ${NEW}:0`);
    g.code('int 0x41', NEW_CODE);
    g.write32(IDT + 0x41 * 8 + 4, g.read32(IDT + 0x41 * 8 + 4) | 0x6000);
    expect(g.run()).toBe('#65');
    expect(g.stack(5)).toEqual([NEW_CODE + 2, CODE3, 2, NEW_STACK, DATA3]);
    expect(g.state.gpr32(4)).toBe(0x8800 - 20);
  });

  it('enters virtual-8086 mode', () => {
    const g = twoTasks(engine, { cs: 0x780, ss: 0x900, ds: 0x123, flags: EFLAGS_VM | 2 });
    g.write32(NEW_TSS + 0x20, 0);
    g.code(`jmpf ${NEW}:0`).code('mov ax, ds; hlt', NEW_CODE, 16);
    expect(g.run()).toBe('#13');
    expect(g.state.gpr32(0)).toBe(0x123);
    // HLT is privileged: error code, IP, CS, EFLAGS, SP, SS, ES, DS, FS, GS.
    expect(g.stack(10)).toEqual([
      0,
      2,
      0x780,
      EFLAGS_VM | 0x10002,
      NEW_STACK,
      0x900,
      0x123,
      0x123,
      0,
      DATA3,
    ]);
  });

  it('a 16-bit TSS has 16-bit registers and no FS and GS', () => {
    const g = twoTasks(engine, { access: 0x81, limit: 0x2b }).code(`jmpf ${NEW}:0`);
    const words = [NEW_CODE, 2, 0xa0, 0xa1, 0xa2, 0xa3, NEW_STACK, 0xa5, 0xa6, 0xa7];
    const all = [...words, DATA0, CODE0, DATA0, DATA0, 0];
    for (let n = 0; n < all.length; n += 2) g.write32(NEW_TSS + 0x0c + n * 2, 0);
    const u16 = new Uint16Array(g.cpu.memory.buffer, g.cpu.layout.ramBase + NEW_TSS + 0x0e, 15);
    u16.set(all);
    expect(g.run()).toBe(entered);
    expect([g.state.gpr32(1), g.state.gpr32(4)]).toEqual([0xffff00a1, 0xffff0000 + NEW_STACK]);
    expect(g.state.seg(5, 16)).toBe(0);
    expect(g.state.get('eflags')).toBe(2);
  });

  it('clears the local breakpoints and keeps the global ones', () => {
    const g = twoTasks(engine).code(`jmpf ${NEW}:0`);
    g.state.set('dr7', 0x7ff);
    g.state.setVa('dr0', 0x100000);
    for (const name of ['dr1', 'dr2', 'dr3'] as const) g.state.setVa(name, 0x100000);
    g.run();
    expect(g.state.get('dr7')).toBe(0x6aa);
  });

  it('a TSS with the T bit traps before the first instruction', () => {
    const g = twoTasks(engine, { trap: true }).code(`jmpf ${NEW}:0`);
    expect(g.run()).toBe('#1');
    expect(g.state.get('dr6')).toBe(0xffff8ff0);
    expect(g.stack(2)).toEqual([NEW_CODE, CODE0]);
  });

  describe('faults in the old task', () => {
    it.each([
      ['a busy TSS', { access: 0x8b }, 13, NEW],
      ['an absent TSS', { access: 0x09 }, 11, NEW],
      ['a TSS that is too short', { limit: 0x66 }, 10, NEW],
    ] as const)('%s', (_what, task, vector, error) => {
      const g = twoTasks(engine, task).code(`mov ecx, 1; jmpf ${NEW}:0; hlt`);
      expect(g.run()).toBe(`#${vector}`);
      expect(g.stack(3)).toEqual([error, CODE + 5, CODE0]);
      expect([g.state.seg(7, 16), g.state.gpr32(1)]).toEqual([OLD, 1]);
      expect(access(g, OLD) & BUSY).toBe(BUSY);
    });

    it('IRET to a task that is not busy: #TS', () => {
      const g = twoTasks(engine).code('push 0x4002; popfd; iretd; hlt');
      g.write32(OLD_TSS, NEW);
      expect(g.run()).toBe('#10');
      expect(g.stack(2)).toEqual([NEW, CODE + 6]);
    });

    it('a gate of the wrong ring: #GP of the gate', () => {
      const g = twoTasks(engine);
      g.state.set('cpl', 0);
      g.code(`jmpf ${GATE | 3}:0; hlt`);
      expect(g.run()).toBe('#13');
      expect(g.stack(1)).toEqual([GATE]);
    });
  });

  describe('faults in the new task', () => {
    it.each([
      ['an LDT selector that names none', { ldt: CODE0 }, 10, CODE0],
      ['a null code segment', { cs: 0 }, 10, 0],
      ['code of another ring', { cs: CODE0 | 3 }, 10, CODE0],
      ['a null stack segment', { ss: 0 }, 10, 0],
      ['a stack of another ring', { ss: DATA3 }, 10, DATA3 & ~3],
      ['a data segment outside the table', { ds: 0x200 }, 10, 0x200],
    ] as const)('%s', (_what, task, vector, error) => {
      const g = twoTasks(engine, task).code(`jmpf ${NEW}:0; hlt`);
      expect(g.run()).toBe(`#${vector}`);
      expect(g.stack(2)).toEqual([error, NEW_CODE]);
      // The switch is complete: the new task is the one that faulted.
      expect(g.state.seg(7, 16)).toBe(NEW);
      expect(access(g, OLD) & BUSY).toBe(0);
      expect(g.read32(OLD_TSS + 0x20)).toBe(CODE + 7);
    });
  });

  it('loads the LDT of the new task', () => {
    const g = twoTasks(engine, { ldt: LDT_SELECTOR }).code(`jmpf ${NEW}:0`);
    expect(g.run()).toBe(entered);
    expect(g.state.segBase(6)).toBe(0x5000);
  });
});
