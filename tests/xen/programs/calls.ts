// Calls of PV guests only, and all calls in their order: what they answer to a right argument and to each wrong one.

import * as f from '../forms.ts';
import { programs, type XenProgram } from '../program.ts';
import * as shared from './shared-calls.ts';

const { CALL, DOMID_SELF, NOBODY, UNMAPPED, XEN, NO_FRAME } = f;
const HEADERS = 'xen/include/public';

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
  ...shared.operations('physdev_op', 'physdev.h', [
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

/** Whom it is about is said by the first word of most; each is asked for four: domain 0, itself, nobody, and what is not mapped. */
const hvmOp = programs(
  'hvm_op',
  [...Array(7).keys(), 9, 10, 11, 12, 13, 15, 23, 24, 25, 26].map((cmd) =>
    f.row(`command ${cmd}`, `${HEADERS}/hvm/hvm_op.h HVMOP_*`, (p) =>
      f.lines(
        ...[0, DOMID_SELF, NOBODY].map((domid) => f.op(p, 'hvm_op', cmd, domid)),
        p.call(CALL.hvm_op, cmd, UNMAPPED),
        p.call(CALL.hvm_op, cmd, 0),
      ),
    ),
  ),
);

export const calls: readonly XenProgram[] = [
  ...shared.numbers,
  ...hvmOp,
  ...ext,
  ...shared.memory,
  ...shared.events,
  ...shared.vcpus,
  ...shared.scheduling,
  ...shared.grants,
  ...shared.versions,
  ...others,
];
