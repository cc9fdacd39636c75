// Calls that a guest without privileges makes, PV or PVH: what they answer to a right argument and to each wrong one.

import * as f from '../forms.ts';
import { type CommonParts, programs, type Value, type XenProgram } from '../program.ts';

const { CALL, DOMID_SELF, NOBODY, UNMAPPED, NO_FRAME } = f;
const HEADERS = 'xen/include/public';
const row = f.row<CommonParts>;

/** The operations of a call with one structure: name, command, words of the structure. */
type Operation = readonly [
  name: string,
  cmd: number,
  fields?: (p: CommonParts) => readonly Value[],
];
export const operations = (
  call: f.CallName,
  ref: string,
  list: readonly Operation[],
): XenProgram<CommonParts>[] =>
  list.map(([name, cmd, fields]) =>
    row(`${call}: ${name}`, `${HEADERS}/${ref}`, (p) => f.op(p, call, cmd, ...(fields?.(p) ?? []))),
  );
/** The same with a structure that is not mapped, or is Xen's. */
const unmapped = (call: f.CallName, ref: string, list: readonly (readonly [string, number])[]) =>
  list.map(([name, cmd]) =>
    row(`${call}: ${name} of what is not mapped`, `${HEADERS}/${ref}`, (p) =>
      p.call(CALL[call], cmd, UNMAPPED),
    ),
  );
/** Two 32-bit numbers in a word. */
const pair = (low: number, high: number) => (BigInt(high) << 32n) | BigInt(low >>> 0);
/** Calls by number, which have no operations or which a domain like ours may not make. */
export const numbers = programs(
  'number',
  [
    6, 7, 11, 16, 19, 27, 28, 31, 34, 35, 36, 37, 38, 39, 41, 42, 47, 48, 49, 55, 56, 57, 63, 64,
    999,
  ].map((number) =>
    row(`call ${number} with a structure of zeros`, `${HEADERS}/xen.h __HYPERVISOR_*`, (p) =>
      p.call(number, p.page(0), p.page(0), 0, 0),
    ),
  ),
);

export const memory = programs('memory', [
  ...[...Array(30).keys()].map((cmd) =>
    row(`command ${cmd} with a structure of zeros`, `${HEADERS}/memory.h`, (p) =>
      f.op(p, 'memory_op', cmd),
    ),
  ),
  ...operations('memory_op', 'memory.h', [
    ['populate a page at its place', 6, (p) => [p.page(1), 1, DOMID_SELF]],
    ['give back a frame that is not there', 1, (p) => [p.page(1), 1, DOMID_SELF]],
    ['give back for nobody', 1, (p) => [p.page(1), 1, NOBODY]],
    ['populate for the control domain', 6, (p) => [p.page(1), 1, 0]],
    ['extents of an order that is too large', 6, (p) => [p.page(1), pair(1, 30), DOMID_SELF]],
    ['add_to_physmap for itself', 7, () => [pair(DOMID_SELF, 0), 0, 0x100]],
    ['a map of 4 lines', 9, (p) => [pair(4, 0), p.page(1)]],
    ['a map of no lines', 9, (p) => [0, p.page(1)]],
    ['an exchange', 11, (p) => [p.page(1), 1, DOMID_SELF, p.page(2), 1, DOMID_SELF, 0]],
  ]),
  ...unmapped(
    'memory_op',
    'memory.h',
    [0, 1, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14].map((n) => [`command ${n}`, n]),
  ),
  row('give back a page that is mapped, and have it again', `${HEADERS}/memory.h`, (p) =>
    f.lines(
      p.store(p.page(1), p.mfn(2)),
      f.op(p, 'memory_op', 1, p.page(1), 1, DOMID_SELF),
      p.attempt(`mov rbx, ${p.page(2)}; mov rax, [rbx]`),
    ),
  ),
]);

