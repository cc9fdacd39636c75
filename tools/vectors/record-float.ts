// Records what this host's CPU does with the cases of src/cpu/testing/float-cases.ts, or compares it with the reference.
// npx tsx tools/vectors/record-float.ts [name]     compares; prints the differences
// npx tsx tools/vectors/record-float.ts --write    writes the recordings that float-vectors.test.ts checks
// npx tsx tools/vectors/record-float.ts --write-approximate    those of the reciprocals only

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type FloatCase,
  type FloatGroup,
  type FloatResult,
  floatCase,
  floatGroups,
  WINDOW,
} from '../../src/cpu/testing/float-cases.ts';
import {
  comparable,
  condense,
  createFloatRunner,
  destinationOf,
  sourceOf,
} from '../../src/cpu/testing/float-run.ts';

const root = new URL('../..', import.meta.url).pathname;
const RECORDING = join(root, 'src/cpu/testing/fixtures/float-vectors.txt');
const CASES = 24;
const IN_BYTES = 16 + 5 * 8 + WINDOW + 512;
const OUT_BYTES = 8 + 5 * 8 + WINDOW + 512;
const RET = 0xc3;

function encode(c: FloatCase): Buffer {
  const out = Buffer.alloc(IN_BYTES);
  out.set([...c.code, RET], 0);
  c.regs.forEach((value, n) => {
    out.writeBigUInt64LE(value, 16 + n * 8);
  });
  out.set(c.data, 56);
  out.set(c.fx, 56 + WINDOW);
  return out;
}

function decodeResult(b: Buffer): FloatResult {
  return {
    trap: Number(b.readBigUInt64LE(0)) - 1,
    regs: Array.from({ length: 5 }, (_, n) => b.readBigUInt64LE(8 + n * 8)),
    data: b.subarray(48, 48 + WINDOW),
    fx: b.subarray(48 + WINDOW, OUT_BYTES),
  };
}

function runOnCpu(cases: readonly FloatCase[]): FloatResult[] {
  const dir = mkdtempSync(join(tmpdir(), 'float-vectors-'));
  const exe = join(dir, 'run-float');
  execFileSync('gcc', ['-O1', '-o', exe, join(root, 'tools/vectors/run-float.c')]);
  const input = Buffer.concat(cases.map(encode));
  const { stdout, status, signal } = spawnSync(exe, { input, maxBuffer: 1 << 30 });
  rmSync(dir, { recursive: true });
  if (status !== 0 || stdout.length !== cases.length * OUT_BYTES)
    throw new Error(
      `run-float stopped after ${stdout.length / OUT_BYTES} cases: ${status} ${signal}`,
    );
  return cases.map((_, n) => decodeResult(stdout.subarray(n * OUT_BYTES, (n + 1) * OUT_BYTES)));
}

const hex = (bytes: ArrayLike<number>) => Buffer.from(bytes as number[]).toString('hex');
const reversedHex = (bytes: Uint8Array) => Buffer.from(bytes).reverse().toString('hex');

/** A readable account of where two results differ. */
function differences(
  group: FloatGroup,
  c: FloatCase,
  cpu: FloatResult,
  ours: FloatResult,
): string[] {
  const [a, b] = [comparable(group, cpu), comparable(group, ours)];
  const parts: [string, number, number][] = [['trap', 0, 1]];
  for (const [n, name] of ['rax', 'rcx', 'rdx', 'rbx'].entries()) parts.push([name, 1 + n * 8, 8]);
  parts.push(['flags', 33, 2]);
  for (let n = 0; n < WINDOW / 16; n++) parts.push([`data+${n * 16}`, 35 + n * 16, 16]);
  const fx = 35 + WINDOW;
  parts.push(['fcw', fx, 2], ['fsw', fx + 2, 2], ['ftw', fx + 4, 1], ['mxcsr', fx + 24, 4]);
  for (let n = 0; n < 8; n++) parts.push([`st${n}`, fx + 32 + n * 16, 10]);
  for (let n = 0; n < 16; n++) parts.push([`xmm${n}`, fx + 160 + n * 16, 16]);
  const show = (list: number[], at: number, n: number) =>
    reversedHex(Uint8Array.from(list.slice(at, at + n)));
  const lines = parts
    .filter(([, at, n]) => show(a, at, n) !== show(b, at, n))
    .map(([name, at, n]) => `    ${name}: cpu ${show(a, at, n)}, ours ${show(b, at, n)}`);
  if (lines.length === 0) return [];
  const view = new DataView(c.fx.slice().buffer);
  const st = (n: number) => reversedHex(c.fx.subarray(32 + n * 16, 42 + n * 16));
  const xmm = (n: number) => reversedHex(c.fx.subarray(160 + n * 16, 176 + n * 16));
  const word = (at: number) => view.getUint16(at, true).toString(16);
  return [
    `${group.name}: ${hex(c.code)} fcw ${word(0)} fsw ${word(2)} ftw ${word(4)} mxcsr ${word(24)}`,
    group.form.needs === 'fpu' || group.form.needs === 'cmov'
      ? `    st0 ${st(0)} st1 ${st(1)} st2 ${st(2)} st3 ${st(3)}`
      : `    xmm ${[0, 1, 2, 3].map(xmm).join(' ')}`,
    ...(group.kind === 'mem'
      ? [
          `    data ${[0, 1, 2, 3].map((n) => reversedHex(c.data.subarray(n * 16, n * 16 + 16))).join(' ')}`,
        ]
      : []),
    ...lines,
  ];
}

