// The probe kernel on machines that are not ours: how they are run, what they have answered, and what of it is theirs to explain.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { probeElf, probeElfByPvh } from '../../src/lab/probe/probe-kernel.ts';
import { LOG_WORD } from '../../src/probe/index.ts';

export interface OutsideRun {
  /** Of the recorded file. */
  readonly name: string;
  readonly bits: 32 | 64;
  readonly boot: 'multiboot' | 'pvh';
}

export const OUTSIDE_RUNS: readonly OutsideRun[] = [
  { name: 'qemu-32-multiboot', bits: 32, boot: 'multiboot' },
  { name: 'qemu-64-multiboot', bits: 64, boot: 'multiboot' },
  { name: 'qemu-64-pvh', bits: 64, boot: 'pvh' },
];

/** Probes that QEMU 7.2's TCG fails, by word size, and why. The specification decides, and ours follows it. */
export const EXPLAINED: Readonly<Record<32 | 64, Readonly<Record<string, string>>>> = {
  32: {
    'cpu-cr0-refused': 'TCG takes NW without CD, which is #GP(0) (SDM 2B MOV to CR0)',
    'cpu-cr4': 'TCG takes PCIDE outside long mode, which is #GP(0) (SDM 2B MOV to CR4)',
    'cpu-msr': 'TCG reads MSRs that it does not know as 0, which is #GP(0) (SDM 2B RDMSR)',
    'cpu-pmc': 'TCG has no RDPMC: #UD, where a counter that is not there is #GP(0) (SDM 2B RDPMC)',
    'cpu-tscp': 'TCG takes IA32_TSC_AUX with an upper half, which is reserved (SDM 4 2.1)',
  },
  64: {
    'cpu-cr0-refused': 'TCG takes NW without CD, which is #GP(0) (SDM 2B MOV to CR0)',
    'cpu-cr8': 'TCG takes CR8 with bits above the fourth, which are #GP(0) (SDM 2B MOV to CR)',
    'cpu-idt':
      'TCG takes the vector times 16 for the error code of INT n (SDM 3A 6.13 has times 8)',
    'cpu-idt-entry': 'TCG takes the vector times 16 for the error code of INT n (SDM 3A 6.13)',
    'cpu-msr': 'TCG reads MSRs that it does not know as 0, which is #GP(0) (SDM 2B RDMSR)',
    'cpu-pmc': 'TCG has no RDPMC: #UD, where a counter that is not there is #GP(0) (SDM 2B RDPMC)',
    'cpu-tscp': 'TCG takes IA32_TSC_AUX with an upper half, which is reserved (SDM 4 2.1)',
  },
};

const ARGUMENTS = [
  ...['-accel', 'tcg', '-cpu', 'max', '-m', '32', '-nodefaults', '-display', 'none', '-no-reboot'],
  ...['-serial', 'stdio', '-monitor', 'none', '-kernel'],
];
const QEMU = 'qemu-system-x86_64';
/** A machine that does not switch itself off is stopped. */
const MILLISECONDS_MAX = 60_000;
const FOLDER = fileURLToPath(new URL('recorded/', import.meta.url));

export const hasQemu = (): boolean => spawnSync(QEMU, ['--version']).status === 0;

/** What the machine says, under a head that tells how it was asked. */
export function record({ bits, boot }: OutsideRun): string {
  const elf = boot === 'pvh' ? probeElfByPvh(bits) : probeElf(bits);
  const folder = mkdtempSync(join(tmpdir(), 'pvops-outside-'));
  try {
    const path = join(folder, 'probe.elf');
    writeFileSync(path, elf);
    const version = spawnSync(QEMU, ['--version'], { encoding: 'utf8' }).stdout.split('\n', 1)[0];
    const { stdout } = spawnSync(QEMU, [...ARGUMENTS, path], {
      encoding: 'latin1',
      timeout: MILLISECONDS_MAX,
    });
    const lines = stdout.split(/\r?\n/);
    const log = lines.slice(
      lines.findIndex((line) => line.startsWith(`${LOG_WORD} 1 `)),
      lines.findIndex((line) => line.startsWith(`${LOG_WORD} end`)) + 1,
    );
    const head = [
      `# tool: ${version}`,
      `# command: ${QEMU} ${ARGUMENTS.join(' ')} probe${bits}${boot === 'pvh' ? '-pvh' : ''}.elf`,
      `# sha256 of the image: ${createHash('sha256').update(elf).digest('hex')}`,
    ];
    return `${[...head, ...log].join('\n')}\n`;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export const recorded = ({ name }: OutsideRun): string =>
  readFileSync(join(FOLDER, `${name}.txt`), 'utf8');

export const keep = ({ name }: OutsideRun, text: string): void =>
  writeFileSync(join(FOLDER, `${name}.txt`), text);
