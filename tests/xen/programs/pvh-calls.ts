// Calls of PVH guests: from each mode, what only such guests have (hvm_op, the physical map), and what they may not.

import * as f from '../forms.ts';
import * as at from '../layout.ts';
import { hex, programs, type Value } from '../program.ts';
import * as h from '../pvh-forms.ts';
import type { PvhParts, PvhProgram } from '../pvh-program.ts';
import { operations } from './shared-calls.ts';

const { CALL, DOMID_SELF, NOBODY, UNMAPPED } = f;
const HEADERS = 'xen/include/public';
const MODES = 'xen/arch/x86/hvm/hypercall.c';
const row = f.row<PvhParts>;
const VMMCALL = 'bytes 0f 01 d9';
const VMCALL = 'bytes 0f 01 c1';

/** Registers that a call is given, and whether they are as before: the sum of their differences. */
const KEPT = [
  'rbx',
  'rcx',
  'rdx',
  'rsi',
  'rdi',
  'rbp',
  'r8',
  'r9',
  'r10',
  'r11',
  'r12',
  'r13',
  'r14',
];

const callers = programs('caller', [
  row('through the hypercall page', MODES, (p) =>
    f.lines(
      `xor edi, edi; mov rax, ${hex(at.CALL_PAGE + CALL.xen_version * 32)}; call rax`,
      p.keep('rax'),
    ),
  ),
  ...[0, 17, 23, 63, 127].map((n) =>
    row(`the hypercall page: slot ${n}`, MODES, (p) =>
      f.lines(p.keepWord(at.CALL_PAGE + n * 32), p.keepWord(at.CALL_PAGE + n * 32 + 8)),
    ),
  ),
  row('by VMMCALL', MODES, (p) =>
    f.lines(p.attempt(`xor edi, edi; mov eax, 17; ${VMMCALL}; mov r12, rax`), p.keep('r12')),
  ),
  row('by VMCALL', MODES, (p) => p.attempt(`xor edi, edi; mov eax, 17; ${VMCALL}`)),
  row('from ring 3', MODES, (p) =>
    f.lines(p.user(`xor edi, edi; mov eax, 17; ${VMMCALL}; mov r12, rax; ud2`), p.keep('r12')),
  ),
  row('from ring 3, a number that there is not', MODES, (p) =>
    f.lines(p.user(`mov eax, 999; ${VMMCALL}; mov r12, rax; ud2`), p.keep('r12')),
  ),
  row('a number with something in its upper half', MODES, (p) =>
    f.lines('xor edi, edi; mov rax, 0x100000011; call hypercall', p.keep('rax')),
  ),
  row('the number of bit 31', MODES, (p) =>
    f.lines('xor edi, edi; mov eax, 0x80000011; call hypercall', p.keep('rax')),
  ),
  row('registers are kept', MODES, (p) =>
    f.lines(
      ...KEPT.map((name, n) => `mov ${name}, ${n + 1}`),
      'xor edi, edi; mov eax, 17; call hypercall; xor eax, eax; mov edi, 5',
      ...KEPT.map((name, n) => `sub ${name}, ${n + 1}; or rax, ${name}`),
      p.keep('rax'),
    ),
  ),
  row('flags are kept', MODES, (p) =>
    f.lines(
      'xor edi, edi; mov eax, 17; stc; std; call hypercall; pushfq; cld; pop rax; and eax, 0x401',
      p.keep('rax'),
    ),
  ),
  ...[0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 14, 16, 19, 21, 22, 23, 25, 26, 27, 30, 33, 38, 40, 128].map(
    (number) => row(`call ${number}`, MODES, (p) => p.call(number, p.page(0), 0, 0, DOMID_SELF)),
  ),
  ...[0, 1, 2].map((cmd) =>
    row(`vm_assist ${cmd} of types 4, 5 and 32`, 'xen/include/public/xen.h VMASST_*', (p) =>
      f.lines(...[4, 5, 32].map((type) => p.call(CALL.vm_assist, cmd, type))),
    ),
  ),
]);

