// The probe kernel on machines that are not ours: which, what they have answered, and what of it is theirs to explain.
// Those of the real Xen are asked beside a control domain, by tools/record-probe.ts alone.

import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { probeElf, probeElfByPvh } from '../../src/lab/probe/probe-kernel.ts';
import { LOG_WORD } from '../../src/probe/index.ts';
import { bochs, type Peer, qemu } from './peers.ts';

type Explained = Readonly<Record<string, string>>;

export interface OutsideRun {
  /** Of the recorded file. */
  readonly name: string;
  readonly on: 'native' | 'xen-pv' | 'xen-pvh';
  readonly bits: 32 | 64;
  readonly boot: 'multiboot' | 'pvh' | 'direct';
  /** How the kernel itself says that it was entered. */
  readonly says: string;
  /** Null: the real Xen. */
  readonly peer: Peer | null;
  /** Probes that it fails, and why. The specification decides, and ours follows it. */
  readonly explained: Explained;
}

const QEMU_BOTH: Explained = {
  'cpu-cr0-refused': 'TCG takes NW without CD, which is #GP(0) (SDM 2B MOV to CR0)',
  'cpu-msr': 'TCG reads MSRs that it does not know as 0, which is #GP(0) (SDM 2B RDMSR)',
  'cpu-pmc': 'TCG has no RDPMC: #UD, where a counter that is not there is #GP(0) (SDM 2B RDPMC)',
  'cpu-tables-refused':
    'TCG loads TR with a null selector, and tables and GS with bases that are not canonical (SDM 2A LTR, LGDT)',
  'cpu-tscp': 'TCG takes IA32_TSC_AUX with an upper half, which is reserved (SDM 4 2.1)',
};
const QEMU_32: Explained = {
  ...QEMU_BOTH,
  'cpu-cr4': 'TCG takes PCIDE outside long mode, which is #GP(0) (SDM 2B MOV to CR4)',
};
const QEMU_64: Explained = {
  ...QEMU_BOTH,
  'cpu-cr8': 'TCG takes CR8 with bits above the fourth, which are #GP(0) (SDM 2B MOV to CR)',
  'cpu-idt': 'TCG takes the vector times 16 for the error code of INT n (SDM 3A 6.13 has times 8)',
  'cpu-idt-entry': 'TCG takes the vector times 16 for the error code of INT n (SDM 3A 6.13)',
};

const BOCHS: Explained = {
  'cpu-tscp': 'Bochs takes IA32_TSC_AUX with an upper half, which is reserved (SDM 4 2.1)',
};

const native = (
  machine: 'qemu' | 'bochs',
  bits: 32 | 64,
  boot: 'multiboot' | 'pvh',
  explained: Explained,
): OutsideRun => ({
  name: `${machine}-${bits}-${boot}`,
  on: 'native',
  bits,
  boot,
  says: boot,
  peer: machine === 'qemu' ? qemu : bochs,
  explained,
});

export const OUTSIDE_RUNS: readonly OutsideRun[] = [
  native('qemu', 32, 'multiboot', QEMU_32),
  native('qemu', 64, 'multiboot', QEMU_64),
  native('qemu', 64, 'pvh', QEMU_64),
  native('bochs', 32, 'multiboot', BOCHS),
  native('bochs', 64, 'multiboot', BOCHS),
  {
    name: 'xen-pv-64',
    on: 'xen-pv',
    bits: 64,
    boot: 'direct',
    says: 'own',
    peer: null,
    explained: {},
  },
];

const FOLDER = fileURLToPath(new URL('recorded/', import.meta.url));

export const imageOf = ({ bits, boot }: OutsideRun): Uint8Array =>
  boot === 'pvh' ? probeElfByPvh(bits) : probeElf(bits);

/** What the machine says now. */
export function record(run: OutsideRun, peer: Peer): string {
  const { bits, boot } = run;
  const folder = mkdtempSync(join(tmpdir(), 'pvops-outside-'));
  try {
    const command = peer.command(`probe${bits}${boot === 'pvh' ? '-pvh' : ''}.elf`);
    return headed(run, peer.version() ?? '', command, peer.run(folder, imageOf(run)));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The kernel's own lines of what was said, under a head that tells how it was asked. */
export function headed(run: OutsideRun, tool: string, command: string, said: string): string {
  const lines = said.split(/\r*\n/);
  const log = lines.slice(
    lines.findIndex((line) => line.startsWith(`${LOG_WORD} 1 `)),
    lines.findIndex((line) => line.startsWith(`${LOG_WORD} end`)) + 1,
  );
  const head = [
    `# tool: ${tool}`,
    `# command: ${command}`,
    `# sha256 of the image: ${createHash('sha256').update(imageOf(run)).digest('hex')}`,
  ];
  return `${[...head, ...log].join('\n')}\n`;
}

export const recorded = ({ name }: OutsideRun): string =>
  readFileSync(join(FOLDER, `${name}.txt`), 'utf8');

export const keep = ({ name }: OutsideRun, text: string): void =>
  writeFileSync(join(FOLDER, `${name}.txt`), text);
