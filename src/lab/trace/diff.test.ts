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
  callers: '',
  instructions: 1,
  within: null,
  ...changes,
});
const trace = (events: readonly TraceEvent[], on = 'native', watched = false): Trace => ({
  head: { interface: on, kernel: 'k', sha256: 's', operations: null, watched },
  events,
  cut: false,
});
const NAMES = ['mmu.write_cr3', 'cpu.cpuid', 'irq.halt', 'cpu.write_cr0'];
const asked = ({ events }: { events: readonly (readonly TraceEvent[])[] }) =>
  events.map((side) => side.map(({ operations }) => operations[0]));

describe('two traces of one cell', () => {
  it('are identical when every event is', () => {
    const events = NAMES.map((name, n) => event(name, n));
    expect(compareTraces(trace(events), trace(events))).toMatchObject({
      compared: 'exact',
      divergenceCount: 0,
      onlyTime: 0,
      unequal: [],
      notCompared: [],
    });
  });

  it('part at the one event that was changed, named by its operation, wherever it is', () => {
    const events = fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(events, fc.nat(), (names, seed) => {
        const list = names.map((name, n) => event(name, n * 10));
        const at = seed % list.length;
        const changed = list.with(at, event('apic.icr_write', at * 10));
        const { divergences, divergenceCount } = compareTraces(trace(list), trace(changed));
        expect(divergenceCount).toBe(1);
        expect(divergences[0]?.at).toEqual([at, at]);
        expect(asked(divergences[0]!)).toEqual([[names[at]], ['apic.icr_write']]);
        expect(divergences[0]?.before[0]).toEqual(list.slice(Math.max(at - 5, 0), at));
      }),
      { numRuns: 50 },
    );
  });

  it('go on together behind each difference, so that several are found', () => {
    const list = Array.from({ length: 200 }, (_, n) =>
      event(NAMES[(n * 7) % 4]!, n, { caller: `f${(n * n) % 13}+0x1` }),
    );
    const other = [
      ...list.slice(0, 50),
      ...list.slice(53, 120),
      event('irq.halt', 0),
      ...list.slice(120),
    ];
    const { divergences, divergenceCount } = compareTraces(trace(list), trace(other));
    expect(divergenceCount).toBe(2);
    expect(divergences.map(({ events }) => events.map((side) => side.length))).toEqual([
      [3, 0],
      [0, 1],
    ]);
  });

  it('differ in an argument or an effect; in time alone only in that', () => {
    const one = event('cpu.cpuid', 5);
    for (const other of [{ args: { leaf: 1 } }, { effect: '#GP' }]) {
      const found = compareTraces(trace([one]), trace([event('cpu.cpuid', 5, other)]));
      expect(found.divergences[0]).toMatchObject({ at: [0, 0], kind: 'answer' });
    }
    const later = compareTraces(trace([one]), trace([event('cpu.cpuid', 6)]));
    expect(later).toMatchObject({ divergenceCount: 0, onlyTime: 1 });
  });

  it('part where one of them ends', () => {
    const list = [event('cpu.cpuid', 1), event('irq.halt', 2)];
    const { divergences } = compareTraces(trace(list), trace(list.slice(0, 1)));
    expect(divergences).toHaveLength(1);
    expect(divergences[0]).toMatchObject({ at: [1, 1], events: [[list[1]], []] });
  });
});

