// Traces as text.

import { expect, it } from 'vitest';
import { traceWriter } from './format.ts';
import type { TraceEvent } from './tracer.ts';

const EVENT: TraceEvent = {
  operations: ['mmu.write_cr3'],
  entryPoint: 'MOV to CR3',
  args: { value: '0x1000' },
  effect: null,
  vcpu: 0,
  retired: 1234,
  nanos: 1500,
  caller: 'switch_mm_irqs_off+0x10',
  instructions: 1,
  within: null,
};
const HEAD = {
  ...{ interface: 'native', kernel: 'debian:12', sha256: '0' },
  operations: null,
  watched: false,
};

it('a Chrome trace is JSON with the event at its time in microseconds, in the group of its operation', () => {
  const writer = traceWriter('chrome', HEAD);
  const parsed = JSON.parse(`${writer.head()}${writer.event(EVENT)}${writer.tail()}`) as unknown[];
  expect(parsed).toEqual([
    expect.objectContaining({ ph: 'M', args: { name: 'debian:12 on native' } }),
    expect.objectContaining({
      ...{ name: 'mmu.write_cr3', cat: 'mmu', ph: 'i', ts: 1.5, tid: 0 },
      args: expect.objectContaining({
        ...{ value: '0x1000', entryPoint: 'MOV to CR3', effect: null, retired: 1234 },
        caller: 'switch_mm_irqs_off+0x10',
      }),
    }),
  ]);
});

it('JSON lines are whole each, whatever comes after', () => {
  const writer = traceWriter('jsonl', HEAD);
  const lines = `${writer.head()}${writer.event(EVENT)}`.split('\n');
  expect(JSON.parse(lines[0]!)).toEqual({ format: 'pvops-trace-2', ...HEAD });
  expect(JSON.parse(lines[1]!)).toEqual(EVENT);
});