/** From 32-bit code: structures have 32-bit pointers and longs. */
type Narrow = readonly [
  name: string,
  call: f.CallName,
  cmd: number,
  fields: (p: PvhParts) => readonly bigint[],
  ...keep: number[],
];
const NARROW: readonly Narrow[] = [
  ['xen_version: capabilities', 'xen_version', 3, () => [], 0, 4],
  ['xen_version: platform parameters', 'xen_version', 5, () => [0x5555_5555_5555_5555n], 0],
  ['xen_version: features', 'xen_version', 6, () => [0n], 0],
  ['memory_op: the map', 'memory_op', 9, (p) => [h.pair(2, p.narrowPage(1))], 0],
  [
    'memory_op: a page given back',
    'memory_op',
    1,
    (p) => [h.pair(p.narrowPage(1), 1), h.pair(0, 0), BigInt(DOMID_SELF)],
  ],
  [
    'memory_op: the page had again',
    'memory_op',
    6,
    (p) => [h.pair(p.narrowPage(1), 1), h.pair(0, 0), BigInt(DOMID_SELF)],
  ],
  [
    'memory_op: shared_info',
    'memory_op',
    7,
    () => [h.pair(DOMID_SELF, 0), h.pair(0, at.physical(at.SHARED_INFO) / 4096)],
  ],
  [
    'memory_op: shared_info 1',
    'memory_op',
    7,
    () => [h.pair(DOMID_SELF, 0), h.pair(1, at.physical(at.SHARED_INFO) / 4096)],
  ],
  ['event_channel_op: an IPI', 'event_channel_op', 7, () => [0n]],
  [
    'event_channel_op: unbound for nobody',
    'event_channel_op',
    6,
    () => [BigInt(DOMID_SELF | (NOBODY << 16))],
  ],
  ['event_channel_op: a status', 'event_channel_op', 5, () => [h.pair(DOMID_SELF, 1)], 8],
  ['event_channel_op: to no port', 'event_channel_op', 4, () => [0xffffn]],
  ['hvm_op: a port', 'hvm_op', 1, () => [h.pair(DOMID_SELF, 2), 0n], 8],
  ['hvm_op: a parameter that there is not', 'hvm_op', 1, () => [h.pair(DOMID_SELF, 99), 0n]],
  [
    'sched_op: a poll of no port until long ago',
    'sched_op',
    3,
    (p) => [h.pair(p.narrowPage(1), 0), 1n],
  ],
  ['sched_op: a poll of too many', 'sched_op', 3, (p) => [h.pair(p.narrowPage(1), 129), 1n]],
  ['sched_op: 99', 'sched_op', 99, () => []],
];