describe('traces of two interfaces', () => {
  it('are compared by what was asked, not by when and how', () => {
    const a = trace([event('mmu.write_cr3', 1), event('cpu.cpuid', 2)]);
    const b = trace(
      [
        event('mmu.write_cr3', 7, {
          entryPoint: 'mmuext_op.MMUEXT_NEW_BASEPTR',
          caller: 'flush+0x9',
        }),
        event('cpu.cpuid', 9),
      ],
      'xen-pv@4.17',
    );
    expect(compareTraces(a, b)).toMatchObject({ compared: 'operations', divergenceCount: 0 });
  });

  it('go by the functions beyond those of each interface, where these ask about as often', () => {
    const cpuid = (n: number, caller: string, callers: string) =>
      event('cpu.cpuid', n, { caller: `${caller}+0x9`, callers });
    const beyond = ['early_cpu_init setup_arch', 'get_cpu_cap', 'init_amd identify_cpu'];
    const side = (caller: string, on: string, names: readonly string[]) =>
      trace(
        names.map((name, n) => cpuid(n, caller, name)),
        on,
      );
    const a = side('xen_cpuid', 'xen-pv@4.17', beyond);
    const found = compareTraces(a, side('native_cpuid', 'native', beyond.toSpliced(1, 1)));
    expect(found.divergenceCount).toBe(1);
    expect(found.divergences[0]?.events[0]).toEqual([a.events[1]]);
    expect(found.unequal).toMatchObject([{ caller: 'get_cpu_cap', counts: [1, 0] }]);
    // Hundreds of calls through a function are not the few that the other side makes through it.
    const many = Array.from({ length: 20 }, () => 'detect');
    const mixed = trace(
      [...many.map((name, n) => cpuid(n, 'native_cpuid', name)), cpuid(20, 'xen_cpuid', 'late')],
      'xen-pv@4.17',
    );
    const plain = trace([
      ...many.map((name, n) => cpuid(n, 'cpuid', name)),
      cpuid(20, 'native_cpuid', 'late'),
    ]);
    expect(compareTraces(mixed, plain).divergenceCount).toBe(0);
  });

  it('are refused if no operation shows in both', () => {
    const only = (operations: readonly string[]) => {
      const whole = trace(operations.map((name, n) => event(name, n)));
      return { ...whole, head: { ...whole.head, operations } };
    };
    const compare = () => compareTraces(only(['cpu.cpuid']), only(['mmu.write_cr3']));
    expect(compare).toThrow('cannot be compared: no operation shows in both');
  });

  it('of one interface, asked for other operations, are compared by those of both', () => {
    const all = trace(NAMES.map((name, n) => event(name, n)));
    const some = { ...all, events: all.events.slice(1, 2) };
    const found = compareTraces(all, { ...some, head: { ...all.head, operations: ['cpu.cpuid'] } });
    expect(found).toMatchObject({ compared: 'operations', divergenceCount: 0, unequal: [] });
  });

  it('leave out what may have been mostly what the other cannot show', () => {
    const operations = ['mmu.set_pmd', 'mmu.set_pte', 'cpu.load_gdt'] as const;
    const a = trace([event('cpu.load_gdt', 1)]);
    const b = trace([event('cpu.load_gdt', 1), event('', 2, { operations })], 'xen-pv@4.17');
    const found = compareTraces(a, b);
    expect(found.divergenceCount).toBe(0);
    expect(found.notCompared).toMatchObject([{ operation: operations.join(' '), counts: [0, 1] }]);
  });

  it('leave out what one of them has no way to show, and list it', () => {
    const a = trace([event('cpu.io_delay', 1), event('cpu.cpuid', 2)]);
    const b = trace(
      [event('mmu.set_pmd', 1), event('cpu.cpuid', 2), event('cpu.cpuid', 3)],
      'xen-pv@4.17',
    );
    const found = compareTraces(a, b);
    expect(found.notCompared.map(({ operation, counts }) => [operation, counts])).toEqual([
      ['cpu.io_delay', [1, 0]],
      ['mmu.set_pmd', [0, 1]],
    ]);
    expect(found.unequal).toMatchObject([
      { operation: 'cpu.cpuid', caller: 'start_kernel', counts: [1, 2] },
    ]);
    expect(asked(found.divergences[0]!)).toEqual([[], ['cpu.cpuid']]);
  });

  it('count what both could have shown and only one asked for', () => {
    const a = trace([event('mmu.set_pmd', 1)], 'native', true);
    const b = trace([event('mmu.set_pmd', 1), event('cpu.write_cr0', 2)], 'xen-pv@4.17');
    const found = compareTraces(a, b);
    expect(found.unequal).toMatchObject([{ operation: 'cpu.write_cr0', counts: [0, 1] }]);
  });

  it('take an entry point for any of the operations that it may serve', () => {
    const operations = ['cpu.load_idt', 'cpu.write_idt_entry'] as const;
    const a = trace([event('cpu.load_idt', 1), event('cpu.write_idt_entry', 2)]);
    const b = trace([event('', 1, { operations }), event('cpu.load_idt', 2)], 'x');
    expect(compareTraces(a, b).divergenceCount).toBe(0);
  });
});

describe('a trace read back', () => {
  const head = {
    ...{ format: 'pvops-trace-3', interface: 'native', kernel: 'k', sha256: 's' },
    operations: null,
    watched: false,
  };

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
