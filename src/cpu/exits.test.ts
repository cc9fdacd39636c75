// Exits by policy, on every engine: nothing of the exception or instruction has happened, and the counts are exact.

import { describe, expect, it } from 'vitest';
import { Assembler } from './asm.ts';
import type { Border, Exit } from './border.ts';
import { CR0_PE, CR0_PG, CR0_WP, EFLAGS_IF } from './control-bits.ts';
import { createCpu } from './core.ts';
import { CS } from './descriptors.ts';
import {
  type ExitPolicy,
  POLICY_CPUID,
  POLICY_HLT,
  POLICY_INT,
  POLICY_INTERRUPTS,
  setPolicy,
} from './policy.ts';
import { recordingBorder } from './testing/border.ts';
import { CODE, type Guest, guest } from './testing/guest.ts';

const DIRECTORY = 0x20000;
const TABLE = 0x21000;
const PAGE = 0x30000;
const PRESENT = 5;
const WRITABLE = 7;

function under(
  engine: 'reference' | 'interpreter' | 'jit',
  text: string,
  policy: Partial<ExitPolicy>,
): Guest {
  const g = guest(engine).code(text);
  setPolicy(g.state, { exceptions: 0, instructions: 0, ...policy });
  return g;
}

/** The first MiB one to one; PAGE can only be read. */
function paged(g: Guest): Guest {
  g.write32(DIRECTORY, TABLE | WRITABLE);
  for (let n = 0; n < 256; n++) g.write32(TABLE + n * 4, (n << 12) | WRITABLE);
  g.write32(TABLE + (PAGE >> 12) * 4, PAGE | PRESENT);
  g.state.set('cr3', DIRECTORY);
  g.state.set('cr0', (CR0_PE | CR0_PG | CR0_WP) >>> 0);
  g.cpu.stateChanged();
  return g;
}

/** What the CPU says, copied, and where it stands. */
function runOnce(g: Guest, budget = 1000): Exit & { rip: number; retired: number } {
  return { ...g.cpu.run(budget), rip: g.state.get('rip'), retired: g.cpu.retired() };
}

const stored: string[] = [];
const take = (va: number, bytes: number, lo: number, hi: number) => {
  stored.push(`${va.toString(16)} ${bytes} ${(lo >>> 0).toString(16)} ${(hi >>> 0).toString(16)}`);
  return true;
};