const narrow = programs('32-bit', [
  row('the version', MODES, (p) => p.call32(CALL.xen_version, 0, 0)),
  row('the version, from 16-bit code', MODES, (p) => p.call16(CALL.xen_version, 0, 0)),
  row('a number that there is not', MODES, (p) => p.call32(999)),
  row('a number that there is not, from 16-bit code', MODES, (p) => p.call16(999)),
  row('a call of PV guests', MODES, (p) =>
    p.call32(CALL.mmu_update, p.narrowPage(0), 1, 0, DOMID_SELF),
  ),
  ...NARROW.map(([name, call, cmd, fields, ...keep]) =>
    row(name, `${HEADERS}/xen-compat.h`, (p) =>
      f.lines(
        ...(call === 'memory_op' ? [p.store(p.page(1), p.frame(5))] : []),
        f.words(p, ...fields(p)),
        p.call32(CALL[call], cmd, p.narrowPage(0)),
        ...keep.map((offset) => h.keep32(p, p.page(0) + offset)),
      ),
    ),
  ),
  ...(['xen_version', 'memory_op', 'event_channel_op', 'hvm_op', 'grant_table_op'] as const).map(
    (call) =>
      row(`${call} of what is not mapped`, `${HEADERS}/xen-compat.h`, (p) =>
        p.call32(CALL[call], 6, UNMAPPED, 1),
      ),
  ),
  row('vcpu_op: the run state', `${HEADERS}/vcpu.h`, (p) =>
    f.lines(
      p.call32(CALL.vcpu_op, 4, 0, p.narrowPage(0)),
      h.keep32(p, p.page(0)),
      'xor eax, eax; cmp dword ptr [rbx + 12], 0; setne al',
      p.keep('rax'),
    ),
  ),
  row('vcpu_op: up', `${HEADERS}/vcpu.h`, (p) => p.call32(CALL.vcpu_op, 3, 0, 0)),
  row('set_timer_op takes two words', `${HEADERS}/xen.h`, (p) =>
    f.lines(p.call32(CALL.set_timer_op, 0, 0x7fffffff), p.call32(CALL.set_timer_op, 0, 0)),
  ),
  row('grant_table_op: the size', `${HEADERS}/grant_table.h`, (p) =>
    f.lines(
      f.words(p, DOMID_SELF),
      p.call32(CALL.grant_table_op, 6, p.narrowPage(0), 1),
      h.keep32(p, p.page(0) + 4),
      h.keep32(p, p.page(0) + 8),
    ),
  ),
  row('multicall: each has its result', `${HEADERS}/xen.h multicall_entry`, (p) =>
    f.lines(
      f.words(p, h.pair(17, 0x55), h.pair(7, 0), 0, 0, h.pair(999, 0x55), 0, 0, 0),
      p.call32(CALL.multicall, p.narrowPage(0), 2),
      h.keep32(p, p.page(0) + 4),
      h.keep32(p, p.page(0) + 36),
    ),
  ),
  row('console_io', `${HEADERS}/xen.h CONSOLEIO_*`, (p) =>
    p.call32(CALL.console_io, 0, 4, p.narrowPage(0)),
  ),
  // Where wc_version is in shared_info of 32 bits: arch-x86/xen.h.
  row(
    'a callback set from 32-bit code makes shared_info that of 32 bits',
    'xen/arch/x86/hvm/hvm.c hvm_latch_shinfo_size',
    (p) =>
      f.lines(
        f.words(p, h.pair(DOMID_SELF, h.PARAM.callback), h.byVector(h.VECTOR)),
        p.call32(CALL.hvm_op, 0, p.narrowPage(0)),
        `mov rbx, ${hex(at.SHARED_INFO)}; xor eax, eax; cmp dword ptr [rbx + 0x904], 0; setne al`,
        p.keep('rax'),
        h.upcalls(p),
        `mov rbx, ${hex(at.SHARED_INFO)}; xor eax, eax; cmp dword ptr [rbx + 0xc04], 0; setne al`,
        p.keep('rax'),
      ),
  ),
]);

/** Values that a program may try to set: 3 is not tried for the S state, which would stop the domain. */
const TRIED = [0, 1];
const HVM_OP = `${HEADERS}/hvm/hvm_op.h`;
const PARAMS = `${HEADERS}/hvm/params.h`;

const parameters = programs('parameter', [
  ...[...Array(41).keys()].map((index) =>
    row(`${index} is asked for, becomes 0, becomes 1`, PARAMS, (p) =>
      f.lines(h.getParam(p, index), ...TRIED.map((value) => h.setParam(p, index, value))),
    ),
  ),
  row('the ports', PARAMS, (p) =>
    f.lines(
      ...[h.PARAM.storePort, h.PARAM.consolePort].flatMap((index) => [
        h.getParam(p, index),
        p.keepWord(p.page(0) + 8),
      ]),
    ),
  ),
  row('the callback as it was set', PARAMS, (p) =>
    f.lines(h.upcalls(p), h.getParam(p, h.PARAM.callback), p.keepWord(p.page(0) + 8)),
  ),
  row('the port of the store becomes what it is', PARAMS, (p) =>
    f.lines(h.getParam(p, h.PARAM.storePort), p.call(CALL.hvm_op, 0, p.page(0))),
  ),
  row('the S state becomes 2', PARAMS, (p) => h.setParam(p, h.PARAM.sState, 2)),
  ...[-1, 0x7fffffff].map((index) =>
    row(`number ${index}`, PARAMS, (p) =>
      f.lines(h.getParam(p, index >>> 0), h.setParam(p, index >>> 0, 0)),
    ),
  ),
  ...(
    [
      ['nobody', NOBODY],
      ['the control domain', 0],
      ['what is no domain', 0xffff],
    ] as const
  ).map(([name, domid]) =>
    row(`of ${name}`, PARAMS, (p) =>
      f.lines(h.getParam(p, 0, domid), h.setParam(p, 0, 0, domid), h.getParam(p, 99, domid)),
    ),
  ),
]);

