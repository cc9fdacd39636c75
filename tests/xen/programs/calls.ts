// Calls that a domain without privileges makes: what they answer to a right argument and to each wrong one.

import * as f from '../forms.ts';
import { type Parts, programs, type Value, type XenProgram } from '../program.ts';

const { CALL, DOMID_SELF, NOBODY, UNMAPPED, XEN, NO_FRAME } = f;
const HEADERS = 'xen/include/public';

/** The operations of a call with one structure: name, command, words of the structure. */
type Operation = readonly [name: string, cmd: number, fields?: (p: Parts) => readonly Value[]];
const operations = (call: f.CallName, ref: string, list: readonly Operation[]): XenProgram[] =>
  list.map(([name, cmd, fields]) =>
    f.row(`${call}: ${name}`, `${HEADERS}/${ref}`, (p) =>
      f.op(p, call, cmd, ...(fields?.(p) ?? [])),
    ),
  );
/** The same with a structure that is not mapped, or is Xen's. */
const unmapped = (call: f.CallName, ref: string, list: readonly (readonly [string, number])[]) =>
  list.map(([name, cmd]) =>
    f.row(`${call}: ${name} of what is not mapped`, `${HEADERS}/${ref}`, (p) =>
      p.call(CALL[call], cmd, UNMAPPED),
    ),
  );
/** Two 32-bit numbers in a word. */
const pair = (low: number, high: number) => (BigInt(high) << 32n) | BigInt(low >>> 0);

/** Calls by number, which have no operations or which a domain like ours may not make. */
const numbers = programs(
  'number',
  [
    6, 7, 11, 16, 19, 27, 28, 31, 34, 35, 36, 37, 38, 39, 41, 42, 47, 48, 49, 55, 56, 57, 63, 64,
    999,
  ].map((number) =>
    f.row(`call ${number} with a structure of zeros`, `${HEADERS}/xen.h __HYPERVISOR_*`, (p) =>
      p.call(number, p.page(0), p.page(0), 0, 0),
    ),
  ),
);

