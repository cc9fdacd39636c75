// Which Xen programs ask about which row of an interface's table of calls.

import type { AnyHypercall, Caller, SubOperation } from '../../src/hypervisors/xen/define.ts';
import * as familyCalls from '../../src/hypervisors/xen/hypercalls/index.gen.ts';
import * as pvCalls from '../../src/hypervisors/xen-pv/hypercalls/index.gen.ts';
import { PVH_CALL_LIST } from '../../src/hypervisors/xen-pvh/calls.ts';
import type { Suite, SuiteProgram } from './suites.ts';

export interface Row {
  readonly call: string;
  /** Empty: the call has none. */
  readonly sub: string;
  /** The error it is refused with, below zero; 0: it is not refused. */
  readonly refused: number;
  readonly programs: readonly SuiteProgram[];
}

const LISTS: Readonly<Record<Suite['on'], { calls: readonly AnyHypercall[]; caller: Caller }>> = {
  'xen-pv': { calls: [...Object.values(familyCalls), ...Object.values(pvCalls)], caller: 'pv64' },
  'xen-pvh': { calls: PVH_CALL_LIST, caller: 'hvm' },
};

/** Rows of the calls that a guest of the suite can make. */
export function askedRows({ on, programs }: Suite): readonly Row[] {
  const { calls, caller } = LISTS[on];
  const own = calls.filter(({ callers }) => callers.includes(caller));
  return own.flatMap((call) => {
    const asking = (wanted: (first: number | null) => boolean) =>
      programs.filter((program) =>
        program.calls.some(({ number, first }) => number === call.number && wanted(first)),
      );
    const row = (
      sub: string,
      { refuse }: Pick<SubOperation, 'refuse'>,
      asked: Row['programs'],
    ) => ({
      call: call.name,
      sub,
      refused: refuse?.[0] ?? 0,
      programs: asked,
    });
    const subs = Object.entries(call.subOperations ?? {});
    if (subs.length === 0)
      return [
        row(
          '',
          call,
          asking(() => true),
        ),
      ];
    const mask = call.subMask ?? -1;
    return subs
      .filter(([, sub]) => !sub.callers || sub.callers.includes(caller))
      .map(([number, sub]) =>
        row(
          sub.name,
          sub,
          asking((first) => first !== null && (first & mask) === Number(number)),
        ),
      );
  });
}
