// The reference against results recorded on a real CPU, for every floating-point and vector form.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { floatCase, floatGroups } from './float-cases.ts';
import { comparable, condense, createFloatRunner } from './float-run.ts';

/** `npx tsx tools/vectors/record-float.ts --write` makes it; recorded on an AMD EPYC (Zen 4). */
const recording = readFileSync(new URL('fixtures/float-vectors.txt', import.meta.url), 'utf8');
const lines = new Map(
  recording
    .trimEnd()
    .split('\n')
    .map((line) => line.split(': ') as [string, string]),
);
const groups = floatGroups();
const run = createFloatRunner();

describe('x87, MMX and SSE instructions on a real CPU', () => {
  test('the recording has every form of the table', () => {
    expect(groups.map((g) => g.name).filter((name) => !lines.has(name))).toEqual([]);
    expect(groups.length).toBeGreaterThan(700);
  });
  test('the reference leaves the same registers, memory, flags and exceptions behind', () => {
    const wrong: string[] = [];
    for (const group of groups) {
      const recorded = lines.get(group.name) ?? '';
      for (let n = 0; n * 4 < recorded.length; n++) {
        const ours = condense(comparable(group, run(floatCase(group, n))));
        if (Number.parseInt(recorded.slice(n * 4, n * 4 + 4), 16) !== ours)
          wrong.push(`${group.name} #${n}`);
      }
    }
    expect(wrong).toEqual([]);
  }, 60_000);
});

const transcendental = new Map(
  readFileSync(new URL('fixtures/transcendental-vectors.txt', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => line.split(': ') as [string, string]),
);

/** An 80-bit value (20 hex digits, lowest byte first) as a number that counts units in the last place. */
function ordinal(text: string): bigint {
  const bytes = text.match(/../g)?.reverse().join('') ?? '0';
  const all = BigInt(`0x${bytes}`);
  const exponent = (all >> 64n) & 0x7fffn;
  const size = (exponent << 63n) | (all & 0x7fffffffffffffffn);
  return all >> 79n === 0n ? size : -size;
}
const exponentOf = (text: string): number =>
  Number.parseInt(`${text.slice(18, 20)}${text.slice(16, 18)}`, 16) & 0x7fff;
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('x87 transcendental instructions', () => {
  test.each(floatGroups(true))(
    '$insn.name is within one unit in the last place of the CPU',
    (g) => {
      const recorded = transcendental.get(g.insn.name)?.split(' ') ?? [];
      let compared = 0;
      const wrong: string[] = [];
      recorded.forEach((cpu, n) => {
        const c = floatCase(g, n);
        // Outside these ranges the results are undefined. SDM 2A F2XM1, FYL2XP1.
        const exponent = exponentOf(hexOf(c.fx.subarray(32, 42)));
        if (g.insn.name === 'f2xm1' && exponent >= 0x3fff) return;
        if (g.insn.name === 'fyl2xp1' && exponent >= 0x3ffd) return;
        const { fx } = run(c);
        const ours = hexOf(fx.subarray(32, 42)) + hexOf(fx.subarray(48, 58));
        for (const at of [0, 20]) {
          const apart = ordinal(ours.slice(at, at + 20)) - ordinal(cpu.slice(at, at + 20));
          if (apart < -1n || apart > 1n) wrong.push(`#${n}: ${ours}, cpu ${cpu}`);
        }
        compared++;
      });
      expect(wrong).toEqual([]);
      expect(compared).toBeGreaterThan(10);
    },
  );
});