/** Results of the transcendental instructions, whole: they need only be within one unit in the last place. */
function writeTranscendental(): void {
  const all = floatGroups('transcendental');
  const inputs = all.map((g) => Array.from({ length: 60 }, (_, n) => floatCase(g, n)));
  const outputs = runOnCpu(inputs.flat());
  const lines = all.map((g, i) => {
    const of = (n: number) => (outputs[i * 60 + n] as FloatResult).fx;
    const values = inputs[i]?.map(
      (_, n) => `${hex(of(n).subarray(32, 42))}${hex(of(n).subarray(48, 58))}`,
    );
    return `${g.insn.name}: ${values?.join(' ')}\n`;
  });
  writeFileSync(RECORDING.replace('float-', 'transcendental-'), lines.join(''));
}

/** Source and destination of the reciprocals, whole: they need only be within a stated error. */
function writeApproximate(): void {
  const all = floatGroups('approximate');
  const inputs = all.map((g) => Array.from({ length: CASES }, (_, n) => floatCase(g, n)));
  const outputs = runOnCpu(inputs.flat());
  const lines = all.map((g, i) => {
    const values = (inputs[i] ?? []).map((c, n) => {
      const result = outputs[i * CASES + n] as FloatResult;
      const written = result.trap < 0 ? destinationOf(g, c, result) : [];
      return `${hex(sourceOf(g, c))}>${hex(written)}`;
    });
    return `${g.name}: ${values.join(' ')}\n`;
  });
  writeFileSync(RECORDING.replace('float-', 'approximate-'), lines.join(''));
}

const filter = process.argv[2] ?? '';
const transcendental = process.argv.includes('--transcendental');
const writing = filter === '--write';
const groups = floatGroups(transcendental ? 'transcendental' : 'exact').filter(
  (g) => writing || transcendental || g.name.startsWith(filter),
);
const count = writing ? CASES : Number(process.argv[3] ?? CASES);
const cases = groups.map((g) => Array.from({ length: count }, (_, n) => floatCase(g, n)));
const results = runOnCpu(cases.flat());
if (writing) {
  const lines = groups.map((g, i) => {
    const codes = results.slice(i * count, (i + 1) * count).map((r) => condense(comparable(g, r)));
    return `${g.name}: ${codes.map((n) => n.toString(16).padStart(4, '0')).join('')}\n`;
  });
  writeFileSync(RECORDING, lines.join(''));
  writeTranscendental();
  writeApproximate();
} else if (filter === '--write-approximate') {
  writeApproximate();
} else {
  const run = createFloatRunner();
  const wrong = new Map<string, number>();
  for (const [i, g] of groups.entries()) {
    for (const [n, c] of (cases[i] ?? []).entries()) {
      const cpu = results[i * count + n] as FloatResult;
      const lines = differences(g, c, cpu, run(c));
      if (lines.length === 0) continue;
      wrong.set(g.name, (wrong.get(g.name) ?? 0) + 1);
      if ((wrong.get(g.name) ?? 0) <= 2) process.stdout.write(`${lines.join('\n')}\n`);
    }
  }
  process.stdout.write(`${groups.length} groups, ${wrong.size} differ\n`);
  for (const [name, n] of wrong) process.stdout.write(`${n}/${count} ${name}\n`);
}