export const events = programs('event', [
  ...[...Array(16).keys()].map((cmd) =>
    row(`command ${cmd} with a structure of zeros`, `${HEADERS}/event_channel.h`, (p) =>
      f.op(p, 'event_channel_op', cmd),
    ),
  ),
  ...unmapped(
    'event_channel_op',
    'event_channel.h',
    [0, 1, 3, 4, 5, 6, 7, 9, 11, 12, 13].map((n) => [`command ${n}`, n]),
  ),
  ...operations('event_channel_op', 'event_channel.h', [
    ['send to a port that is not open', 4, () => [900]],
    ['send to no port', 4, () => [0xffffffff]],
    ['close a port that is not open', 3, () => [900]],
    ['status of a port that is not open', 5, () => [pair(DOMID_SELF, 900)]],
    ['status of no port', 5, () => [pair(DOMID_SELF, 0xffffffff)]],
    ['status of nobody’s', 5, () => [pair(NOBODY, 1)]],
    ['status of the control domain’s', 5, () => [pair(0, 1)]],
    ['unbound for nobody as another', 6, () => [0]],
    ['unbound for a domain that there is not', 6, () => [DOMID_SELF | (NOBODY << 16)]],
    ['unbound of nobody', 6, () => [NOBODY | (DOMID_SELF << 16)]],
    ['interdomain with nobody', 0, () => [pair(NOBODY, 1)]],
    ['interdomain with a port that is not open', 0, () => [pair(DOMID_SELF, 900)]],
    ['VIRQ 99', 1, () => [99]],
    ['VIRQ_DEBUG twice', 1, () => [1]],
    ['VIRQ_CONSOLE', 1, () => [2]],
    ['VIRQ_DOM_EXC', 1, () => [3]],
    ['VIRQ_TIMER on vCPU 9', 1, () => [pair(0, 9)]],
    ['IPI on vCPU 9', 7, () => [9]],
    ['pirq', 2, () => [4]],
    ['a port that is not open to a vCPU', 8, () => [pair(900, 0)]],
    ['unmask a port that is not open', 9, () => [900]],
    ['unmask no port', 9, () => [0xffffffff]],
    ['priority of a port that is not open', 13, () => [pair(900, 1)]],
    ['priority 16', 13, () => [pair(1, 16)]],
    ['reset of nobody', 10, () => [NOBODY]],
    ['reset of the control domain', 10, () => [0]],
    ['control block of no frame', 11, () => [NO_FRAME]],
    ['control block of vCPU 9', 11, (p) => [p.mfn(1), pair(0, 9)]],
    ['array before there is a control block', 12, (p) => [p.mfn(1)]],
  ]),
  row('an IPI: bound, sent, pending, closed', `${HEADERS}/event_channel.h`, (p) =>
    f.lines(
      p.store(p.page(1), 0),
      p.call(CALL.event_channel_op, 7, p.page(1)),
      `mov rbx, ${p.page(1)}; mov eax, [rbx + 4]; mov rbx, ${p.page(2)}; mov [rbx], eax`,
      p.call(CALL.event_channel_op, 4, p.page(2)),
      `mov rbx, ${p.page(2)}; mov eax, [rbx]; mov rbx, ${p.page(3)}; mov dword ptr [rbx], ${DOMID_SELF}; mov [rbx + 4], eax`,
      p.call(CALL.event_channel_op, 5, p.page(3)),
      p.keepWord(p.page(3) + 8),
      p.call(CALL.event_channel_op, 3, p.page(2)),
      p.call(CALL.event_channel_op, 4, p.page(2)),
    ),
  ),
  row('loopback: unbound, bound, sent both ways', `${HEADERS}/event_channel.h`, (p) =>
    f.lines(
      p.store(p.page(1), DOMID_SELF | (DOMID_SELF << 16)),
      p.call(CALL.event_channel_op, 6, p.page(1)),
      `mov rbx, ${p.page(1)}; mov eax, [rbx + 4]; mov rbx, ${p.page(2)}; mov dword ptr [rbx], ${DOMID_SELF}; mov [rbx + 4], eax`,
      p.call(CALL.event_channel_op, 0, p.page(2)),
      `mov rbx, ${p.page(2)}; mov eax, [rbx + 8]; mov rbx, ${p.page(3)}; mov [rbx], eax`,
      p.call(CALL.event_channel_op, 4, p.page(3)),
      p.call(CALL.event_channel_op, 3, p.page(3)),
      `mov rbx, ${p.page(1)}; mov eax, [rbx + 4]; mov rbx, ${p.page(3)}; mov [rbx], eax`,
      p.call(CALL.event_channel_op, 4, p.page(3)),
      p.call(CALL.event_channel_op, 3, p.page(3)),
      p.call(CALL.event_channel_op, 3, p.page(3)),
    ),
  ),
]);

