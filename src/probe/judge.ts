// Verdicts of probes: what a log says against what each probe expects. The worst wins: pass < skip < error < fail.

import type { GuestBinding } from '../ops/index.ts';
import type { Judge, Probe, ProbeFacts } from './define.ts';
import { NO_FAULT } from './kernel/traps.ts';
import type { ProbeLog } from './log.ts';
import { factsOf, skipReason } from './plan.ts';

/** The best first. `error`: the test is at fault, or was kept from asking; `fail`: what it asked is. */
export const PROBE_OUTCOMES = ['pass', 'skip', 'error', 'fail'] as const;
export type ProbeOutcome = (typeof PROBE_OUTCOMES)[number];

export interface ProbeVerdict {
  readonly probe: Probe;
  readonly outcome: ProbeOutcome;
  /** Why it did not pass. */
  readonly reasons: readonly string[];
}

export function judgeLog(
  log: ProbeLog | null,
  binding: GuestBinding,
  bits: 32 | 64,
  probes: readonly Probe[],
): ProbeVerdict[] {
  return probes.map((probe) => {
    const why = skipReason(probe, binding, bits);
    if (why !== null) return { probe, outcome: 'skip', reasons: [why] };
    const answers = log?.answers.get(probe.id);
    if (!answers || !log) return { probe, outcome: 'error', reasons: [silence(log, probe)] };
    const reasons = judgeAnswers(probe, answers, factsOf(binding, bits));
    if (reasons === null)
      return { probe, outcome: 'error', reasons: ['it has not answered anything'] };
    return { probe, outcome: reasons.length > 0 ? 'fail' : 'pass', reasons };
  });
}

export const worstOf = (verdicts: readonly ProbeVerdict[]): ProbeOutcome =>
  PROBE_OUTCOMES[Math.max(0, ...verdicts.map(({ outcome }) => PROBE_OUTCOMES.indexOf(outcome)))]!;

function silence(log: ProbeLog | null, { id }: Probe): string {
  if (!log) return 'the kernel has not said a word';
  if (log.fault?.probe === id) return `it died of a ${log.fault.text}`;
  return log.ended ? 'it has not been asked' : 'the kernel ended before it';
}

/** Null: there is nothing to judge. */
function judgeAnswers(
  probe: Probe,
  answers: Readonly<Record<string, number>>,
  facts: ProbeFacts,
): string[] | null {
  if (Object.keys(answers).length === 0) return null;
  const reasons: string[] = [];
  let asked = 0;
  const hex = (value: number | undefined) =>
    value === undefined ? 'nothing' : `0x${value.toString(16)}`;
  const judge: Judge = {
    facts,
    equal(actual, expected, what) {
      asked++;
      if (actual !== expected) reasons.push(`${what}: ${hex(actual)}, not ${hex(expected)}`);
    },
    ok(condition, what) {
      asked++;
      if (!condition) reasons.push(`not so: ${what}`);
    },
    fault(actual, vector, what) {
      asked++;
      if (actual === (vector ?? NO_FAULT)) return;
      const raised = actual === NO_FAULT ? 'no fault' : `vector ${actual}`;
      reasons.push(`${what}: ${raised}, not ${vector === null ? 'none' : `vector ${vector}`}`);
    },
  };
  probe.check(answers, judge);
  return asked === 0 ? null : reasons;
}
