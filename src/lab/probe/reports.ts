// Reports of the probe kernel: KTAP, a subtest for each run (Documentation/dev-tools/ktap.rst), and a table.

import type { ProbeOutcome, ProbeVerdict } from '../../probe/index.ts';
import { MEASURE_NAMES, PROBES } from '../../probe/index.ts';
import type { HostTimes } from './host-time.ts';
import type { ProbeReport } from './run-probe.ts';

export function ktapOfProbes(reports: readonly ProbeReport[]): string {
  const lines = ['KTAP version 1', `1..${reports.length}`];
  for (const [n, report] of reports.entries()) {
    lines.push('  KTAP version 1', `  1..${report.verdicts.length}`);
    for (const [m, verdict] of report.verdicts.entries()) {
      for (const reason of verdict.outcome === 'skip' ? [] : verdict.reasons)
        lines.push(`  # ${oneLine(`${verdict.outcome}: ${reason}`)}`);
      lines.push(`  ${resultLine(m + 1, verdict)}`);
    }
    if (report.trouble !== '') lines.push(`# ${oneLine(report.trouble)}`);
    const word = isGood(report.outcome) ? 'ok' : 'not ok';
    lines.push(`${word} ${n + 1} ${description(nameOf(report))}`);
  }
  return `${lines.join('\n')}\n`;
}

function resultLine(number: number, { probe, outcome, reasons }: ProbeVerdict): string {
  const name = description(probe.id);
  if (outcome === 'skip') return `ok ${number} ${name} # SKIP ${description(reasons[0] ?? '')}`;
  return `${isGood(outcome) ? 'ok' : 'not ok'} ${number} ${name}`;
}

const isGood = (outcome: ProbeOutcome): boolean => outcome === 'pass' || outcome === 'skip';

/** `kvm@6.1, 64 bits by pvh`. */
export const nameOf = ({ on, bits, log, boot }: ProbeReport): string =>
  `${on}, ${bits} bits by ${log?.boot ?? boot}`;

/** Rows of a table: probes by runs. */
export function probeTable(reports: readonly ProbeReport[]): {
  header: string[];
  rows: string[][];
} {
  const header = ['probe', ...reports.map(({ on, bits }) => `${on} ${bits}`)];
  const rows = PROBES.map(({ id }, n) => [
    id,
    ...reports.map(({ verdicts }) => verdicts[n]?.outcome ?? '-'),
  ]);
  return { header, rows };
}

/** Guest instructions for one round of each thing, less those of the loop itself: things by runs. */
export function measureTable(reports: readonly ProbeReport[]): {
  header: string[];
  rows: string[][];
} {
  const cost = ({ log }: ProbeReport, name: string): string => {
    const cycles = log?.measures.get(name);
    const empty = log?.measures.get(EMPTY_ROUND);
    return cycles === undefined || empty === undefined ? '-' : String(cycles - empty);
  };
  return {
    header: ['instructions', ...reports.map(({ on, bits }) => `${on} ${bits}`)],
    rows: MEASURED.map((name) => [name, ...reports.map((report) => cost(report, name))]),
  };
}

/** CPU nanoseconds of the host for the same, in columns of the same runs. */
export function hostTimeTable(
  reports: readonly ProbeReport[],
  times: readonly HostTimes[],
): { header: string[]; rows: string[][] } {
  const cost = (of: HostTimes, name: string): string => {
    const [all, empty] = [of.get(name), of.get(EMPTY_ROUND)];
    return all === undefined || empty === undefined ? '-' : (all - empty).toFixed(0);
  };
  return {
    header: ['ns of the host', ...reports.map(({ on, bits }) => `${on} ${bits}`)],
    rows: MEASURED.map((name) => [name, ...times.map((of) => cost(of, name))]),
  };
}

const EMPTY_ROUND = 'nothing';
const MEASURED = MEASURE_NAMES.filter((name) => name !== EMPTY_ROUND);

/** In a description, `#` begins a directive. */
const description = (text: string): string =>
  oneLine(text).replaceAll('\\', '\\\\').replaceAll('#', '\\#');

const oneLine = (text: string): string => text.replace(/[\r\n]+/g, ' ');
