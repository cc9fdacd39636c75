// What operations a probe's code uses, found by emitting it once.

import type { GuestOperationId } from '../ops/index.ts';
import type { Probe } from './define.ts';
import { ProbeEmitter } from './kernel/answers.ts';

const known = new WeakMap<Probe, Map<number, readonly GuestOperationId[]>>();

export function operationsOf(probe: Probe, bits: 32 | 64): readonly GuestOperationId[] {
  const found = known.get(probe) ?? new Map<number, readonly GuestOperationId[]>();
  known.set(probe, found);
  const before = found.get(bits);
  if (before) return before;
  const code = new ProbeEmitter(bits);
  code.function('probe', (body) => probe.guest(body));
  const ids = [...new Set(code.sites.map(({ id }) => id))];
  found.set(bits, ids);
  return ids;
}
