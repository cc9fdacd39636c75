// Records what this host's CPU does with the cases of src/cpu/testing/hardware-cases.ts, or compares it with the reference.
// npx tsx tools/vectors/record.ts            compares, in full, undefined flags included; prints the differences
// npx tsx tools/vectors/record.ts --write    writes the recording that hardware-vectors.test.ts checks

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CASES_PER_GROUP,
  type Group,
  type HardwareCase,
  type HardwareResult,
  hardwareCase,
  WINDOW,
} from '../../src/cpu/testing/hardware-cases.ts';
import { hardwareGroups } from '../../src/cpu/testing/hardware-groups.ts';
import {
  condense,
  createHardwareRunner,
  undefinedFlags,
} from '../../src/cpu/testing/hardware-run.ts';

const root = new URL('../..', import.meta.url).pathname;
const RECORDING = join(root, 'src/cpu/testing/fixtures/integer-vectors.txt');
const IN_BYTES = 8 + 16 + 17 * 8 + 2 * WINDOW;
const OUT_BYTES = 19 * 8 + 2 * WINDOW;
const STATUS = 0x8d5;
const DF = 0x400;

interface Recorded {
  readonly group: Group;
  readonly cases: readonly HardwareCase[];
  readonly results: readonly HardwareResult[];
}

function encode(c: HardwareCase): Buffer {
  const out = Buffer.alloc(IN_BYTES);
  out[0] = c.mode;
  out[1] = c.code.length;
  out.set(c.code, 8);
  c.regs.forEach((value, n) => {
    out.writeBigUInt64LE(value, 24 + n * 8);
  });
  out.writeBigUInt64LE(BigInt(c.flags), 24 + 16 * 8);
  out.set(c.data, 24 + 17 * 8);
  out.set(c.stack, 24 + 17 * 8 + WINDOW);
  return out;
}

function decodeResult(b: Buffer): HardwareResult {
  const flags = Number(b.readBigUInt64LE(18 * 8)) & (STATUS | DF);
  return {
    trap: Number(b.readBigUInt64LE(0)) - 1,
    taken: b.readBigUInt64LE(8) !== 0n,
    regs: Array.from({ length: 16 }, (_, n) => b.readBigUInt64LE(16 + n * 8)),
    flags,
    data: b.subarray(19 * 8, 19 * 8 + WINDOW),
    stack: b.subarray(19 * 8 + WINDOW, OUT_BYTES),
  };
}

function runOnHost(groups: readonly Group[]): Recorded[] {
  const folder = mkdtempSync(join(tmpdir(), 'vectors-'));
  const program = join(folder, 'run-cases');
  const source = join(root, 'tools/vectors/run-cases.c');
  execFileSync('gcc', ['-O1', '-static', '-no-pie', '-o', program, source]);
  const cases = groups.map((group) =>
    Array.from({ length: CASES_PER_GROUP }, (_, n) => hardwareCase(group, n)),
  );
  const input = Buffer.concat(cases.flat().map(encode));
  const ran = spawnSync(program, { input, maxBuffer: 1 << 30 });
  rmSync(folder, { recursive: true });
  if (ran.status !== 0 || ran.stdout.length !== cases.flat().length * OUT_BYTES) {
    const done = Math.floor(ran.stdout.length / OUT_BYTES);
    const at = groups[Math.floor(done / CASES_PER_GROUP)];
    throw new Error(`the runner stopped (${ran.status} ${ran.signal}) at or after ${at?.name}`);
  }
  return groups.map((group, g) => ({
    group,
    cases: cases[g] as HardwareCase[],
    results: (cases[g] as HardwareCase[]).map((_, n) => {
      const at = (g * CASES_PER_GROUP + n) * OUT_BYTES;
      return decodeResult(ran.stdout.subarray(at, at + OUT_BYTES));
    }),
  }));
}

function write(recorded: readonly Recorded[]): void {
  const lines = recorded.map(({ group, cases, results }) => {
    const checks = Buffer.alloc(results.length * 2);
    results.forEach((r, n) => {
      checks.writeUInt16LE(condense(group, cases[n] as HardwareCase, r), n * 2);
    });
    return `${checks.toString('base64')} ${group.name}\n`;
  });
  writeFileSync(RECORDING, lines.join(''));
  process.stdout.write(`${lines.length} groups of ${CASES_PER_GROUP} cases\n`);
}

function differences(c: HardwareCase, host: HardwareResult, ours: HardwareResult): string[] {
  const out: string[] = [];
  const hex = (n: bigint | number) => n.toString(16);
  if (host.trap !== ours.trap) out.push(`trap ${host.trap}, ours ${ours.trap}`);
  if (host.taken !== ours.taken) out.push(`taken ${host.taken}`);
  host.regs.forEach((value, n) => {
    const mine = ours.regs[n] as bigint;
    if (value !== mine)
      out.push(`r${n} ${hex(c.regs[n] as bigint)} -> ${hex(value)}, ours ${hex(mine)}`);
  });
  if (host.flags !== ours.flags)
    out.push(`flags ${hex(c.flags & 0xcd5)} -> ${hex(host.flags)}, ours ${hex(ours.flags)}`);
  for (const window of ['data', 'stack'] as const) {
    const at = host[window].findIndex((byte, n) => byte !== ours[window][n]);
    if (at >= 0)
      out.push(
        `${window}+${hex(at)} ${hex(host[window][at] ?? 0)}, ours ${hex(ours[window][at] ?? 0)}`,
      );
  }
  return out;
}

function compare(recorded: readonly Recorded[]): void {
  const runner = createHardwareRunner();
  let wrong = 0;
  const undefinedOnly = new Map<string, number>();
  for (const { group, cases, results } of recorded) {
    let shown = 0;
    cases.forEach((c, n) => {
      const host = results[n] as HardwareResult;
      const ours = runner.run(c);
      const what = differences(c, host, ours);
      if (what.length === 0) return;
      const ignored = undefinedFlags(group, c);
      if (condense(group, c, host) === condense(group, c, ours)) {
        const bits = ((host.flags ^ ours.flags) & ignored).toString(16);
        const key = `${group.insn.name}: flags ${host.trap >= 0 ? '(fault) ' : ''}${bits}`;
        undefinedOnly.set(key, (undefinedOnly.get(key) ?? 0) + 1);
        return;
      }
      wrong++;
      if (shown++ < 2) {
        const code = c.code.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
        process.stdout.write(`${group.name} #${n} [${code}]: ${what.join('; ')}\n`);
      }
    });
  }
  for (const [key, count] of undefinedOnly) process.stdout.write(`undefined: ${key} (${count})\n`);
  process.stdout.write(`${wrong} cases differ in what the SDM defines\n`);
}

const recorded = runOnHost(hardwareGroups());
if (process.argv.includes('--write')) write(recorded);
else compare(recorded);