const ext = programs('mmuext', [
  ...[5, 15].flatMap((cmd) => [
    f.row(`base pointer (${cmd}) to a page mapped writable`, `${HEADERS}/xen.h MMUEXT`, (p) =>
      f.ext(p, cmd, p.mfn(1)),
    ),
    f.row(`base pointer (${cmd}) to a pinned L1`, `${HEADERS}/xen.h MMUEXT`, (p) =>
      f.lines(f.pinned(p, 1, 1), f.ext(p, cmd, p.mfn(1))),
    ),
    f.row(`base pointer (${cmd}) to no frame`, `${HEADERS}/xen.h MMUEXT`, (p) =>
      f.ext(p, cmd, NO_FRAME),
    ),
    f.row(`base pointer (${cmd}) to the root itself`, `${HEADERS}/xen.h MMUEXT`, (p) =>
      f.ext(p, cmd, p.table(4)),
    ),
  ]),
  f.row('user base pointer of nothing', `${HEADERS}/xen.h MMUEXT_NEW_USER_BASEPTR`, (p) =>
    f.ext(p, 15, 0),
  ),
  f.row('base pointer of frame 0', `${HEADERS}/xen.h MMUEXT_NEW_BASEPTR`, (p) => f.ext(p, 5, 0)),
  f.row('user base pointer to an empty pinned L4', `${HEADERS}/xen.h MMUEXT`, (p) =>
    f.lines(
      f.pinned(p, 1, 4),
      f.ext(p, 15, p.mfn(1)),
      f.remap(p, 1, f.P | f.RW),
      f.ext(p, 4, p.mfn(1)),
      f.remap(p, 1, f.P | f.RW),
      f.ext(p, 15, 0),
      f.remap(p, 1, f.P | f.RW),
    ),
  ),
  ...[6, 10].map((cmd) => f.row(`flush (${cmd})`, `${HEADERS}/xen.h MMUEXT`, (p) => f.ext(p, cmd))),
  ...[7, 11].flatMap((cmd) => [
    f.row(`invlpg (${cmd})`, `${HEADERS}/xen.h MMUEXT`, (p) => f.ext(p, cmd, p.page(1))),
    f.row(`invlpg (${cmd}) of Xen`, `${HEADERS}/xen.h MMUEXT`, (p) => f.ext(p, cmd, XEN)),
    f.row(`invlpg (${cmd}) of no address`, `${HEADERS}/xen.h MMUEXT`, (p) =>
      f.ext(p, cmd, f.NOT_CANONICAL),
    ),
  ]),
  ...[8, 9].flatMap((cmd) => [
    f.row(`on vCPUs (${cmd})`, `${HEADERS}/xen.h MMUEXT`, (p) =>
      f.lines(p.store(p.page(2), 1), f.ext(p, cmd, p.page(1), p.page(2))),
    ),
    f.row(`on vCPUs that there are not (${cmd})`, `${HEADERS}/xen.h MMUEXT`, (p) =>
      f.lines(p.store(p.page(2), 0xfffe), f.ext(p, cmd, p.page(1), p.page(2))),
    ),
    f.row(`on vCPUs of a mask that is not mapped (${cmd})`, `${HEADERS}/xen.h MMUEXT`, (p) =>
      f.ext(p, cmd, p.page(1), UNMAPPED),
    ),
  ]),
  ...[12, 14, 18, 19, 20, 21, 99].map((cmd) =>
    f.row(`command ${cmd}`, `${HEADERS}/xen.h MMUEXT`, (p) => f.ext(p, cmd, p.mfn(1))),
  ),
  f.row('clear a page', `${HEADERS}/xen.h MMUEXT_CLEAR_PAGE`, (p) =>
    f.lines(p.store(p.page(1), 0x77), f.ext(p, 16, p.mfn(1)), p.keepWord(p.page(1))),
  ),
  f.row('clear a table', `${HEADERS}/xen.h MMUEXT_CLEAR_PAGE`, (p) =>
    f.lines(f.pinned(p, 1, 1), f.ext(p, 16, p.mfn(1))),
  ),
  f.row('clear no frame', `${HEADERS}/xen.h MMUEXT_CLEAR_PAGE`, (p) => f.ext(p, 16, NO_FRAME)),
  f.row('copy a page', `${HEADERS}/xen.h MMUEXT_COPY_PAGE`, (p) =>
    f.lines(p.store(p.page(2), 0x77), f.ext(p, 17, p.mfn(1), p.mfn(2)), p.keepWord(p.page(1))),
  ),
  f.row('copy a table', `${HEADERS}/xen.h MMUEXT_COPY_PAGE`, (p) =>
    f.lines(f.pinned(p, 2, 1), f.ext(p, 17, p.mfn(1), p.mfn(2))),
  ),
  f.row('copy to a table', `${HEADERS}/xen.h MMUEXT_COPY_PAGE`, (p) =>
    f.lines(f.pinned(p, 1, 1), f.ext(p, 17, p.mfn(1), p.mfn(2))),
  ),
  f.row('copy no frame', `${HEADERS}/xen.h MMUEXT_COPY_PAGE`, (p) =>
    f.ext(p, 17, p.mfn(1), NO_FRAME),
  ),
  f.row('an LDT', `${HEADERS}/xen.h MMUEXT_SET_LDT`, (p) =>
    f.lines(f.ext(p, 13, p.page(1), 1), f.ext(p, 13, 0, 0)),
  ),
  f.row('an LDT of too many entries', `${HEADERS}/xen.h MMUEXT_SET_LDT`, (p) =>
    f.ext(p, 13, p.page(1), 8193),
  ),
  f.row('an LDT within a page', `${HEADERS}/xen.h MMUEXT_SET_LDT`, (p) =>
    f.ext(p, 13, p.page(1) + 8, 1),
  ),
  f.row('an LDT in Xen', `${HEADERS}/xen.h MMUEXT_SET_LDT`, (p) => f.ext(p, 13, XEN, 1)),
  f.row('an LDT at no address', `${HEADERS}/xen.h MMUEXT_SET_LDT`, (p) =>
    f.ext(p, 13, f.NOT_CANONICAL, 1),
  ),
  f.row('two operations, the second wrong', `${HEADERS}/xen.h`, (p) =>
    f.lines(
      f.words(p, 6, 0, 0, 99, 0, 0),
      p.call(CALL.mmuext_op, p.page(0), 2, p.page(2), DOMID_SELF),
      p.keepWord(p.page(2)),
    ),
  ),
  f.row('no operations', `${HEADERS}/xen.h`, (p) =>
    p.call(CALL.mmuext_op, p.page(0), 0, 0, DOMID_SELF),
  ),
  f.row('operations that are not mapped', `${HEADERS}/xen.h`, (p) =>
    p.call(CALL.mmuext_op, UNMAPPED, 1, 0, DOMID_SELF),
  ),
  f.row('for nobody', `${HEADERS}/xen.h`, (p) => p.call(CALL.mmuext_op, p.page(0), 1, 0, NOBODY)),
  f.row('for the control domain', `${HEADERS}/xen.h`, (p) =>
    p.call(CALL.mmuext_op, p.page(0), 1, 0, 0),
  ),
]);

