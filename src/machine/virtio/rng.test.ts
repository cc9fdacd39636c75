// Tests of the entropy device: answered at guest times, the same for the same seed.

import { expect, test } from 'vitest';
import { VirtioBench } from '../testing/virtio-bench.ts';
import { virtioRng } from './rng.ts';

function bytes(seed: number, requests: readonly number[]): number[] {
  const dut = new VirtioBench(virtioRng, { seed });
  dut.start([]);
  const out: number[] = [];
  for (const length of requests) {
    dut.rings[0]!.submit([{ gpa: 0x100, bytes: length, write: true }]);
    dut.notify(0);
    dut.top.pass(1e5);
    const [used] = dut.rings[0]!.used();
    out.push(...dut.ram.read(0x100, used!.written)!);
  }
  return out;
}

test('the same seed gives the same bytes, however they are asked for', () => {
  const whole = bytes(7, [64]);
  expect(bytes(7, [16, 48])).toEqual(whole);
  expect(bytes(8, [64])).not.toEqual(whole);
});

test('every seed gives bytes of which about half the bits are set', () => {
  for (const seed of [0, 1, 0xffffffff, 0x9e3779b9]) {
    const bits = bytes(seed, [4096]).reduce(
      (n, b) => n + b.toString(2).replaceAll('0', '').length,
      0,
    );
    expect(Math.abs(bits - 16384)).toBeLessThan(600);
  }
});

test('a request is answered with 4096 bytes at most', () => {
  expect(bytes(1, [100_000])).toHaveLength(4096);
});
