// Traces in their binary form: what was written comes back, and of a damaged file what lies before the damage.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readBinaryTrace } from './binary-read.ts';
import { traceWriter } from './format.ts';
import type { TraceEvent } from './tracer.ts';

const HEAD = {
  ...{ interface: 'xen-pv@4.17', kernel: 'debian:12 é', sha256: 'a' },
  operations: null,
  watched: false,
};

const value = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true }),
  fc.string(),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((n) => `0x${n.toString(16)}`),
  fc.constantFrom('0x', '0x00', '0x0', '0xABC', '#GP', ''),
);
const event: fc.Arbitrary<TraceEvent> = fc.record({
  operations: fc.constantFrom<TraceEvent['operations'][]>(
    [],
    ['mmu.set_pte', 'mmu.set_pte_at'],
    ['cpu.cpuid'],
  ),
  entryPoint: fc.constantFrom('CPUID', 'mmu_update', 'x'),
  args: fc.dictionary(fc.constantFrom('a', 'b', 'value', 'leaf'), value),
  effect: fc.option(value),
  vcpu: fc.nat(300),
  retired: fc.nat(2 ** 31),
  nanos: fc.maxSafeNat().map((n) => Math.floor(n / 8)),
  caller: fc.constantFrom('start_kernel+0x1', '0xffffffff81000000'),
  callers: fc.constantFrom('', 'f g'),
  instructions: fc.nat(100),
  within: fc.constantFrom(null, 'multicall'),
});

function written(events: readonly TraceEvent[], blockEvents = 1e9): Uint8Array {
  const writer = traceWriter('binary', HEAD);
  const chunks = [writer.head()];
  for (const [n, one] of events.entries()) {
    chunks.push(writer.event(one));
    if (n % blockEvents === blockEvents - 1) chunks.push(writer.tail());
  }
  chunks.push(writer.tail());
  return Uint8Array.from(chunks.flatMap((chunk) => [...(chunk as Uint8Array)]));
}

const plain = (n: number): TraceEvent => ({
  operations: ['cpu.cpuid'],
  entryPoint: 'CPUID',
  args: { leaf: n, value: `0x${(n * 77).toString(16)}` },
  effect: null,
  vcpu: 0,
  retired: n * 1000,
  nanos: n * 1000,
  caller: `f${n % 5}+0x10`,
  callers: `g${n % 3} h`,
  instructions: 1,
  within: null,
});

describe('a binary trace', () => {
  it('comes back as it was written', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), (events) => {
        expect(readBinaryTrace(written(events), 't')).toEqual({ head: HEAD, events, cut: false });
      }),
      { numRuns: 60 },
    );
  });

  it('takes a tenth of the bytes of JSON lines', () => {
    const events = Array.from({ length: 5000 }, (_, n) => plain(n));
    const lines = traceWriter('jsonl', HEAD);
    const text = events.map((one) => lines.event(one)).join('');
    expect(written(events).length).toBeLessThan(text.length / 10);
  });

  it('gives what lies before the damage, wherever it is cut off or spoilt', () => {
    const events = Array.from({ length: 40 }, (_, n) => plain(n));
    const whole = written(events, 10);
    const first = written([], 10).length;
    for (let at = first; at < whole.length; at += 7) {
      const cut = readBinaryTrace(whole.subarray(0, at), 't');
      expect(cut.events).toEqual(events.slice(0, cut.events.length));
      expect(cut.cut || at === first || cut.events.length % 10 === 0).toBe(true);
      const spoilt = whole.slice();
      spoilt[at]! ^= 0x10;
      const read = readBinaryTrace(spoilt, 't');
      expect(read.cut).toBe(true);
      expect(read.events).toEqual(events.slice(0, read.events.length));
      expect(read.events.length % 10).toBe(0);
    }
  });

  it.each([
    ['cut off in its head', (bytes: Uint8Array) => bytes.subarray(0, 20)],
    ['without a head', (bytes: Uint8Array) => bytes.slice().fill(0x20, 12, 40)],
  ])('is refused when it is %s', (_, damage) => {
    const bytes = damage(written([plain(1)]));
    expect(() => readBinaryTrace(bytes, 'a.trace')).toThrow('a.trace is not a trace of pvops');
  });
});