const memory = programs('memory', [
  ...[...Array(30).keys()].map((cmd) =>
    f.row(`command ${cmd} with a structure of zeros`, `${HEADERS}/memory.h`, (p) =>
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
  f.row('give back a page that is mapped, and have it again', `${HEADERS}/memory.h`, (p) =>
    f.lines(
      p.store(p.page(1), p.mfn(2)),
      f.op(p, 'memory_op', 1, p.page(1), 1, DOMID_SELF),
      p.attempt(`mov rbx, ${p.page(2)}; mov rax, [rbx]`),
    ),
  ),
]);

const events = programs('event', [
  ...[...Array(16).keys()].map((cmd) =>
    f.row(`command ${cmd} with a structure of zeros`, `${HEADERS}/event_channel.h`, (p) =>
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
  f.row('an IPI: bound, sent, pending, closed', `${HEADERS}/event_channel.h`, (p) =>
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
  f.row('loopback: unbound, bound, sent both ways', `${HEADERS}/event_channel.h`, (p) =>
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

const vcpus = programs('vcpu', [
  ...[...Array(16).keys()].flatMap((cmd) => [
    ...(cmd === 2
      ? []
      : [
          f.row(`command ${cmd} of vCPU 0 with a structure of zeros`, `${HEADERS}/vcpu.h`, (p) =>
            p.call(CALL.vcpu_op, cmd, 0, p.page(0)),
          ),
        ]),
    f.row(`command ${cmd} of vCPU 9`, `${HEADERS}/vcpu.h`, (p) =>
      p.call(CALL.vcpu_op, cmd, 9, p.page(0)),
    ),
    f.row(`command ${cmd} of vCPU 9000`, `${HEADERS}/vcpu.h`, (p) =>
      p.call(CALL.vcpu_op, cmd, 9000, p.page(0)),
    ),
    ...([2, 3, 7, 9].includes(cmd)
      ? []
      : [
          f.row(`command ${cmd} of what is not mapped`, `${HEADERS}/vcpu.h`, (p) =>
            p.call(CALL.vcpu_op, cmd, 0, UNMAPPED),
          ),
        ]),
  ]),
  f.row('a period that is too short', `${HEADERS}/vcpu.h`, (p) =>
    f.lines(f.words(p, 1000), p.call(CALL.vcpu_op, 6, 0, p.page(0))),
  ),
  f.row('a single shot in the past that wants to know', `${HEADERS}/vcpu.h`, (p) =>
    f.lines(f.words(p, 1, 1), p.call(CALL.vcpu_op, 8, 0, p.page(0))),
  ),
]);

const scheduling = programs('sched', [
  ...[0, 4, 5, 6, 7, 8, 99].map((cmd) =>
    f.row(`command ${cmd} with a structure of zeros`, `${HEADERS}/sched.h`, (p) =>
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
  f.row('set_timer_op: none', `${HEADERS}/xen.h`, (p) => p.call(CALL.set_timer_op, 0)),
  f.row('set_timer_op: long ago', `${HEADERS}/xen.h`, (p) => p.call(CALL.set_timer_op, 1)),
  f.row('set_timer_op: never', `${HEADERS}/xen.h`, (p) =>
    f.lines(p.call(CALL.set_timer_op, 2n ** 63n - 1n), p.call(CALL.set_timer_op, 0)),
  ),
]);

const grants = programs('grant', [
  ...[...Array(14).keys()].flatMap((cmd) => [
    ...(cmd === 8
      ? []
      : [
          f.row(`command ${cmd}: one of zeros`, `${HEADERS}/grant_table.h`, (p) =>
            f.lines(
              p.call(CALL.grant_table_op, cmd, p.page(0), 1),
              p.keepWord(p.page(0), 0n),
              p.keepWord(p.page(0) + 8),
            ),
          ),
        ]),
    f.row(`command ${cmd}: none`, `${HEADERS}/grant_table.h`, (p) =>
      p.call(CALL.grant_table_op, cmd, p.page(0), 0),
    ),
    f.row(`command ${cmd}: of what is not mapped`, `${HEADERS}/grant_table.h`, (p) =>
      p.call(CALL.grant_table_op, cmd, UNMAPPED, 1),
    ),
    f.row(`command ${cmd}: of nobody`, `${HEADERS}/grant_table.h`, (p) =>
      f.lines(
        f.words(p, NOBODY, NOBODY),
        p.call(CALL.grant_table_op, cmd, p.page(0), 1),
        p.keepWord(p.page(0) + 8),
      ),
    ),
  ]),
  f.row('query_size of itself', `${HEADERS}/grant_table.h`, (p) =>
    f.lines(
      f.words(p, DOMID_SELF),
      p.call(CALL.grant_table_op, 6, p.page(0), 1),
      p.keepWord(p.page(0)),
      p.keepWord(p.page(0) + 8),
    ),
  ),
  f.row('setup_table of more frames than there may be', `${HEADERS}/grant_table.h`, (p) =>
    f.lines(
      f.words(p, pair(DOMID_SELF, 9999), 0, p.page(1)),
      p.call(CALL.grant_table_op, 2, p.page(0), 1),
      p.keepWord(p.page(0) + 8),
    ),
  ),
  f.row('map a grant of its own that is not given', `${HEADERS}/grant_table.h`, (p) =>
    f.lines(
      f.words(p, p.page(2), pair(2, 100), DOMID_SELF),
      p.call(CALL.grant_table_op, 0, p.page(0), 1),
      p.keepWord(p.page(0) + 16),
    ),
  ),
  f.row('unmap a handle that there is not', `${HEADERS}/grant_table.h`, (p) =>
    f.lines(
      f.words(p, p.page(2), 0, 0x777),
      p.call(CALL.grant_table_op, 1, p.page(0), 1),
      p.keepWord(p.page(0) + 16),
    ),
  ),
  f.row('copy from a frame of its own to another', `${HEADERS}/grant_table.h`, (p) =>
    f.lines(
      p.store(p.page(2), 0x1234),
      f.words(p, p.mfn(2), DOMID_SELF, p.mfn(3), DOMID_SELF, 8),
      p.call(CALL.grant_table_op, 5, p.page(0), 1),
      p.keepWord(p.page(0) + 32),
      p.keepWord(p.page(3)),
    ),
  ),
  f.row('copy across the end of a page', `${HEADERS}/grant_table.h`, (p) =>
    f.lines(
      f.words(p, p.mfn(2), DOMID_SELF | (4090 << 16), p.mfn(3), DOMID_SELF, 8),
      p.call(CALL.grant_table_op, 5, p.page(0), 1),
      p.keepWord(p.page(0) + 32),
    ),
  ),
  f.row('version 3', `${HEADERS}/grant_table.h`, (p) =>
    f.lines(f.words(p, 3), p.call(CALL.grant_table_op, 8, p.page(0), 1), p.keepWord(p.page(0))),
  ),
  f.row('version of itself', `${HEADERS}/grant_table.h`, (p) =>
    f.lines(
      f.words(p, DOMID_SELF),
      p.call(CALL.grant_table_op, 10, p.page(0), 1),
      p.keepWord(p.page(0)),
    ),
  ),
]);

const versions = programs('version', [
  f.row('version', `${HEADERS}/version.h`, (p) => p.call(CALL.xen_version, 0, 0)),
  f.row('page size', `${HEADERS}/version.h`, (p) => p.call(CALL.xen_version, 7, 0)),
  f.row('capabilities', `${HEADERS}/version.h`, (p) =>
    f.lines(
      p.call(CALL.xen_version, 3, p.page(0)),
      p.keepWord(p.page(0)),
      p.keepWord(p.page(0) + 8),
    ),
  ),
  f.row('platform parameters', `${HEADERS}/version.h`, (p) =>
    f.lines(p.call(CALL.xen_version, 5, p.page(0)), p.keepWord(p.page(0))),
  ),
  ...[0, 1, 2].map((n) =>
    f.row(`features ${n}`, `${HEADERS}/version.h`, (p) =>
      f.lines(f.words(p, n), p.call(CALL.xen_version, 6, p.page(0)), p.keepWord(p.page(0))),
    ),
  ),
  ...[9, 10, 11, 99].map((cmd) =>
    f.row(`command ${cmd}`, `${HEADERS}/version.h`, (p) => f.op(p, 'xen_version', cmd)),
  ),
  ...unmapped(
    'xen_version',
    'version.h',
    [1, 2, 3, 4, 5, 6, 8].map((n) => [`command ${n}`, n]),
  ),
]);

const others = programs('call', [
  ...[0, 1, 2].map((cmd) =>
    f.row(`console_io ${cmd}`, `${HEADERS}/xen.h CONSOLEIO_*`, (p) =>
      p.call(CALL.console_io, cmd, 4, p.page(0)),
    ),
  ),
  ...[...Array(7).keys(), 32, 63, 64, 99].flatMap((type) =>
    [0, 1].map((cmd) =>
      f.row(
        `vm_assist ${cmd === 0 ? 'enables' : 'disables'} ${type}`,
        `${HEADERS}/xen.h VMASST_*`,
        (p) => p.call(CALL.vm_assist, cmd, type),
      ),
    ),
  ),
  f.row('vm_assist 2', `${HEADERS}/xen.h VMASST_CMD_*`, (p) => p.call(CALL.vm_assist, 2, 2)),
  ...[0, 1, 2, 3, 4].flatMap((which) => [
    f.row(`segment base ${which}`, `${HEADERS}/arch-x86/xen-x86_64.h`, (p) =>
      p.call(CALL.set_segment_base, which, 0),
    ),
    f.row(`segment base ${which} in Xen`, `${HEADERS}/arch-x86/xen-x86_64.h`, (p) =>
      f.lines(p.call(CALL.set_segment_base, which, XEN), p.call(CALL.set_segment_base, which, 0)),
    ),
    f.row(`segment base ${which} that is no address`, `${HEADERS}/arch-x86/xen-x86_64.h`, (p) =>
      p.call(CALL.set_segment_base, which, f.NOT_CANONICAL),
    ),
  ]),
  ...[0, 1, 2, 3, 4, 5, 6, 7, 8].flatMap((n) => [
    f.row(`debug register ${n}: an address, and read`, `${HEADERS}/xen.h set_debugreg`, (p) =>
      f.lines(
        p.call(CALL.set_debugreg, n, 0x1000),
        p.call(CALL.get_debugreg, n),
        p.call(CALL.set_debugreg, n, 0),
      ),
    ),
    f.row(`debug register ${n}: an address in Xen`, `${HEADERS}/xen.h set_debugreg`, (p) =>
      p.call(CALL.set_debugreg, n, XEN),
    ),
  ]),
  f.row('DR7: an I/O breakpoint', `${HEADERS}/xen.h set_debugreg`, (p) =>
    p.call(CALL.set_debugreg, 7, 0x20002),
  ),
  f.row('DR7: general detect', `${HEADERS}/xen.h set_debugreg`, (p) =>
    f.lines(
      p.call(CALL.set_debugreg, 7, 0x2000),
      p.call(CALL.get_debugreg, 7),
      p.call(CALL.set_debugreg, 7, 0),
    ),
  ),
  f.row('stack_switch in Xen', `${HEADERS}/xen.h`, (p) => p.call(CALL.stack_switch, 0, XEN)),
  f.row('stack_switch to no address', `${HEADERS}/xen.h`, (p) =>
    p.call(CALL.stack_switch, 0, f.NOT_CANONICAL),
  ),
  f.row('stack_switch', `${HEADERS}/xen.h`, (p) => p.call(CALL.stack_switch, 0xe02b, p.page(1))),
  f.row('set_callbacks', `${HEADERS}/xen.h`, (p) =>
    p.call(CALL.set_callbacks, p.page(1), p.page(1), p.page(1)),
  ),
  f.row('set_callbacks in Xen', `${HEADERS}/xen.h`, (p) =>
    p.call(CALL.set_callbacks, XEN, p.page(1), p.page(1)),
  ),
  ...[0, 1, 2, 3, 4, 5, 6, 7, 8].flatMap((type) => [
    f.row(`callback ${type}`, `${HEADERS}/callback.h`, (p) =>
      f.op(p, 'callback_op', 0, type, p.page(1)),
    ),
    f.row(`callback ${type} in Xen`, `${HEADERS}/callback.h`, (p) =>
      f.op(p, 'callback_op', 0, type, XEN),
    ),
    f.row(`callback ${type} that is no address`, `${HEADERS}/callback.h`, (p) =>
      f.op(p, 'callback_op', 0, type, f.NOT_CANONICAL),
    ),
    f.row(`callback ${type} unregistered`, `${HEADERS}/callback.h`, (p) =>
      f.op(p, 'callback_op', 1, type),
    ),
  ]),
  f.row('callback_op 2', `${HEADERS}/callback.h`, (p) => f.op(p, 'callback_op', 2, 0)),
  f.row('callback of what is not mapped', `${HEADERS}/callback.h`, (p) =>
    p.call(CALL.callback_op, 0, UNMAPPED),
  ),
  ...[...Array(32).keys()].map((cmd) =>
    f.row(`physdev_op ${cmd} with a structure of zeros`, `${HEADERS}/physdev.h`, (p) =>
      f.op(p, 'physdev_op', cmd),
    ),
  ),
  ...operations('physdev_op', 'physdev.h', [
    ['IOPL 3', 6, () => [3]],
    ['IOPL 4', 6, () => [4]],
    ['a bitmap of 65536 ports', 7, (p) => [p.page(1), 65536]],
    ['a bitmap of too many ports', 7, (p) => [p.page(1), 65537]],
    ['a bitmap in Xen', 7, () => [XEN, 100]],
  ]),
  ...[0, 1, 2].map((cmd) =>
    f.row(`nmi_op ${cmd}`, `${HEADERS}/nmi.h`, (p) => f.op(p, 'nmi_op', cmd)),
  ),
  ...[0, 1, 2, 5].map((cmd) =>
    f.row(`xenpmu_op ${cmd}`, `${HEADERS}/xenpmu.h`, (p) => f.op(p, 'xenpmu_op', cmd)),
  ),
  f.row('fpu_taskswitch sets TS, and an instruction of the FPU', `${HEADERS}/xen.h`, (p) =>
    f.lines(
      p.call(CALL.fpu_taskswitch, 1),
      p.attempt('fld1'),
      p.call(CALL.fpu_taskswitch, 0),
      p.attempt('fld1; fstp st0'),
    ),
  ),
  f.row('a trap table that is not mapped', `${HEADERS}/arch-x86/xen.h`, (p) =>
    p.call(CALL.set_trap_table, UNMAPPED),
  ),
  f.row('a trap table in Xen', `${HEADERS}/arch-x86/xen.h`, (p) =>
    p.call(CALL.set_trap_table, XEN),
  ),
  f.row('a handler in Xen', `${HEADERS}/arch-x86/xen.h`, (p) =>
    f.lines(
      f.words(p, 0xe033_0000_0000n / 65536n, XEN, 0, 0),
      p.call(CALL.set_trap_table, p.page(0)),
    ),
  ),
  f.row('a handler that is no address', `${HEADERS}/arch-x86/xen.h`, (p) =>
    f.lines(f.words(p, 0x40, f.NOT_CANONICAL, 0, 0), p.call(CALL.set_trap_table, p.page(0))),
  ),
  f.row('multicall: each has its result', `${HEADERS}/xen.h multicall_entry`, (p) =>
    f.lines(
      f.words(p, 17, 0x55, 7, 0, 0, 0, 0, 0, 999, 0x55, 0, 0, 0, 0, 0, 0, 17, 0x55, 99),
      p.call(CALL.multicall, p.page(0), 3),
      p.keepWord(p.page(0) + 8),
      p.keepWord(p.page(0) + 72),
      p.keepWord(p.page(0) + 136),
    ),
  ),
  f.row('multicall of none', `${HEADERS}/xen.h multicall_entry`, (p) =>
    p.call(CALL.multicall, p.page(0), 0),
  ),
  f.row('multicall of what is not mapped', `${HEADERS}/xen.h multicall_entry`, (p) =>
    p.call(CALL.multicall, UNMAPPED, 1),
  ),
  f.row('multicall of a multicall', `${HEADERS}/xen.h multicall_entry`, (p) =>
    f.lines(
      f.words(p, 13, 0x55, p.page(1), 0),
      p.call(CALL.multicall, p.page(0), 1),
      p.keepWord(p.page(0) + 8),
    ),
  ),
  f.row('multicall of an iret', `${HEADERS}/xen.h multicall_entry`, (p) =>
    f.lines(f.words(p, 23, 0x55), p.call(CALL.multicall, p.page(0), 1), p.keepWord(p.page(0) + 8)),
  ),
]);

export const calls: readonly XenProgram[] = [
  ...numbers,
  ...ext,
  ...memory,
  ...events,
  ...vcpus,
  ...scheduling,
  ...grants,
  ...versions,
  ...others,
];
