// `npm run bench:boot [-- --rounds N] [--json FILE]`: a Debian boot to INIT-UP on pvops and on QEMU's TCG, in CPU seconds.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findKernel } from '../src/host/node/index.ts';
import { buildInitramfs, INIT_UP } from '../src/lab/index.ts';
import { type Cost, costUntil, median } from './measure.ts';

const KERNEL = 'debian:12/cloud-amd64';
const MEGABYTES = 512;
const PVOPS = 'dist/pvops.mjs';
const QEMU = 'qemu-system-x86_64';
/** The limits for first light; the JIT's are in docs when there is one. */
const REQUIRED_RATIO = 15;
const REQUIRED_MEGABYTES = 450;
const REQUIRED_START_SECONDS = 0.4;

interface Row {
  readonly name: string;
  readonly how: string;
  readonly costs: Cost[];
}

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, json: { type: 'string' } },
});
const rounds = Math.max(1, Number(values.rounds) || 3);
if (!existsSync(PVOPS)) fail(`${PVOPS} is missing`, 'say: npm run build');

const folder = mkdtempSync(join(tmpdir(), 'pvops-bench-'));
try {
  await main();
} finally {
  rmSync(folder, { recursive: true });
}

async function main(): Promise<void> {
  const found = await findKernel(KERNEL).catch(() =>
    fail(`${KERNEL} has not been pulled`, `say: node ${PVOPS} pull ${KERNEL}`),
  );
  const busybox =
    (await found.busybox()) ?? fail('there is no busybox', `say: node ${PVOPS} pull ${KERNEL}`);
  const vmlinux = join(folder, 'vmlinux');
  const initrd = join(folder, 'initrd');
  writeFileSync(vmlinux, found.kernel.elf().bytes);
  writeFileSync(initrd, buildInitramfs({ busybox }));
  const rows: Row[] = [
    ours('pvops kvm', 'kvm', INIT_UP),
    ours('pvops native', 'native', INIT_UP),
    { name: 'QEMU TCG', how: `${QEMU} -M microvm, PVH vmlinux`, costs: [] },
  ];
  const commands: [string, readonly string[], string][] = [
    [process.execPath, pvopsArguments('kvm'), INIT_UP],
    [process.execPath, pvopsArguments('native'), INIT_UP],
    [QEMU, qemuArguments(vmlinux, initrd), INIT_UP],
  ];
  for (let round = 0; round < rounds; round++) {
    for (const [i, [command, args, marker]] of commands.entries()) {
      const cost = await costUntil(marker, command, args);
      if (cost) rows[i]?.costs.push(cost);
    }
  }
  report(rows, startSeconds());
}

/** CPU seconds from the start of the process to the first guest instruction, as the run itself reports them. */
function startSeconds(): number {
  const args = [PVOPS, 'run', KERNEL, '--on', 'kvm', '--expect-text', 'Linux version', '--json'];
  const once = () => {
    const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
    return Number((JSON.parse(stdout) as { startCpuSeconds: number }).startCpuSeconds);
  };
  return median([once(), once(), once()]);
}

function ours(name: string, on: string, until: string): Row {
  return {
    name,
    how: `node ${PVOPS} run ${KERNEL} --on ${on} --memory ${MEGABYTES}M, to "${until}"`,
    costs: [],
  };
}

function pvopsArguments(on: string): string[] {
  return [PVOPS, 'run', KERNEL, '--on', on, '--memory', `${MEGABYTES}M`, '--time', 'virtual'];
}

function qemuArguments(vmlinux: string, initrd: string): string[] {
  const machine = [
    '-M',
    'microvm,acpi=off',
    '-accel',
    'tcg',
    '-m',
    `${MEGABYTES}`,
    '-nodefaults',
    '-no-reboot',
  ];
  const output = ['-display', 'none', '-serial', 'stdio'];
  return [
    ...machine,
    ...output,
    '-kernel',
    vmlinux,
    '-initrd',
    initrd,
    '-append',
    'console=ttyS0 panic=-1',
  ];
}

function report(rows: readonly Row[], start: number): void {
  const peer = rows.find((r) => r.name === 'QEMU TCG');
  const peerSeconds =
    peer && peer.costs.length > 0 ? median(peer.costs.map((c) => c.cpuSeconds)) : null;
  const lines = rows.map((r) => describe(r, peerSeconds));
  for (const l of lines) process.stdout.write(`${l.text}\n`);
  if (peerSeconds === null)
    process.stdout.write(`QEMU did not run: install qemu-system-x86 for the ratio\n`);
  process.stdout.write(
    `process start to first guest instruction: ${start.toFixed(2)} CPU s (median of 3)\n`,
  );
  process.stdout.write(
    `required: ${REQUIRED_RATIO}x TCG, ${REQUIRED_MEGABYTES} MB, first guest instruction within ${REQUIRED_START_SECONDS} CPU s\n`,
  );
  if (values.json !== undefined)
    writeFileSync(
      values.json,
      JSON.stringify(
        lines.map((l) => l.data),
        null,
        2,
      ),
    );
}

function describe(row: Row, peerSeconds: number | null): { text: string; data: object } {
  if (row.costs.length === 0)
    return {
      text: `${row.name.padEnd(16)} did not get there   (${row.how})`,
      data: { name: row.name, runs: 0 },
    };
  const cpu = median(row.costs.map((c) => c.cpuSeconds));
  const megabytes = Math.max(...row.costs.map((c) => c.peakMegabytes));
  const ratio = peerSeconds === null ? null : cpu / peerSeconds;
  const text = [
    row.name.padEnd(16),
    `${cpu.toFixed(2)} CPU s`.padStart(12),
    `${ratio === null ? '-' : ratio.toFixed(1)}x TCG`.padStart(12),
    `${megabytes.toFixed(0)} MB`.padStart(9),
    `  (${row.how}; median of ${row.costs.length})`,
  ].join('');
  return {
    text,
    data: {
      name: row.name,
      how: row.how,
      runs: row.costs,
      cpuSeconds: cpu,
      ratio,
      peakMegabytes: megabytes,
    },
  };
}

function fail(what: string, hint: string): never {
  process.stderr.write(`bench: ${what}\nhint: ${hint}\n`);
  process.exit(2);
}
