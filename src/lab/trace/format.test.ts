// Traces as text.

import { buildModel } from '@tracerbench/trace-model';
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
  callers: 'switch_mm __schedule',
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
      ...{ name: 'mmu.write_cr3', cat: 'mmu', ph: 'i', ts: 1.5, tid: 1 },
      args: expect.objectContaining({
        ...{ value: '0x1000', entryPoint: 'MOV to CR3', effect: null, retired: 1234 },
        caller: 'switch_mm_irqs_off+0x10',
        callers: 'switch_mm __schedule',
      }),
    }),
  ]);
});

it('JSON lines are whole each, whatever comes after', () => {
  const writer = traceWriter('jsonl', HEAD);
  const lines = `${writer.head()}${writer.event(EVENT)}`.split('\n');
  expect(JSON.parse(lines[0]!)).toEqual({ format: 'pvops-trace-3', ...HEAD });
  expect(JSON.parse(lines[1]!)).toEqual(EVENT);
});

it('a Chrome trace is read by trace-model: one process by its name, a thread for each vCPU, every event', () => {
  const writer = traceWriter('chrome', HEAD);
  const events = [EVENT, { ...EVENT, nanos: 2500, vcpu: 1 }].map((one) => writer.event(one));
  const text = `${writer.head()}${events.join('')}${writer.tail()}`;
  const model = buildModel(JSON.parse(text) as Parameters<typeof buildModel>[0]);
  expect(model.processes.map(({ name }) => name)).toEqual(['debian:12 on native']);
  const threads = model.processes[0]!.threads.filter(({ events }) => events.length > 0);
  const instants = threads
    .flatMap(({ events }) => events)
    .filter(({ ph }) => (ph as string) === 'i');
  expect(instants.map(({ name, start, tid }) => [name, start, tid])).toEqual([
    ['mmu.write_cr3', 1.5, 1],
    ['mmu.write_cr3', 2.5, 2],
  ]);
});
