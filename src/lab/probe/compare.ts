// A log of the probe kernel from a real machine beside one of ours: what is judged otherwise, and where only the answers differ.

import { INTERFACES } from '../../hypervisors/index.ts';
import {
  judgeLog,
  PROBES,
  type ProbeLog,
  type ProbeVerdict,
  readProbeLog,
} from '../../probe/index.ts';

export interface Parting {
  readonly probe: string;
  readonly theirs: ProbeVerdict;
  readonly ours: ProbeVerdict;
  /** Names of answers that differ, with both. */
  readonly answers: readonly string[];
}

export interface Comparison {
  readonly log: ProbeLog;
  /** In the order in which they were asked: the first is where both part. */
  readonly apart: readonly Parting[];
  /** Both pass, by other answers: what a machine may choose, and what time it was. */
  readonly loose: readonly Parting[];
  readonly alike: number;
}

/** Null: the text has no log of the probe kernel, or of an interface that nobody knows. */
export function compareLogs(theirs: string, ours: ProbeLog | null): Comparison | null {
  const log = readProbeLog(theirs);
  const guest = INTERFACES.find(({ id }) => id === log?.on)?.guest;
  if (!log || !guest) return null;
  const [judged, own] = [log, ours].map((one) => judgeLog(one, guest, log.bits, PROBES));
  const partings = PROBES.map((probe, n): Parting => {
    const [a, b] = [log, ours].map((one) => one?.answers.get(probe.id) ?? {});
    return {
      probe: probe.id,
      theirs: judged![n]!,
      ours: own![n]!,
      answers: differing(a ?? {}, b ?? {}),
    };
  });
  const apart = partings.filter((one) => one.theirs.outcome !== one.ours.outcome);
  const loose = partings.filter(
    (one) => one.theirs.outcome === one.ours.outcome && one.answers.length > 0,
  );
  return { log, apart, loose, alike: partings.length - apart.length - loose.length };
}

type Answers = Readonly<Record<string, number>>;

function differing(theirs: Answers, ours: Answers): string[] {
  const hex = (value: number | undefined) =>
    value === undefined ? 'none' : `0x${value.toString(16)}`;
  return [...new Set([...Object.keys(theirs), ...Object.keys(ours)])]
    .filter((name) => theirs[name] !== ours[name])
    .map((name) => `${name}: theirs ${hex(theirs[name])}, ours ${hex(ours[name])}`);
}
