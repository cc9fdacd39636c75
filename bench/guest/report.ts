// The tables of bench:guest: a row per section, means, memory, and how far each target of the project is.

import { median } from '../measure.ts';
import type { Machine } from './machines.ts';
import type { Bits, Section } from './suite.ts';
import type { SuiteRun } from './time-sections.ts';

export interface Measured {
  readonly machine: Machine;
  readonly runs: readonly SuiteRun[];
}

interface Cell {
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  readonly checksumHolds: boolean;
}

export interface SectionRow {
  readonly section: string;
  readonly copy: boolean;
  /** Guest instructions of the section, counted by pvops on virtual time; null: pvops did not finish it. */
  readonly instructions: number | null;
  readonly cells: Readonly<Record<string, Cell | null>>;
  /** CPU seconds of pvops by those of each peer. */
  readonly ratios: Readonly<Record<string, number | null>>;
}

export interface Target {
  readonly name: string;
  readonly ratio: number | null;
  /** Null: only wished for. */
  readonly required: number | null;
  readonly stretch: number | null;
}

const OURS = 'pvops';
/** Less than this is mostly the grain of the kernel's accounting: marked in the table. */
const COARSE_SECONDS = 0.02;

/** What is required, against which peer: the table in docs/benchmarks.md. */
const MEAN_TARGETS: Readonly<Record<Bits, { peer: string; required: number; stretch: number }>> = {
  32: { peer: 'v86', required: 0.7, stretch: 0.5 },
  64: { peer: 'QEMU', required: 1.5, stretch: 1 },
};
const SECTION_TARGETS: readonly (readonly [string, number, number | null])[] = [
  ['memcpy_repmovs', 0.1, null],
  ['memcpy_libc', 0.5, null],
  ['walk_4K', 2, 1],
  ['rand_rw', 2, 1],
  ['pipe_pingpong', 2, 1],
  ['forkexec', 2, 1],
  ['pgfault', 2, 1],
];

export function sectionRows(
  measured: readonly Measured[],
  sections: readonly Section[],
): SectionRow[] {
  const peers = measured.map((m) => m.machine.name).filter((name) => name !== OURS);
  return sections.map((section) => {
    const cells = Object.fromEntries(
      measured.map(({ machine, runs }) => [machine.name, cell(section, runs)]),
    );
    const ours = cells[OURS] ?? null;
    const ratios = peers.map((peer) => [peer, ratio(ours, cells[peer] ?? null)] as const);
    return {
      section: section.name,
      copy: section.copy === true,
      instructions: instructionsOf(section, measured),
      cells,
      ratios: Object.fromEntries(ratios),
    };
  });
}

function cell(section: Section, runs: readonly SuiteRun[]): Cell | null {
  const timed = runs.flatMap((r) => r.sections.filter((s) => s.section === section.name));
  if (timed.length === 0) return null;
  return {
    cpuSeconds: median(timed.map((t) => t.cpuSeconds)),
    wallSeconds: median(timed.map((t) => t.wallSeconds)),
    checksumHolds: timed.every((t) => t.checksum === section.checksum),
  };
}

function instructionsOf(section: Section, measured: readonly Measured[]): number | null {
  const ours = measured.find((m) => m.machine.name === OURS);
  const timed = ours?.runs.flatMap((r) => r.sections).find((s) => s.section === section.name);
  return timed?.ticks ?? null;
}

function ratio(ours: Cell | null, peer: Cell | null): number | null {
  return ours && peer && peer.cpuSeconds > 0 ? ours.cpuSeconds / peer.cpuSeconds : null;
}

/** Null if a row has no ratio against that peer: a mean over other sections would not be comparable. */
export function geometricMean(rows: readonly SectionRow[], peer: string): number | null {
  const ratios = rows.map((r) => r.ratios[peer] ?? null);
  if (ratios.length === 0 || ratios.includes(null)) return null;
  return Math.exp(ratios.reduce<number>((sum, r) => sum + Math.log(r!), 0) / ratios.length);
}

