// `npm run bench:boot [-- --bits 64|32 --rounds N --engine NAME --json FILE]`: Debian boots to INIT-UP on pvops and its peers.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { INIT_UP } from '../src/lab/index.ts';
import { bootOf, bootTargets, bootText } from './boot-report.ts';
import { writeGuest } from './guest/guest-files.ts';
import {
  type Guest,
  HOW_TO_INSTALL,
  KERNELS,
  type Machine,
  PVOPS,
  pvopsMachine,
  qemuMachine,
  v86Machine,
} from './guest/machines.ts';
import { targetText } from './guest/report.ts';
import type { Bits } from './guest/suite.ts';
import { type Cost, costUntil, median } from './measure.ts';

const INTERFACES: Readonly<Record<Bits, readonly string[]>> = {
  64: ['kvm', 'native'],
  32: ['kvm'],
};

interface Row {
  readonly name: string;
  readonly machine: Machine;
  readonly costs: Cost[];
}

const { values } = parseArgs({
  options: {
    bits: { type: 'string', multiple: true, default: ['64', '32'] },
    rounds: { type: 'string', default: '3' },
    engine: { type: 'string', default: 'auto' },
    json: { type: 'string' },
  },
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
  const data: object[] = [];
  for (const bits of [64, 32] as const) {
    if (!values.bits.includes(`${bits}`)) continue;
    const guest = await writeGuest(folder, bits, {}, '');
    if (guest) data.push(...(await measure(guest)));
    else say(`${KERNELS[bits]} has not been pulled; say: node ${PVOPS} pull ${KERNELS[bits]}`);
  }
  if (data.length === 0) fail('there is nothing to boot', `say: node ${PVOPS} pull ${KERNELS[64]}`);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(data, null, 2)}\n`);
}

async function measure(guest: Guest): Promise<object[]> {
  const rows = rowsFor(guest);
  for (let round = 0; round < rounds; round++) {
    for (const { machine, costs } of rows) {
      const cost = await costUntil(INIT_UP, { ...machine, ends: machine.name === 'pvops' });
      if (cost) costs.push(cost);
    }
  }
  return report(rows, guest);
}

function rowsFor(guest: Guest): Row[] {
  const { engine } = values;
  const row = (name: string, machine: Machine): Row[] => [{ name, machine, costs: [] }];
  const ours = INTERFACES[guest.bits].flatMap((on) =>
    row(`pvops ${on}`, pvopsMachine(guest, { on, engine, until: INIT_UP })),
  );
  const qemu = qemuMachine(guest);
  const v86 = guest.bits === 32 ? v86Machine(guest) : null;
  if (!qemu) say(HOW_TO_INSTALL.qemu);
  if (!v86 && guest.bits === 32) say(HOW_TO_INSTALL.v86());
  return [...ours, ...(qemu ? row('QEMU TCG', qemu) : []), ...(v86 ? row('v86', v86) : [])];
}

function report(rows: readonly Row[], guest: Guest): object[] {
  process.stdout.write(`${guest.kernel} to ${INIT_UP}\n`);
  const boots = rows.map(({ name, machine, costs }) => bootOf(name, machine, costs));
  for (const boot of boots) process.stdout.write(`  ${bootText(boot, boots)}\n`);
  const startCpuSeconds = startSeconds(guest);
  const targets = bootTargets(boots, guest.bits, startCpuSeconds);
  for (const target of targets) process.stdout.write(`  ${targetText(target)}\n`);
  return [{ kernel: guest.kernel, boots, startCpuSeconds, targets }];
}

/** CPU seconds from the start of the process to the first guest instruction, as the run itself reports them. */
function startSeconds({ kernel }: Guest): number {
  const args = [PVOPS, 'run', kernel, '--on', 'kvm', '--expect-text', 'Linux version', '--json'];
  const once = () => {
    const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
    return Number((JSON.parse(stdout) as { startCpuSeconds: number }).startCpuSeconds);
  };
  return median([once(), once(), once()]);
}

function say(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

function fail(what: string, hint: string): never {
  process.stderr.write(`bench: ${what}\nhint: ${hint}\n`);
  process.exit(2);
}
