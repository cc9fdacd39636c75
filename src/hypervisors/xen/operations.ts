// Xen's calls as entry points of operations: what the table of calls says of each is what the manifest says.

import { bug } from '../../base/errors.ts';
import type { EntryPoint, Manifest } from '../manifest.ts';
import type { AnyHypercall, Caller, HypercallTable, SubOperation } from './define.ts';
import { XEN_FEATURES } from './hypercalls/xen-version.ts';

/** What a guest of Xen can be asked to do without. */
export const XEN_OMITS = { kinds: ['hypercall'], features: Object.keys(XEN_FEATURES) } as const;

type Status = Pick<EntryPoint, 'status'>;

/** `sched_op.SCHEDOP_block` or `set_gdt`; a call without a table of sub-operations may name any. */
export function callEntryPoint(table: HypercallTable, name: string): EntryPoint {
  const [callName = '', subName] = name.split('.');
  const call = [...table.values()].find((known) => known.name === callName);
  if (!call) return bug(`there is no hypercall ${callName}`);
  return { name, by: 'hypercall', seen: 'exit', ...statusOf(call, subName) };
}

function statusOf(call: AnyHypercall, subName: string | undefined): Status {
  if (call.refuse) return { status: 'refused' };
  if (call.notModelled) return { status: 'not modelled' };
  if (subName === undefined || !call.subOperations) return {};
  const sub = Object.values(call.subOperations).find(({ name }) => name === subName);
  if (!sub) return bug(`there is no ${call.name} ${subName}`);
  if (sub.refuse) return { status: 'refused' };
  return sub.handle ? {} : { status: 'not modelled' };
}

/** Every call and sub-operation that such guests have, and none of `used` names. */
export function otherCalls(
  table: HypercallTable,
  used: ReadonlySet<string>,
  callers: readonly Caller[],
): EntryPoint[] {
  const has = ({ callers: of }: Pick<SubOperation, 'callers'>) =>
    !of || of.some((caller) => callers.includes(caller));
  return [...table.values()]
    .filter(has)
    .flatMap((call) => {
      const subs = Object.values(call.subOperations ?? {}).filter(has);
      return subs.length > 0 ? subs.map(({ name }) => `${call.name}.${name}`) : [call.name];
    })
    .filter((name) => !used.has(name) && ![...used].some((one) => one.startsWith(`${name}.`)))
    .map((name) => callEntryPoint(table, name));
}

/** What kernels do alike on both interfaces: inter-processor interrupts by events, and the machine's end by one call. */
export function familyOperations(table: HypercallTable): Manifest['operations'] {
  const send = [callEntryPoint(table, 'event_channel_op.EVTCHNOP_send')];
  const shutdown = [callEntryPoint(table, 'sched_op.SCHEDOP_shutdown')];
  return {
    'lock.kick': send,
    'smp.smp_send_reschedule': send,
    'smp.send_call_func_ipi': send,
    'smp.send_call_func_single_ipi': send,
    'machine.restart': shutdown,
    'machine.halt': shutdown,
    'machine.power_off': shutdown,
    'machine.shutdown': shutdown,
    'machine.crash_shutdown': shutdown,
    'machine.emergency_restart': shutdown,
  };
}