const hvmOp = programs('hvm_op', [
  ...[...Array(28).keys(), 99].map((cmd) =>
    row(`command ${cmd} with a structure of zeros`, HVM_OP, (p) => f.op(p, 'hvm_op', cmd)),
  ),
  ...[0, 1, 9, 10, 11, 12, 15, 23, 24, 25].map((cmd) =>
    row(`command ${cmd} of what is not mapped`, HVM_OP, (p) => p.call(CALL.hvm_op, cmd, UNMAPPED)),
  ),
  row('flush_tlbs', HVM_OP, (p) => p.call(CALL.hvm_op, 5, 0)),
  row('get_time goes on', HVM_OP, (p) =>
    f.lines(
      p.call(CALL.hvm_op, 10, p.page(0)),
      p.call(CALL.hvm_op, 10, p.page(1)),
      `mov rbx, ${hex(p.page(0))}; mov rcx, ${hex(p.page(1))}; mov rcx, [rcx]; xor eax, eax; cmp rcx, [rbx]; seta al`,
      p.keep('rax'),
    ),
  ),
  ...(
    [
      ['RAM', (p) => p.frame(1)],
      ['shared_info', () => at.physical(at.SHARED_INFO) / 4096],
      ['nothing', () => 0x30000],
      ['the local APIC', () => 0xfee00],
      ['no frame', () => 2n ** 40n],
    ] as readonly (readonly [string, (p: PvhParts) => Value])[]
  ).map(([name, frame]) =>
    row(`get_mem_type of ${name}`, HVM_OP, (p) =>
      f.lines(
        f.words(p, DOMID_SELF, frame(p)),
        p.call(CALL.hvm_op, 15, p.page(0)),
        h.keep32(p, p.page(0) + 2),
      ),
    ),
  ),
  row('get_mem_type for nobody', HVM_OP, (p) => f.op(p, 'hvm_op', 15, NOBODY, 1)),
  row('get_mem_type for the control domain', HVM_OP, (p) => f.op(p, 'hvm_op', 15, 0, 1)),
  row('an upcall vector below 16', HVM_OP, (p) => f.op(p, 'hvm_op', 23, h.pair(0, 15))),
  row('an upcall vector of vCPU 9', HVM_OP, (p) => f.op(p, 'hvm_op', 23, h.pair(9, 0x51))),
  row('a view of memory: version 1, its state', HVM_OP, (p) =>
    f.op(p, 'hvm_op', 25, h.pair(1, 1), DOMID_SELF),
  ),
]);

const MEMORY = `${HEADERS}/memory.h`;
const add = (p: PvhParts, space: number, index: Value, frame: Value, domid = DOMID_SELF): string =>
  f.op(p, 'memory_op', 7, h.pair(domid, space), index, frame);
/** XENMEM_decrease_reservation (1) and populate_physmap (6) of the frame that is at page 1. */
const reservation = (p: PvhParts, cmd: number, frame: Value, order = 0): string =>
  f.lines(p.store(p.page(1), frame), f.op(p, 'memory_op', cmd, p.page(1), 1, order, DOMID_SELF));
const tell = (p: PvhParts, n: number): string => p.keepWord(p.page(n));
const count = (p: PvhParts): string =>
  `mov rsi, ${hex(p.page(6))}; mov dword ptr [rsi], ${DOMID_SELF}; mov edi, 3; mov eax, 12; call hypercall`;