/** `whole`: the rows are all sections, so that their mean is the one that the target speaks of. */
export function targetsOf(rows: readonly SectionRow[], bits: Bits, whole: boolean): Target[] {
  const mean = MEAN_TARGETS[bits];
  const meanRatio = geometricMean(withoutCopies(rows), mean.peer);
  const each = SECTION_TARGETS.filter(
    ([section]) => bits === 64 || section !== 'memcpy_libc',
  ).flatMap(([section, required, stretch]) => {
    const row = rows.find((r) => r.section === section);
    if (!row) return [];
    return [{ name: `${section} by QEMU`, ratio: row.ratios.QEMU ?? null, required, stretch }];
  });
  if (!whole) return each;
  const { peer, required, stretch } = mean;
  return [{ name: `mean without copies by ${peer}`, ratio: meanRatio, required, stretch }, ...each];
}

export function withoutCopies(rows: readonly SectionRow[]): SectionRow[] {
  return rows.filter((r) => !r.copy);
}

export function tableText(rows: readonly SectionRow[], measured: readonly Measured[]): string {
  const names = measured.map((m) => m.machine.name as string);
  const peers = names.filter((name) => name !== OURS);
  const head = ['section', 'Minsn', ...names.map((n) => `${n} s`), ...peers.map((p) => `x ${p}`)];
  if (names.includes(OURS)) head.push('MIPS');
  const body = rows.map((row) => [
    row.section,
    row.instructions === null ? '-' : (row.instructions / 1e6).toFixed(1),
    ...names.map((name) => cellText(row.cells[name] ?? null)),
    ...peers.map((peer) => number(row.ratios[peer] ?? null)),
    ...(names.includes(OURS) ? [speedText(row)] : []),
  ]);
  const means = [
    ['mean', rows],
    ['mean, no copies', withoutCopies(rows)],
  ] as const;
  const feet = means.map(([name, of]) => [
    name,
    '',
    ...names.map(() => ''),
    ...peers.map((peer) => number(geometricMean(of, peer))),
  ]);
  return aligned([head, ...body, ...(rows.length > 1 ? feet : [])]);
}

export function memoryText({ machine, runs }: Measured): string {
  const boots = runs.flatMap((r) => (r.boot ? [r.boot] : []));
  const peak = Math.max(...runs.map((r) => r.peakMegabytes));
  if (boots.length === 0) return `${machine.name}: did not get to INIT-UP (${machine.how})`;
  const seconds = median(boots.map((b) => b.cpuSeconds)).toFixed(2);
  const atBoot = Math.max(...boots.map((b) => b.peakMegabytes)).toFixed(0);
  return `${machine.name}: INIT-UP after ${seconds} CPU s, ${atBoot} MB; ${peak.toFixed(0)} MB in the end (${machine.how})`;
}

export function targetText({ name, ratio: is, required, stretch }: Target): string {
  const bound = required ?? stretch ?? Number.POSITIVE_INFINITY;
  const verdict = is === null ? 'not measured' : is <= bound ? 'met' : 'missed';
  const wishes = [
    ...(required === null ? [] : [`required ${required}`]),
    ...(stretch === null ? [] : [`stretch ${stretch}`]),
  ];
  return `${name}: ${number(is)} (${wishes.join(', ')}): ${verdict}`;
}

function cellText(of: Cell | null): string {
  if (of === null) return '-';
  const coarse = of.cpuSeconds < COARSE_SECONDS ? '~' : '';
  return `${of.checksumHolds ? '' : 'WRONG '}${coarse}${of.cpuSeconds.toFixed(3)}`;
}

function speedText({ instructions, cells }: SectionRow): string {
  const ours = cells[OURS] ?? null;
  if (instructions === null || ours === null || ours.cpuSeconds === 0) return '-';
  return (instructions / 1e6 / ours.cpuSeconds).toFixed(0);
}

const number = (value: number | null): string =>
  value === null ? '-' : value.toFixed(value < 10 ? 2 : 1);

function aligned(table: readonly (readonly string[])[]): string {
  const columns = Math.max(...table.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) =>
    Math.max(...table.map((row) => (row[i] ?? '').length)),
  );
  const lines = table.map((row) =>
    row.map((t, i) => (i === 0 ? t.padEnd(widths[i]!) : t.padStart(widths[i]!))).join('  '),
  );
  return `${lines.join('\n')}\n`;
}
