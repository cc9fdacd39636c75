// Instructions that the exit policy wants only to be counted: the quick ways of interp/quick-calls.ts count them where they run, instead of an exit.

import type { Layout, Views } from './state.ts';

/** What is counted, in the order of the counters. */
export const COUNTED = {
  readCr2: 0,
  readCr3: 1,
  writeCr3: 2,
  /** With what CR3 holds already. */
  rewriteCr3: 3,
  invlpg: 4,
} as const;
/** Of `Layout.counted`: POLICY_* bits of which a number is enough, and the counters. */
export const COUNTED_POLICY = 0;
export const COUNTERS_AT = 8;

interface Memory {
  readonly views: Views;
  readonly layout: Layout;
}

/** `policy`: POLICY_* bits. An engine may let such an instruction exit all the same. */
export function countInPlace({ views, layout }: Memory, policy: number): void {
  views.u32[(layout.counted + COUNTED_POLICY) >> 2] = policy;
}

/** How often since it was last asked. */
export function takeCount({ views, layout }: Memory, which: number): number {
  const word = (layout.counted + COUNTERS_AT) / 4 + which;
  const times = views.u32[word] as number;
  views.u32[word] = 0;
  return times;
}
