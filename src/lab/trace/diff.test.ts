// Differences of traces: found where they are, and nowhere else.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareTraces } from './diff.ts';
import { readTrace, type Trace } from './read.ts';
import type { TraceEvent } from './tracer.ts';

const event = (
  operation: string,
  retired: number,
  changes: Partial<TraceEvent> = {},
): TraceEvent => ({
  operations: [operation] as unknown as TraceEvent['operations'],
  entryPoint: `entry of ${operation}`,
  args: {},
  effect: null,
  vcpu: 0,
  retired,
  nanos: retired,
  caller: 'start_kernel+0x1',
  instructions: 1,
  within: null,
  ...changes,
});
const trace = (events: readonly TraceEvent[], on = 'native'): Trace => ({
  head: { interface: on, kernel: 'k', sha256: 's' },
  events,
  cut: false,
});
const NAMES = ['mmu.write_cr3', 'cpu.cpuid', 'irq.halt', 'cpu.write_cr0'];

describe('two traces of one cell', () => {
  it('are identical when every event is', () => {
    const events = NAMES.map((name, n) => event(name, n));
    expect(compareTraces(trace(events), trace(events))).toMatchObject({
      compared: 'exact',
      divergence: null,
      onlyOne: [],
      unequal: [],
    });
  });

  it('part at the one event that was changed, named by its operation, wherever it is', () => {
    const events = fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(events, fc.nat(), (names, seed) => {
        const list = names.map((name, n) => event(name, n * 10));
        const at = seed % list.length;
        const changed = list.with(at, event('apic.icr_write', at * 10));
        const { divergence } = compareTraces(trace(list), trace(changed));
        expect(divergence?.at).toBe(at);
        expect(divergence?.events[0]?.operations).toEqual([names[at]]);
        expect(divergence?.events[1]?.operations).toEqual(['apic.icr_write']);
        expect(divergence?.before).toEqual(list.slice(Math.max(at - 5, 0), at));
      }),
      { numRuns: 50 },
    );
  });

  it('differ in an argument, an effect or the time alone', () => {
    const one = event('cpu.cpuid', 5);
    for (const other of [{ args: { leaf: 1 } }, { effect: '#GP' }, { retired: 6 }]) {
      const found = compareTraces(trace([one]), trace([event('cpu.cpuid', 5, other)]));
      expect(found.divergence?.at).toBe(0);
    }
  });

  it('part where one of them ends', () => {
    const list = [event('cpu.cpuid', 1), event('irq.halt', 2)];
    const { divergence } = compareTraces(trace(list), trace(list.slice(0, 1)));
    expect(divergence).toMatchObject({ at: 1, events: [list[1], null] });
  });
});

describe('traces of two interfaces', () => {
  it('are compared by what was asked, not by when and how', () => {
    const a = trace([event('mmu.write_cr3', 1), event('cpu.cpuid', 2)]);
    const b = trace(
      [
        event('mmu.write_cr3', 7, { entryPoint: 'mmuext_op.MMUEXT_NEW_BASEPTR' }),
        event('cpu.cpuid', 9),
      ],
      'xen-pv@4.17',
    );
    expect(compareTraces(a, b)).toMatchObject({ compared: 'operations', divergence: null });
  });

  it('leave out what only one of them shows, and list it', () => {
    const a = trace([event('cpu.io_delay', 1), event('cpu.cpuid', 2)]);
    const b = trace([event('mmu.set_pmd', 1), event('cpu.cpuid', 2), event('cpu.cpuid', 3)], 'x');
    const found = compareTraces(a, b);
    expect(found.onlyOne.map(({ operation, counts }) => [operation, counts])).toEqual([
      ['cpu.io_delay', [1, 0]],
      ['mmu.set_pmd', [0, 1]],
    ]);
    expect(found.unequal.map(({ operation, counts }) => [operation, counts])).toEqual([
      ['cpu.cpuid', [1, 2]],
    ]);
    expect(found.divergence?.events).toEqual([null, expect.objectContaining({ retired: 3 })]);
  });

  it('take an entry point for any of the operations that it may serve', () => {
    const operations = ['cpu.load_idt', 'cpu.write_idt_entry'] as const;
    const a = trace([event('cpu.load_idt', 1)]);
    const b = trace([event('', 1, { operations })], 'x');
    expect(compareTraces(a, b).divergence).toBeNull();
  });
});

describe('a trace read back', () => {
  const head = { format: 'pvops-trace-2', interface: 'native', kernel: 'k', sha256: 's' };

  it('is what was written', () => {
    const events = [event('cpu.cpuid', 1), event('irq.halt', 2)];
    expect(readTrace([head, ...events], false, 'x')).toEqual(trace(events));
  });

  it.each([
    ['empty', []],
    ['of another format', [{ ...head, format: 'other' }]],
    ['with a line that is no event', [head, { operations: 'x' }]],
  ])('is refused when it is %s', (_, lines) => {
    expect(() => readTrace(lines, false, 'a.jsonl')).toThrow('a.jsonl is not a trace of pvops');
  });
});
