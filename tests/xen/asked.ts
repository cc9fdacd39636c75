// Which Xen programs ask about which row of an interface's table of calls.

import { rowsOf } from '../../src/hypervisors/xen/call-facts.ts';
import type { AnyHypercall, Caller, SubOperation } from '../../src/hypervisors/xen/define.ts';
import * as familyCalls from '../../src/hypervisors/xen/hypercalls/index.gen.ts';
import * as pvCalls from '../../src/hypervisors/xen-pv/hypercalls/index.gen.ts';
import { PVH_CALL_LIST } from '../../src/hypervisors/xen-pvh/calls.ts';
import type { MadeCall, Suite, SuiteProgram } from './suites.ts';

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
    const asking = (wanted: (made: MadeCall) => boolean) =>
      programs.filter((program) =>
        program.calls.some((made) => made.number === call.number && wanted(made)),
      );
    const row = (
      sub: string,
      refuse: SubOperation['refuse'],
      wanted: (made: MadeCall) => boolean,
    ): Row => ({
      call: call.name,
      sub,
      refused: refuse?.[0] ?? 0,
      programs: asking(wanted),
    });
    const rows = rowsOf(call).filter(([, { callers }]) => !callers || callers.includes(caller));
    if (rows.length === 0) return [row('', call.refuse, () => true)];
    return rows.map(([number, { name, refuse }]) =>
      row(name, refuse, (made) => chosen(call, made) === Number(number)),
    );
  });
}

/** Which sub-operation or request a made call is about; null: only the running guest knows. */
function chosen(call: AnyHypercall, { args, pointed }: MadeCall): number | null {
  const { argument, mask = -1 } = call.requests
    ? (call.requestAt ?? {})
    : { argument: 0, mask: call.subMask };
  const word = argument === undefined ? pointed : (args[argument] ?? null);
  return word === null ? null : word & mask;
}
