// The reference against results recorded on a real CPU, for every floating-point and vector form.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { floatCase, floatGroups } from './float-cases.ts';
import { comparable, condense, createFloatRunner, destinationOf } from './float-run.ts';

/** `npx tsx tools/vectors/record-float.ts --write` makes it; recorded on an AMD EPYC (Zen 4). */
const recording = readFileSync(new URL('fixtures/float-vectors.txt', import.meta.url), 'utf8');
const lines = new Map(
  recording
    .trimEnd()
    .split('\n')
    .map((line) => line.split(': ') as [string, string]),
);
const groups = floatGroups();
const BATCH = 80;
const batches = Array.from({ length: Math.ceil(groups.length / BATCH) }, (_, n) => ({
  batch: n,
  members: groups.slice(n * BATCH, (n + 1) * BATCH),
}));
const run = createFloatRunner();

describe('x87, MMX and SSE instructions on a real CPU', () => {
  test('the recording has every form of the table', () => {
    expect(groups.map((g) => g.name).filter((name) => !lines.has(name))).toEqual([]);
    expect(groups.length).toBeGreaterThan(700);
  });
  test.each(batches)(
    'batch $batch: the reference leaves the same registers, memory, flags and exceptions behind',
    ({ members }) => {
      const wrong: string[] = [];
      for (const group of members) {
        const recorded = lines.get(group.name) ?? '';
        for (let n = 0; n * 4 < recorded.length; n++) {
          const ours = condense(comparable(group, run(floatCase(group, n))));
          if (Number.parseInt(recorded.slice(n * 4, n * 4 + 4), 16) !== ours)
            wrong.push(`${group.name} #${n}`);
        }
      }
      expect(wrong).toEqual([]);
    },
  );
});

const transcendental = new Map(
  readFileSync(new URL('fixtures/transcendental-vectors.txt', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => line.split(': ') as [string, string]),
);

const approximate = new Map(
  readFileSync(new URL('fixtures/approximate-vectors.txt', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => line.split(': ') as [string, string]),
);
const GP = 13;
/** SDM 2B RCPPS, RSQRTPS: the relative error is at most 1.5 * 2^-12. */
const MOST = 1.5 * 2 ** -12;

/** Elements of a vector of floats in hex, lowest byte first. */
function floatsOf(hex: string): number[] {
  const view = new DataView(Uint8Array.from(Buffer.from(hex, 'hex')).buffer);
  return [0, 4, 8, 12].map((at) => view.getFloat32(at, true));
}

describe('reciprocals', () => {
  test.each(floatGroups('approximate'))(
    '$name: infinities, zeros and NaNs as on the CPU, all else within the stated error of the exact result',
    (g) => {
      const recorded = approximate.get(g.name)?.split(' ') ?? [];
      const wrong: string[] = [];
      let finite = 0;
      recorded.forEach((text, n) => {
        const [source = '', cpu = ''] = text.split('>');
        const result = run(floatCase(g, n));
        if (cpu === '' || result.trap >= 0) {
          if (cpu !== '' || result.trap !== GP) wrong.push(`#${n}: trap ${result.trap}`);
          return; // Not aligned.
        }
        const ours = hexOf(destinationOf(g, floatCase(g, n), result));
        const inputs = floatsOf(source);
        const [a, b] = [floatsOf(cpu), floatsOf(ours)];
        for (let k = 0; k < (g.insn.name.endsWith('ss') ? 1 : 4); k++) {
          const x = inputs[k] as number;
          const exact = g.insn.name.startsWith('rcp') ? 1 / x : 1 / Math.sqrt(x);
          const near = (y: number) => Math.abs(y - exact) <= MOST * Math.abs(exact);
          const plain = Number.isFinite(a[k]) && a[k] !== 0;
          if (plain) finite++;
          if (plain ? !near(a[k] as number) || !near(b[k] as number) : !Object.is(a[k], b[k]))
            wrong.push(`#${n}.${k}: ${x} gives ${b[k]}, cpu ${a[k]}`);
        }
        if (g.insn.name.endsWith('ss') && cpu.slice(8) !== ours.slice(8))
          wrong.push(`#${n}: ${ours}`);
      });
      expect(wrong).toEqual([]);
      expect(finite).toBeGreaterThan(5);
    },
  );
});

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
  test.each(floatGroups('transcendental'))(
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