describe.each(['reference', 'interpreter', 'jit'] as const)('on the %s', (engine) => {
  it('an exception exits at its instruction, with error code and address, and CR2 unchanged', () => {
    const g = paged(under(engine, 'nop; mov ecx, 1; mov [0x30010], ecx; hlt', { exceptions: -1 }));
    const exit = runOnce(g);
    expect(exit).toMatchObject({ kind: 'exception', vector: 14, error: 3, address: 0x30010 });
    expect([exit.rip, exit.retired, g.state.get('cr2')]).toEqual([CODE + 6, 2, 0]);
  });

  it.each([
    ['in the middle of a block', 2],
    ['far ahead', 40],
    ['behind the end of the budget', 2000],
  ])('an exit asked for from within an instruction, %s, comes at its count', (_, ahead) => {
    const border: Border = {
      ...recordingBorder(),
      ioRead: () => {
        cpu.requestExitAt(cpu.retired() + ahead);
        return 0;
      },
    };
    const cpu = createCpu({ ramBytes: 1 << 20, border, engine });
    const code = new Assembler(16, 0).text(
      `in al, 0x80; ${'inc ecx; '.repeat(30)}again:; inc ecx; jmp again`,
    );
    cpu.views.u8.set(code.finish(), cpu.layout.ramBase);
    cpu.state.setSegBase(CS, 0);
    cpu.state.set('rip', 0);
    const end = Math.min(ahead, 1000);
    const late = ahead > 1000;
    expect([cpu.run(1000).kind, cpu.retired()]).toEqual([late ? 'budget' : 'due', end]);
    const then = late ? ['due', ahead] : ['budget', 10_000];
    expect([cpu.run(10_000 - end).kind, cpu.retired()]).toEqual(then);
  });

  it.each([1, 40])(
    'an exit asked for %s instructions ahead comes then, though an interrupt is taken on the way',
    (ahead) => {
      const border: Border = {
        ...recordingBorder(),
        hypercall: () => {
          cpu.requestExitAt(cpu.retired() + ahead);
          cpu.setInterruptLine(true);
          return true;
        },
        acknowledgeInterrupt: () => {
          cpu.setInterruptLine(false);
          return 0x40;
        },
      };
      const cpu = createCpu({ ramBytes: 1 << 20, border, engine });
      const loop = 'inc ecx; '.repeat(30);
      const code = new Assembler(16, 0).text(`vmcall; ${loop}again:; inc ecx; jmp again`);
      cpu.views.u8.set(code.finish(), cpu.layout.ramBase);
      const handler = new Assembler(16, 0x600).text(`${loop}more:; inc ecx; jmp more`);
      cpu.views.u8.set(handler.finish(), cpu.layout.ramBase + 0x600);
      cpu.views.u32[(cpu.layout.ramBase + 0x40 * 4) >> 2] = 0x600;
      cpu.state.setSegBase(CS, 0);
      cpu.state.set('rip', 0);
      cpu.state.set('eflags', EFLAGS_IF | 2);
      expect([cpu.run(1000).kind, cpu.retired()]).toEqual(['due', ahead]);
      expect(cpu.state.get('rip')).toBeGreaterThanOrEqual(0x600);
    },
  );

  it('an exception that the policy does not name goes through the IDT', () => {
    expect(under(engine, 'ud2', { exceptions: 1 << 13 }).run()).toBe('#6');
    expect(runOnce(under(engine, 'ud2', { exceptions: 1 << 6 }))).toMatchObject({
      vector: 6,
      error: null,
    });
  });

  it('an instruction exits undone; complete() counts it and goes on behind it', () => {
    const g = under(engine, 'nop; cpuid; nop; hlt', { instructions: POLICY_CPUID | POLICY_HLT });
    const exit = runOnce(g);
    expect(exit).toMatchObject({ kind: 'instruction', policy: POLICY_CPUID, bytes: 2 });
    expect([exit.rip, exit.retired, g.log]).toEqual([CODE + 1, 1, []]);
    g.cpu.complete(2);
    expect(g.cpu.retired()).toBe(2);
    expect(runOnce(g)).toMatchObject({ policy: POLICY_HLT, rip: CODE + 4, retired: 3 });
  });

  it.each([
    ['int 0x82', 0x82, 2],
    ['int3', 3, 1],
  ])('%s exits with its vector in slot 0', (text, vector, bytes) => {
    const g = under(engine, text, { instructions: POLICY_INT });
    expect(runOnce(g)).toMatchObject({ policy: POLICY_INT, bytes });
    expect(g.state.arg32(0)).toBe(vector);
  });

  it('an interrupt that would be accepted exits, ends a halt and is not acknowledged', () => {
    const g = under(engine, 'hlt; nop', { instructions: POLICY_INTERRUPTS });
    g.cpu.setInterruptLine(true);
    expect(runOnce(g)).toMatchObject({ kind: 'halt' });
    g.state.set('eflags', 2 | EFLAGS_IF);
    expect(runOnce(g)).toMatchObject({ kind: 'interrupt', rip: CODE + 1 });
    expect([g.state.get('halted'), g.log]).toEqual([0, []]);
  });

  it.each([
    ['mov dword ptr [0x30010], 0x55', '30010 4 55 0', 11],
    ['xchg [0x30010], ecx', '30010 4 77 0', 0x11],
    ['lock btr dword ptr [0x30010], 4', '30010 4 1 0', 0x11],
    ['lock and byte ptr [0x30010], 0x10', '30010 1 10 0', 0x11],
    ['lock cmpxchg8b qword ptr [0x30010]', '30010 8 b c', 0x11],
  ])('stepWithStore hands over the store of %s', (text, store) => {
    const g = paged(under(engine, `${text}; hlt`, { exceptions: -1 }));
    g.write32(PAGE + 0x10, 0x11, 0x22);
    for (const [n, value] of [0x11, 0x77, 0x22, 0xb].entries()) g.state.setGpr32(n, value);
    g.state.setGpr32(1, text.startsWith('xchg') ? 0x77 : 0xc);
    expect(runOnce(g)).toMatchObject({ kind: 'exception', vector: 14, rip: CODE });
    stored.length = 0;
    expect(g.cpu.stepWithStore(0x30010, take)).toBe(true);
    expect([stored, g.cpu.retired(), g.read32(PAGE + 0x10)]).toEqual([[store], 1, 0x11]);
    if (text.startsWith('xchg')) expect(g.state.gpr32(1)).toBe(0x11);
    expect(runOnce(g)).toMatchObject({ kind: 'halt', retired: 2 });
  });

  it('stepWithStore leaves no trace when the filter refuses', () => {
    const g = paged(under(engine, 'xadd [0x30010], ecx; hlt', { exceptions: -1 }));
    g.state.setGpr32(1, 0x77);
    runOnce(g);
    expect(g.cpu.stepWithStore(0x30010, () => false)).toBe(false);
    expect([g.state.gpr32(1), g.state.get('rip'), g.cpu.retired()]).toEqual([0x77, CODE, 0]);
    expect(runOnce(g)).toMatchObject({ kind: 'exception', vector: 14, error: 3 });
  });
});

it.each(['reference', 'interpreter', 'jit'] as const)(
  'on the %s an instruction answered in place counts as completed while that is said',
  (engine) => {
    const counts: number[] = [];
    const hypercall = () => {
      for (const said of [false, true, false]) {
        cpu.countRunning(said);
        counts.push(cpu.retired());
      }
      return true;
    };
    const cpu = createCpu({
      ramBytes: 1 << 20,
      border: { ...recordingBorder(), hypercall },
      engine,
    });
    const { state, views, layout } = cpu;
    views.u8.set(new Assembler(16, CODE).text('nop; vmcall; hlt').finish(), layout.ramBase + CODE);
    state.setSegBase(1, 0);
    state.setVa('rip', CODE);
    cpu.stateChanged();
    expect(cpu.run(100).kind).toBe('halt');
    expect([...counts, cpu.retired()]).toEqual([1, 2, 1, 3]);
  },
);
