// The door of the probe kernel: its image, its log, and what the log means.

import type { Probe } from './define.ts';
import * as probes from './probes/index.gen.ts';

export { defineProbe, type Judge, type Probe, type ProbeCode, type ProbeFacts } from './define.ts';
export {
  judgeLog,
  PROBE_OUTCOMES,
  type ProbeOutcome,
  type ProbeVerdict,
  worstOf,
} from './judge.ts';
export { bzImage } from './kernel/bzimage.ts';
export { type ProbeImage, probeImage } from './kernel/image.ts';
export { END_LINE, LOG_WORD } from './kernel/main.ts';
export { type ProbeLog, readProbeLog } from './log.ts';
export { operationsOf } from './operations-of.ts';
export { skipReason } from './plan.ts';

/** By id. */
export const PROBES: readonly Probe[] = Object.values(probes).sort((a, b) =>
  a.id < b.id ? -1 : 1,
);
export { BEGIN_WORD, MEASURE_NAMES, type MeasurePlan, TIMED } from './kernel/measure.ts';