export const vcpus = programs('vcpu', [
  ...[...Array(16).keys()].flatMap((cmd) => [
    ...(cmd === 2
      ? []
      : [
          row(`command ${cmd} of vCPU 0 with a structure of zeros`, `${HEADERS}/vcpu.h`, (p) =>
            p.call(CALL.vcpu_op, cmd, 0, p.page(0)),
          ),
        ]),
    row(`command ${cmd} of vCPU 9`, `${HEADERS}/vcpu.h`, (p) =>
      p.call(CALL.vcpu_op, cmd, 9, p.page(0)),
    ),
    row(`command ${cmd} of vCPU 9000`, `${HEADERS}/vcpu.h`, (p) =>
      p.call(CALL.vcpu_op, cmd, 9000, p.page(0)),
    ),
    ...([2, 3, 7, 9].includes(cmd)
      ? []
      : [
          row(`command ${cmd} of what is not mapped`, `${HEADERS}/vcpu.h`, (p) =>
            p.call(CALL.vcpu_op, cmd, 0, UNMAPPED),
          ),
        ]),
  ]),
  row('a period that is too short', `${HEADERS}/vcpu.h`, (p) =>
    f.lines(f.words(p, 1000), p.call(CALL.vcpu_op, 6, 0, p.page(0))),
  ),
  row('a single shot in the past that wants to know', `${HEADERS}/vcpu.h`, (p) =>
    f.lines(f.words(p, 1, 1), p.call(CALL.vcpu_op, 8, 0, p.page(0))),
  ),
]);

export const scheduling = programs('sched', [
  ...[0, 4, 5, 6, 7, 8, 99].map((cmd) =>
    row(`command ${cmd} with a structure of zeros`, `${HEADERS}/sched.h`, (p) =>
      f.op(p, 'sched_op', cmd),
    ),
  ),
  ...unmapped(
    'sched_op',
    'sched.h',
    [2, 3, 4, 5, 6, 7].map((n) => [`command ${n}`, n]),
  ),
  ...operations('sched_op', 'sched.h', [
    ['poll of too many ports', 3, (p) => [p.page(1), 129, 1]],
    ['poll of ports that are not mapped', 3, () => [UNMAPPED, 1, 1]],
    ['poll of a port beyond all', 3, (p) => [p.page(1), 1, 1]],
    ['poll of no port until long ago', 3, (p) => [p.page(1), 0, 1]],
    ['shutdown of a domain that there is not', 4, () => [pair(NOBODY, 0)]],
    ['shutdown of the control domain', 4, () => [0]],
    ['watchdog 1 of no time', 6, () => [pair(1, 0)]],
    ['watchdog 9', 6, () => [pair(9, 5)]],
  ]),
  row('set_timer_op: none', `${HEADERS}/xen.h`, (p) => p.call(CALL.set_timer_op, 0)),
  row('set_timer_op: long ago', `${HEADERS}/xen.h`, (p) => p.call(CALL.set_timer_op, 1)),
  row('set_timer_op: never', `${HEADERS}/xen.h`, (p) =>
    f.lines(p.call(CALL.set_timer_op, 2n ** 63n - 1n), p.call(CALL.set_timer_op, 0)),
  ),
]);

