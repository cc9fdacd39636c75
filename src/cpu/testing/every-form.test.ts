// The reference runs every form of the instruction table, and the comparison of engines notices what it must.

import { expect, test } from 'vitest';
import { instructions } from '../table.ts';
import { forEveryForm } from './cases.ts';
import { Differential, FaultChecker } from './differential.ts';
import { referenceEngine } from './engines.ts';
import type { Engine, Machine } from './machine.ts';
import { WORLD } from './world.ts';

const SEED = 20240601;

/** The reference with a mistake made after each step. */
function mistaken(mistake: (m: Machine) => void): Engine {
  return {
    name: 'mistaken',
    step(m) {
      const result = referenceEngine.step(m);
      mistake(m);
      return result;
    },
  };
}

function differences(other: Engine, only: string): string[] {
  const differential = new Differential(referenceEngine, other);
  const found: string[] = [];
  const options = { seed: SEED, perForm: 2, only: (i: { name: string }) => i.name === only };
  forEveryForm(instructions, options, (c) => {
    const difference = differential.compare(c);
    if (difference !== null) found.push(difference);
  });
  return found;
}

test('every form runs, and a fault leaves no trace', () => {
  const checker = new FaultChecker(referenceEngine);
  const traces: string[] = [];
  const outcomes = new Set<number | 'ok'>();
  let cases = 0;
  const never = forEveryForm(instructions, { seed: SEED, perForm: 2 }, (c) => {
    cases++;
    const { result, trace } = checker.run(c);
    outcomes.add(result === 'ok' ? 'ok' : result.fault);
    if (trace !== null) traces.push(trace);
  });
  expect(never).toEqual([]);
  expect(traces).toEqual([]);
  expect(cases).toBeGreaterThan(5000);
  expect(outcomes).toContain('ok');
  expect(outcomes).toContain(13);
  expect(outcomes).toContain(14);
});

test('the reference agrees with itself', () => {
  expect(differences(referenceEngine, 'add')).toEqual([]);
});

test('a wrong flag is noticed', () => {
  const wrong = mistaken((m) => m.state.set('flAux', m.state.get('flAux') ^ 0x10));
  expect(differences(wrong, 'add')[0]).toMatch(/flags: 0x\w+ against 0x\w+/);
});

test('a wrong register is noticed', () => {
  const wrong = mistaken((m) => m.state.setGpr(13, m.state.gpr(13) + 1n));
  expect(differences(wrong, 'mov')[0]).toMatch(/: r13: /);
});

test('a wrong byte of memory is noticed', () => {
  const wrong = mistaken((m) => {
    m.views.u8[m.layout.ramBase + WORLD.data.at + 5] = 0x5a;
    m.views.u8[m.layout.ramBase + WORLD.data.at + 6] = 0xa5;
  });
  expect(differences(wrong, 'mov')[0]).toMatch(/: memory 0x20004: /);
});

test('a missing TLB entry is noticed', () => {
  const wrong = mistaken((m) => m.mmu.flushAll());
  expect(differences(wrong, 'mov')[0]).toMatch(/TLB \d entry \d+: tag/);
});

test('another fault is noticed', () => {
  const wrong: Engine = {
    name: 'wrong',
    step(m) {
      const result = referenceEngine.step(m);
      return result === 'ok' ? 'ok' : { ...result, fault: 3 };
    },
  };
  expect(differences(wrong, 'movaps').join()).toMatch(/fault: #\d+\(\d+\) against #3/);
});
