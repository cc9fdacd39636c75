// What an interface's page says of its calls, from their definitions.

import type { CallFact } from '../define.ts';
import type { AnyHypercall, Caller, Request, SubOperation } from './define.ts';

const ERROR_NAMES: Readonly<Record<number, string>> = {
  1: 'EPERM',
  2: 'ENOENT',
  3: 'ESRCH',
  7: 'E2BIG',
  11: 'EAGAIN',
  12: 'ENOMEM',
  13: 'EACCES',
  14: 'EFAULT',
  16: 'EBUSY',
  17: 'EEXIST',
  19: 'ENODEV',
  22: 'EINVAL',
  28: 'ENOSPC',
  38: 'ENOSYS',
  95: 'EOPNOTSUPP',
};

export function callFacts(calls: readonly AnyHypercall[], callers: readonly Caller[]): CallFact[] {
  return calls
    .filter((call) => call.callers.some((caller) => callers.includes(caller)))
    .toSorted((a, b) => a.number - b.number)
    .flatMap((call) => {
      const subs = rowsOf(call);
      if (subs.length === 0) return [{ number: call.number, call: call.name, ...stateOf(call) }];
      return subs
        .filter(([, sub]) => !sub.callers || sub.callers.some((caller) => callers.includes(caller)))
        .map(([, sub]) => ({
          number: call.number,
          call: call.name,
          sub: sub.name,
          ...stateOf(sub),
        }));
    });
}

/** A call's sub-operations, or the requests that its handler tells apart. */
export const rowsOf = ({ subOperations, requests }: AnyHypercall): [string, Row][] =>
  Object.entries<Row>(subOperations ?? requests ?? {});
type Row = SubOperation | Request;

function stateOf({
  refuse,
  notModelled,
}: Pick<SubOperation, 'refuse' | 'notModelled'>): Pick<CallFact, 'state' | 'why'> {
  if (refuse)
    return { state: `refused, -${ERROR_NAMES[-refuse[0]] ?? -refuse[0]}`, why: refuse[1] };
  if (notModelled) return { state: 'not modelled', why: notModelled };
  return { state: 'done', why: '' };
}