const physmap = programs('physmap', [
  row('shared_info at a second place', MEMORY, (p) =>
    f.lines(
      add(p, 0, 0, p.frame(2)),
      `mov rbx, ${hex(p.page(2))}; xor eax, eax; cmp dword ptr [rbx + 0xc04], 0; setne al`,
      p.keep('rax'),
      p.keepWord(at.SHARED_INFO + 0xc04),
      add(p, 0, 0, at.physical(at.SHARED_INFO) / 4096),
      tell(p, 2),
    ),
  ),
  ...(
    [
      ['shared_info 1', 0, () => 1, (p) => p.frame(2)],
      ['shared_info beyond all addresses', 0, () => 0, () => 2n ** 40n],
      ['grant frame 0', 1, () => 0, (p) => p.frame(2)],
      ['grant frame 63', 1, () => 63, (p) => p.frame(2)],
      ['grant frame 64', 1, () => 64, (p) => p.frame(2)],
      ['a grant status frame of version 1', 1, () => 2n ** 63n, (p) => p.frame(2)],
      ['no frame of its own', 2, () => 0x30000, (p) => p.frame(2)],
      ['a range', 3, () => 0, (p) => p.frame(2)],
      ['a foreign frame', 4, () => 0, (p) => p.frame(2)],
      ['a device’s frame', 5, () => 0, (p) => p.frame(2)],
      ['space 6', 6, () => 0, (p) => p.frame(2)],
      ['space 99', 99, () => 0, (p) => p.frame(2)],
    ] as readonly (readonly [string, number, () => Value, (p: PvhParts) => Value])[]
  ).map(([name, space, index, frame]) =>
    row(name, MEMORY, (p) => add(p, space, index(), frame(p))),
  ),
  row('a frame of its own elsewhere', MEMORY, (p) =>
    f.lines(
      p.store(p.page(3), 0x77),
      add(p, 2, p.frame(3), p.frame(4)),
      tell(p, 4),
      tell(p, 3),
      add(p, 2, p.frame(3), p.frame(4)),
    ),
  ),
  row('for nobody, and for the control domain', MEMORY, (p) =>
    f.lines(add(p, 0, 0, p.frame(2), NOBODY), add(p, 0, 0, p.frame(2), 0)),
  ),
  row('a page given back reads as ones and keeps nothing', MEMORY, (p) =>
    f.lines(
      p.store(p.page(2), 0x77),
      reservation(p, 1, p.frame(2)),
      tell(p, 2),
      p.store(p.page(2), 0x55),
      tell(p, 2),
      reservation(p, 1, p.frame(2)),
      reservation(p, 6, p.frame(2)),
      tell(p, 2),
      reservation(p, 6, p.frame(2)),
    ),
  ),
  row('what a domain has, before and after a page is given back', MEMORY, (p) =>
    f.lines(
      `${count(p)}; mov r12, rax`,
      reservation(p, 1, p.frame(2)),
      `${count(p)}; sub rax, r12`,
      p.keep('rax'),
      reservation(p, 6, p.frame(2)),
      `${count(p)}; sub rax, r12`,
      p.keep('rax'),
    ),
  ),
  row('more than it may have', MEMORY, (p) =>
    f.lines(reservation(p, 6, 0x20000, 9), reservation(p, 0, 0, 9)),
  ),
  row('a page given back that is shared_info', MEMORY, (p) =>
    f.lines(
      reservation(p, 1, at.physical(at.SHARED_INFO) / 4096),
      add(p, 0, 0, at.physical(at.SHARED_INFO) / 4096),
    ),
  ),
  row('no extents', MEMORY, (p) => f.op(p, 'memory_op', 6, p.page(1), 0, 0, DOMID_SELF)),
  row('extents that are not mapped', MEMORY, (p) =>
    f.op(p, 'memory_op', 6, UNMAPPED, 1, 0, DOMID_SELF),
  ),
  row('too many extents', MEMORY, (p) =>
    f.op(p, 'memory_op', 6, p.page(1), 2n ** 60n, 0, DOMID_SELF),
  ),
  ...[1, 9, 10, 18].map((order) =>
    row(`a page given back of order ${order}`, MEMORY, (p) => reservation(p, 1, 0x30000, order)),
  ),
  row('removed, and once more', MEMORY, (p) =>
    f.lines(
      f.op(p, 'memory_op', 15, DOMID_SELF, p.frame(2)),
      tell(p, 2),
      f.op(p, 'memory_op', 15, DOMID_SELF, p.frame(2)),
      reservation(p, 6, p.frame(2)),
    ),
  ),
  row('an exchange', MEMORY, (p) =>
    f.lines(
      p.store(p.page(1), p.frame(3)),
      p.store(p.page(2), p.frame(3)),
      p.store(p.page(3), 0x77),
      f.op(p, 'memory_op', 11, p.page(1), 1, 0, DOMID_SELF, p.page(2), 1, 0, DOMID_SELF, 0),
      p.keepWord(p.page(0) + 64),
      tell(p, 3),
    ),
  ),
  row('an exchange of an extent that is too large', MEMORY, (p) =>
    f.op(p, 'memory_op', 11, p.page(1), 1, 10, DOMID_SELF, p.page(2), 1, 10, DOMID_SELF, 0),
  ),
  row('an exchange of what is not there', MEMORY, (p) =>
    f.lines(
      p.store(p.page(1), 0x30000),
      f.op(p, 'memory_op', 11, p.page(1), 1, 0, DOMID_SELF, p.page(2), 1, 0, DOMID_SELF, 0),
    ),
  ),
  ...[16, 17].map((cmd) =>
    row(`the target of what is there on demand (${cmd})`, MEMORY, (p) =>
      f.op(p, 'memory_op', cmd, 0, 0, 0, 0, DOMID_SELF),
    ),
  ),
  row('a memory map of its own', MEMORY, (p) =>
    f.lines(
      f.words(p, DOMID_SELF, 1, p.page(1)),
      f.lines(p.store(p.page(1) + 8, 0x1000), p.store(p.page(1) + 16, 1)),
      p.call(CALL.memory_op, 13, p.page(0)),
      f.op(p, 'memory_op', 9, 8, p.page(2)),
      h.keep32(p, p.page(0)),
      p.keepWord(p.page(2) + 8),
    ),
  ),
  row('access to memory, of itself', MEMORY, (p) => f.op(p, 'memory_op', 21, DOMID_SELF << 16)),
  row('NUMA nodes, of itself', MEMORY, (p) => f.op(p, 'memory_op', 26, DOMID_SELF)),
  row('removed where nothing can be', MEMORY, (p) =>
    f.op(p, 'memory_op', 15, DOMID_SELF, 2n ** 40n),
  ),
  row('a batch, each with its error', MEMORY, (p) =>
    f.lines(
      f.words(p, h.pair(DOMID_SELF, 2), 0, p.page(1), p.page(2), p.page(3)),
      `mov rbx, ${hex(p.page(0))}; mov word ptr [rbx + 2], 0; mov dword ptr [rbx + 4], ${2 * 65536}`,
      p.keepWord(p.page(0)),
      p.call(CALL.memory_op, 23, p.page(0)),
      tell(p, 3),
    ),
  ),
  ...operations('memory_op', 'memory.h', [
    ['what nobody has', 3, () => [NOBODY]],
    ['what the control domain has', 3, () => [0]],
    ['what nobody may have', 4, () => [NOBODY]],
    ['the last frame of nobody', 14, () => [NOBODY]],
    ['a map of nobody', 13, () => [NOBODY]],
    ['a claim', 24, () => [1]],
    ['the table from machine to physical', 12, () => [0, 0]],
    ['its list', 5, (p) => [1, p.page(1)]],
    ['the machine’s map', 10, (p) => [h.pair(4, 0), p.page(1)]],
  ]),
]);