export const grants = programs('grant', [
  ...[...Array(14).keys()].flatMap((cmd) => [
    ...(cmd === 8
      ? []
      : [
          row(`command ${cmd}: one of zeros`, `${HEADERS}/grant_table.h`, (p) =>
            f.lines(
              p.call(CALL.grant_table_op, cmd, p.page(0), 1),
              p.keepWord(p.page(0), 0n),
              p.keepWord(p.page(0) + 8),
            ),
          ),
        ]),
    row(`command ${cmd}: none`, `${HEADERS}/grant_table.h`, (p) =>
      p.call(CALL.grant_table_op, cmd, p.page(0), 0),
    ),
    row(`command ${cmd}: of what is not mapped`, `${HEADERS}/grant_table.h`, (p) =>
      p.call(CALL.grant_table_op, cmd, UNMAPPED, 1),
    ),
    row(`command ${cmd}: of nobody`, `${HEADERS}/grant_table.h`, (p) =>
      f.lines(
        f.words(p, NOBODY, NOBODY),
        p.call(CALL.grant_table_op, cmd, p.page(0), 1),
        p.keepWord(p.page(0) + 8),
      ),
    ),
  ]),
  row('query_size of itself', `${HEADERS}/grant_table.h`, (p) =>
    f.lines(
      f.words(p, DOMID_SELF),
      p.call(CALL.grant_table_op, 6, p.page(0), 1),
      p.keepWord(p.page(0)),
      p.keepWord(p.page(0) + 8),
    ),
  ),
  row('setup_table of more frames than there may be', `${HEADERS}/grant_table.h`, (p) =>
    f.lines(
      f.words(p, pair(DOMID_SELF, 9999), 0, p.page(1)),
      p.call(CALL.grant_table_op, 2, p.page(0), 1),
      p.keepWord(p.page(0) + 8),
    ),
  ),
  row('map a grant of its own that is not given', `${HEADERS}/grant_table.h`, (p) =>
    f.lines(
      f.words(p, p.page(2), pair(2, 100), DOMID_SELF),
      p.call(CALL.grant_table_op, 0, p.page(0), 1),
      p.keepWord(p.page(0) + 16),
    ),
  ),
  row('unmap a handle that there is not', `${HEADERS}/grant_table.h`, (p) =>
    f.lines(
      f.words(p, p.page(2), 0, 0x777),
      p.call(CALL.grant_table_op, 1, p.page(0), 1),
      p.keepWord(p.page(0) + 16),
    ),
  ),
  row('copy from a frame of its own to another', `${HEADERS}/grant_table.h`, (p) =>
    f.lines(
      p.store(p.page(2), 0x1234),
      f.words(p, p.mfn(2), DOMID_SELF, p.mfn(3), DOMID_SELF, 8),
      p.call(CALL.grant_table_op, 5, p.page(0), 1),
      p.keepWord(p.page(0) + 32),
      p.keepWord(p.page(3)),
    ),
  ),
  row('copy across the end of a page', `${HEADERS}/grant_table.h`, (p) =>
    f.lines(
      f.words(p, p.mfn(2), DOMID_SELF | (4090 << 16), p.mfn(3), DOMID_SELF, 8),
      p.call(CALL.grant_table_op, 5, p.page(0), 1),
      p.keepWord(p.page(0) + 32),
    ),
  ),
  row('version 3', `${HEADERS}/grant_table.h`, (p) =>
    f.lines(f.words(p, 3), p.call(CALL.grant_table_op, 8, p.page(0), 1), p.keepWord(p.page(0))),
  ),
  row('version of itself', `${HEADERS}/grant_table.h`, (p) =>
    f.lines(
      f.words(p, DOMID_SELF),
      p.call(CALL.grant_table_op, 10, p.page(0), 1),
      p.keepWord(p.page(0)),
    ),
  ),
]);

export const versions = programs('version', [
  row('version', `${HEADERS}/version.h`, (p) => p.call(CALL.xen_version, 0, 0)),
  row('page size', `${HEADERS}/version.h`, (p) => p.call(CALL.xen_version, 7, 0)),
  row('capabilities', `${HEADERS}/version.h`, (p) =>
    f.lines(
      p.call(CALL.xen_version, 3, p.page(0)),
      p.keepWord(p.page(0)),
      p.keepWord(p.page(0) + 8),
    ),
  ),
  row('platform parameters', `${HEADERS}/version.h`, (p) =>
    f.lines(p.call(CALL.xen_version, 5, p.page(0)), p.keepWord(p.page(0))),
  ),
  ...[0, 1, 2].map((n) =>
    row(`features ${n}`, `${HEADERS}/version.h`, (p) =>
      f.lines(f.words(p, n), p.call(CALL.xen_version, 6, p.page(0)), p.keepWord(p.page(0))),
    ),
  ),
  ...[9, 10, 11, 99].map((cmd) =>
    row(`command ${cmd}`, `${HEADERS}/version.h`, (p) => f.op(p, 'xen_version', cmd)),
  ),
  ...unmapped(
    'xen_version',
    'version.h',
    [1, 2, 3, 4, 5, 6, 8].map((n) => [`command ${n}`, n]),
  ),
]);
