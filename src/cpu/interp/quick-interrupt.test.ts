// Interrupts taken, and what is due done, within the engine against how Cpu.run does it: the same instructions, counts and questions to the border.

import { expect, it } from 'vitest';
import type { EngineName } from '../core.ts';
import { CODE0, IDT } from '../testing/descriptor-tables.ts';
import { CODE, guest } from '../testing/guest.ts';
import { Random } from '../testing/random.ts';

const [RAISE, TELL] = [0x10, 0x12];
/** One an exception's number, one through a trap gate. */
const VECTORS = [0x30, 0x41, 2, 0xf1];
const TRAP_GATE = 0x41;
const STACK = 0x6000;
const HANDLERS = 0xb000;
const TURNS = 400;
/** Of the program: what comes before its loop. */
const SKIPPED = 6;

const PROGRAM = `
  mov esp, ${STACK}; sti
  again:
  out ${RAISE}, al; inc ecx; add eax, ecx
  pushfd; cli; out ${RAISE}, al; inc edx; popfd; inc edx
  cli; out ${RAISE}, al; sti; inc esi; inc edi
  out ${RAISE}, al; mov ax, 0x10; mov ss, ax; inc esi; jmp again`;

/** What the border has been asked, and how each run of a random length has ended. */
function story(engine: EngineName, seed: number): { told: string[]; left: number; taken: number } {
  const r = new Random(seed);
  const g = guest(engine, { threshold: 4, batch: 1 }).code(PROGRAM);
  const { cpu } = g;
  const told: string[] = [];
  const waiting: number[] = [];
  const tell = (what: string) => told.push(`${what} after ${cpu.retired()}`);
  let [left, taken] = [0, 0];
  for (const vector of VECTORS)
    g.handler(vector, `push eax; inc ebx; out ${TELL}, al; pop eax; iretd`);
  const trap = HANDLERS + TRAP_GATE * 32;
  g.write32(IDT + TRAP_GATE * 8, (CODE0 << 16) | trap, 0x8f00);
  const { border } = cpu.cx;
  border.ioWrite = (port) => {
    tell(`out ${port}`);
    if (port === RAISE && r.chance(50)) waiting.push(r.pick(VECTORS));
    if (r.chance(5)) cpu.requestExit();
    if (r.chance(5)) cpu.raiseNmi();
    if (r.chance(20)) cpu.requestExitAt(cpu.retired() + r.pick([0, 1, 2, 3, 9, 40]));
    cpu.setInterruptLine(waiting.length > 0);
  };
  border.acknowledgeInterrupt = () => {
    tell(`acknowledge at ${cpu.currentRip()}`);
    if (r.chance(10)) cpu.requestExit();
    const vector = r.chance(10) ? -1 : (waiting.shift() ?? -1);
    if (vector >= 0) taken++;
    cpu.setInterruptLine(waiting.length > 0);
    return vector;
  };
  const due = () => {
    tell(`due at ${cpu.currentRip()}`);
    if (r.chance(30)) waiting.push(r.pick(VECTORS));
    if (r.chance(30)) cpu.requestExitAt(cpu.retired() + r.pick([1, 2, 3, 9, 40]));
    if (r.chance(5)) cpu.requestExit();
    cpu.setInterruptLine(waiting.length > 0);
    if (r.chance(20)) g.state.setVa('rip', CODE + SKIPPED);
    return r.chance(80);
  };
  const run = cpu.engine.run.bind(cpu.engine);
  cpu.engine.run = () => {
    left++;
    return run();
  };
  for (let turn = 0; turn < TURNS; turn++) {
    const { kind } = cpu.run(1 + r.pick([0, 1, 2, 3, 10, 50, 400]), due);
    const registers = [0, 1, 2, 3, 4, 6, 7].map((n) => g.state.gpr32(n).toString(16));
    tell(`${kind} at ${cpu.currentRip()}, ${registers}`);
  }
  return { told, left, taken };
}

it.each([1, 2, 3])(
  'the same is asked after as many instructions on every engine: seed %i',
  (seed) => {
    const expected = story('reference', seed);
    expect(expected.taken).toBeGreaterThan(300);
    for (const engine of ['interpreter', 'jit'] as const) {
      const { told, taken, left } = story(engine, seed);
      const differs = told.findIndex((line, n) => line !== expected.told[n]);
      expect(told.slice(Math.max(differs - 3, 0), differs + 1)).toEqual(
        expected.told.slice(Math.max(differs - 3, 0), differs + 1),
      );
      expect([told.length, taken]).toEqual([expected.told.length, expected.taken]);
      // Most interrupts and most of what was due: neither of them alone would save so many.
      expect(expected.left - left).toBeGreaterThan(taken);
    }
  },
);

it('an interrupt that no handler can be reached for is a triple fault, within the engine too', () => {
  for (const engine of ['reference', 'interpreter', 'jit'] as const) {
    const g = guest(engine).code(`mov esp, ${STACK}; sti; nop; out ${RAISE}, al; nop; hlt`);
    g.cpu.cx.border.ioWrite = () => g.cpu.setInterruptLine(true);
    g.state.set('idtrLimit', 0);
    expect([g.cpu.run(100), g.state.get('rip')]).toEqual([
      { kind: 'shutdown', why: 'triple fault while delivering an interrupt' },
      CODE + 9,
    ]);
  }
});