/** A grant of page 2 to the domain itself: entry 8 of frame 0 of the table, which is at page 3. */
const grant = (p: PvhParts, flags: number): string =>
  f.lines(
    add(p, 1, 0, p.frame(3)),
    p.store(p.page(2), 0x1234),
    `mov eax, 0x40000004; xor ecx, ecx; cpuid; mov r12, rcx; shl ecx, 16; or ecx, ${flags}; mov rbx, ${hex(p.page(3) + 64)}; mov dword ptr [rbx + 4], ${p.frame(2)}; mov [rbx], ecx`,
  );
const GRANT = `${HEADERS}/grant_table.h`;
/** GNTTABOP_map_grant_ref of entry 8 to page 4's frame, with these flags; its status. */
const mapGrant = (p: PvhParts, flags: number, ref = 8): string =>
  f.lines(
    f.words(p, p.frame(4) * 4096, h.pair(flags, ref), DOMID_SELF, 0),
    p.call(CALL.grant_table_op, 0, p.page(0), 1),
    `mov rbx, ${hex(p.page(0))}; movsx rax, word ptr [rbx + 18]`,
    p.keep('rax'),
  );

const grants = programs('grant of its own', [
  row('mapped, read, written, and unmapped', GRANT, (p) =>
    f.lines(
      grant(p, 1),
      mapGrant(p, 2),
      tell(p, 4),
      p.store(p.page(4), 0x99),
      tell(p, 2),
      `mov rbx, ${hex(p.page(3) + 64)}; movzx eax, word ptr [rbx]`,
      p.keep('rax'),
      `mov rbx, ${hex(p.page(0))}; mov eax, [rbx + 20]; mov [rbx + 16], rax; mov qword ptr [rbx + 8], 0`,
      p.call(CALL.grant_table_op, 1, p.page(0), 1),
      h.keep32(p, p.page(0) + 20),
      tell(p, 4),
      `mov rbx, ${hex(p.page(3) + 64)}; movzx eax, word ptr [rbx]`,
      p.keep('rax'),
    ),
  ),
  row('mapped read-only, and written', GRANT, (p) =>
    f.lines(
      grant(p, 1),
      mapGrant(p, 2 | 4),
      p.attempt(`mov rbx, ${hex(p.page(4))}; mov qword ptr [rbx], 0x99`),
      tell(p, 2),
      tell(p, 4),
    ),
  ),
  row('that may only be read, mapped to be written', GRANT, (p) =>
    f.lines(grant(p, 1 | 4), mapGrant(p, 2)),
  ),
  row('that is no grant, mapped', GRANT, (p) => f.lines(grant(p, 0), mapGrant(p, 2))),
  row('mapped for a device only', GRANT, (p) => f.lines(grant(p, 1), mapGrant(p, 1))),
  row('mapped for nothing', GRANT, (p) => f.lines(grant(p, 1), mapGrant(p, 0))),
  row('beyond the table, mapped', GRANT, (p) => f.lines(grant(p, 1), mapGrant(p, 2, 100_000))),
  row('copied to a page', GRANT, (p) =>
    f.lines(
      grant(p, 1),
      // Source: reference 8 of itself; flag GNTCOPY_source_gref.
      f.words(p, 8, DOMID_SELF, p.frame(5), DOMID_SELF, h.pair(8 | (1 << 16), 0)),
      p.call(CALL.grant_table_op, 5, p.page(0), 1),
      `mov rbx, ${hex(p.page(0))}; movsx rax, word ptr [rbx + 36]`,
      p.keep('rax'),
      tell(p, 5),
    ),
  ),
  row('setup_table tells where nothing is', GRANT, (p) =>
    f.lines(
      f.words(p, h.pair(DOMID_SELF, 1), 0, p.page(1)),
      p.call(CALL.grant_table_op, 2, p.page(0), 1),
      p.keepWord(p.page(0) + 8),
    ),
  ),
]);

export const pvhCalls: readonly PvhProgram[] = [
  ...callers,
  ...narrow,
  ...parameters,
  ...hvmOp,
  ...physmap,
  ...grants,
];
