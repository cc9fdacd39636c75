// Which probes run where, and why the others do not.

import { bindingIn, type GuestBinding, type GuestOperationId } from '../ops/index.ts';
import type { Probe, ProbeFacts } from './define.ts';
import { operationsOf } from './operations-of.ts';

/** Null: it runs. */
export function skipReason(probe: Probe, binding: GuestBinding, bits: 32 | 64): string | null {
  const why = probe.runsOn === 'all' ? null : probe.runsOn(factsOf(binding, bits));
  if (why !== null) return why;
  for (const id of new Set<GuestOperationId>([...probe.about, ...operationsOf(probe, bits)])) {
    const cannot = bindingIn(binding, bits).cannot[id];
    if (cannot !== undefined) return `${id}: ${cannot}`;
  }
  return null;
}

export function factsOf(binding: GuestBinding, bits: 32 | 64): ProbeFacts {
  const { traits, badCall, refusals = [] } = bindingIn(binding, bits);
  return { bits, traits, badCallAnswer: badCall?.answer ?? null, refusals };
}
