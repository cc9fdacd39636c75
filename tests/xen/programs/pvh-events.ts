// Upcalls, timers and waiting of PVH guests, and how their domain ends.

import * as f from '../forms.ts';
import * as at from '../layout.ts';
import { hex, programs } from '../program.ts';
import * as h from '../pvh-forms.ts';
import type { PvhParts, PvhProgram } from '../pvh-program.ts';

const UPCALL = 'xen/include/public/hvm/params.h HVM_PARAM_CALLBACK_IRQ';
const TIMERS = 'xen/include/public/vcpu.h';
const SCHED = 'xen/include/public/sched.h';
const END = 'xen/arch/x86/hvm/hvm.c';
const row = f.row<PvhParts>;
const { CALL } = f;
const ONE_MS = 1_000_000;

/** An event that is ready to be sent; upcalls by the vector. */
const ready = (p: PvhParts): string => f.lines(h.upcalls(p), h.bindIpi(p));
const come = (p: PvhParts): string => f.lines(p.open, p.count(h.VECTOR));
const pendingByte = (p: PvhParts): string =>
  `mov rbx, ${hex(at.SHARED_INFO)}; movzx eax, byte ptr [rbx]; ${p.keep('rax')}`;
/** Waits with interrupts let in, once. */
const halt = 'sti; hlt; cli';

const upcalls = programs('upcall', [
  row('by the vector, when interrupts are let in', UPCALL, (p) =>
    f.lines(
      ready(p),
      h.send(p),
      p.count(h.VECTOR),
      pendingByte(p),
      come(p),
      pendingByte(p),
      h.close(p),
    ),
  ),
  row('sent twice, it comes once', UPCALL, (p) =>
    f.lines(ready(p), h.send(p), h.send(p), come(p), h.close(p)),
  ),
  row('sent again while its bit is set, it does not come', UPCALL, (p) =>
    f.lines(ready(p), h.send(p), come(p), h.send(p), come(p), h.close(p)),
  ),
  row('sent again when its bit is clear, it comes again', UPCALL, (p) =>
    f.lines(
      ready(p),
      h.send(p),
      come(p),
      h.portBit(p, 'btr', h.PENDING),
      h.send(p),
      come(p),
      h.close(p),
    ),
  ),
  row('comes again as long as it is pending', UPCALL, (p) =>
    f.lines(ready(p), p.store(at.CLEAR_FROM, 3), h.send(p), come(p), h.close(p)),
  ),
  row('the selector of its bit', UPCALL, (p) =>
    f.lines(
      ready(p),
      h.send(p),
      p.keepWord(at.SHARED_INFO + 8),
      `mov rbx, ${hex(at.SHARED_INFO + 8)}; mov qword ptr [rbx], 0`,
      h.close(p),
    ),
  ),
  row('of a port that is masked, and unmasked by a call', UPCALL, (p) =>
    f.lines(
      ready(p),
      h.portBit(p, 'bts', h.MASK),
      h.send(p),
      come(p),
      pendingByte(p),
      h.unmask(p),
      come(p),
      h.close(p),
    ),
  ),
  row('of a port that is masked, and unmasked in memory', UPCALL, (p) =>
    f.lines(
      ready(p),
      h.portBit(p, 'bts', h.MASK),
      h.send(p),
      h.portBit(p, 'btr', h.MASK),
      come(p),
      h.close(p),
    ),
  ),
  row('is not held by the mask of PV guests', UPCALL, (p) =>
    f.lines(
      ready(p),
      `mov rbx, ${hex(at.SHARED_INFO)}; mov byte ptr [rbx + 1], 1`,
      h.send(p),
      come(p),
      `mov rbx, ${hex(at.SHARED_INFO)}; movzx eax, byte ptr [rbx + 1]`,
      p.keep('rax'),
      h.close(p),
    ),
  ),
  row('the callback is set while one waits', UPCALL, (p) =>
    f.lines(h.bindIpi(p), h.send(p), come(p), h.upcalls(p), come(p), h.close(p)),
  ),
  row('the callback is taken away while one waits', UPCALL, (p) =>
    f.lines(ready(p), h.send(p), h.setParam(p, h.PARAM.callback, 0), come(p), h.close(p)),
  ),
  ...(
    [
      ['GSI 0', 0n],
      ['GSI 5', 5n],
      ['a pin of PCI', 1n << 56n],
      ['type 3', (3n << 56n) | 0xf3n],
      ['type 255', (255n << 56n) | 0xf3n],
      ['vector 0x20 by type 2', (2n << 56n) | 0x20n],
      ['a vector with other bits', (2n << 56n) | 0x1234_00f3n],
    ] as const
  ).map(([name, value]) =>
    row(`the callback is ${name}`, UPCALL, (p) =>
      f.lines(
        h.setParam(p, h.PARAM.callback, value),
        h.bindIpi(p),
        h.send(p),
        p.open,
        p.count(h.VECTOR),
        p.count(0x20),
        p.count(5),
        h.close(p),
      ),
    ),
  ),
  row('goes before an interrupt of the local APIC', UPCALL, (p) =>
    f.lines(
      ready(p),
      p.store(at.END_AT_APIC, 1),
      `mov rbx, ${hex(h.top(0xfee000f0))}; mov dword ptr [rbx], 0x1ff; mov rbx, ${hex(h.top(0xfee00300))}; mov dword ptr [rbx], 0x40044`,
      h.send(p),
      p.open,
      p.count(h.VECTOR),
      p.count(0x44),
      h.close(p),
    ),
  ),
  row('is not held by the task priority', UPCALL, (p) =>
    f.lines(ready(p), 'mov eax, 15; mov cr8, rax', h.send(p), come(p), h.close(p)),
  ),
]);

const timers = programs('timer', [
  row('a single shot wakes from HLT', TIMERS, (p) =>
    f.lines(
      h.upcalls(p),
      h.bindTimer(p),
      h.singleShot(p, ONE_MS),
      halt,
      p.count(h.VECTOR),
      h.close(p),
    ),
  ),
  row('a single shot in the past', TIMERS, (p) =>
    f.lines(
      h.upcalls(p),
      h.bindTimer(p),
      f.words(p, 1, 0),
      p.call(CALL.vcpu_op, 8, 0, p.page(0)),
      halt,
      p.count(h.VECTOR),
      h.close(p),
    ),
  ),
  row('set_timer_op wakes from HLT', TIMERS, (p) =>
    f.lines(
      h.upcalls(p),
      h.bindTimer(p),
      `${h.now(p)}; lea rdi, [rax + ${ONE_MS}]; mov eax, 15; call hypercall`,
      p.keep('rax'),
      halt,
      p.count(h.VECTOR),
      h.close(p),
    ),
  ),
  row('a period of 1 ms comes three times', TIMERS, (p) =>
    f.lines(
      h.upcalls(p),
      h.bindTimer(p),
      f.words(p, ONE_MS),
      p.call(CALL.vcpu_op, 6, 0, p.page(0)),
      ...[1, 2, 3].flatMap(() => [halt, h.portBit(p, 'btr', h.PENDING)]),
      p.call(CALL.vcpu_op, 7, 0, 0),
      p.count(h.VECTOR),
      h.close(p),
    ),
  ),
  row('a single shot that is stopped', TIMERS, (p) =>
    f.lines(
      h.upcalls(p),
      h.bindTimer(p),
      h.singleShot(p, 50 * ONE_MS),
      p.call(CALL.vcpu_op, 9, 0, 0),
      come(p),
      h.close(p),
    ),
  ),
  row(
    'the version of the time is even, and it goes on',
    'xen/include/public/xen.h vcpu_time_info',
    (p) =>
      f.lines(
        `mov rbx, ${hex(at.SHARED_INFO)}; mov eax, [rbx + 32]; and eax, 1`,
        p.keep('rax'),
        `mov rbx, ${hex(at.SHARED_INFO)}; xor eax, eax; cmp dword ptr [rbx + 56], 0; setne al`,
        p.keep('rax'),
      ),
  ),
]);

const waiting = programs('wait', [
  row('HLT with an upcall that waits', SCHED, (p) =>
    f.lines(ready(p), h.send(p), halt, p.count(h.VECTOR), h.close(p)),
  ),
  row('block until a timer, with interrupts let in', SCHED, (p) =>
    f.lines(
      h.upcalls(p),
      h.bindTimer(p),
      h.singleShot(p, ONE_MS),
      `sti; mov edi, 1; xor esi, esi; mov eax, ${CALL.sched_op}; call hypercall; nop; cli`,
      p.keep('rax'),
      p.count(h.VECTOR),
      h.close(p),
    ),
  ),
  row('block until a timer, with interrupts off', SCHED, (p) =>
    f.lines(
      h.upcalls(p),
      h.bindTimer(p),
      h.singleShot(p, ONE_MS),
      p.call(CALL.sched_op, 1, 0),
      p.count(h.VECTOR),
      come(p),
      h.close(p),
    ),
  ),
  row('block clears the mask of PV guests', SCHED, (p) =>
    f.lines(
      ready(p),
      h.send(p),
      p.call(CALL.sched_op, 1, 0),
      `mov rbx, ${hex(at.SHARED_INFO)}; movzx eax, byte ptr [rbx + 1]`,
      p.keep('rax'),
      come(p),
      h.close(p),
    ),
  ),
  row('poll of a port whose timer comes', SCHED, (p) =>
    f.lines(
      h.bindTimer(p),
      h.portBit(p, 'bts', h.MASK),
      h.singleShot(p, ONE_MS),
      f.words(p, p.page(2), 1, 0),
      p.call(CALL.sched_op, 3, p.page(0)),
      h.close(p),
    ),
  ),
  row('poll of a port that is pending', SCHED, (p) =>
    f.lines(
      h.bindIpi(p),
      h.portBit(p, 'bts', h.MASK),
      h.send(p),
      f.words(p, p.page(2), 1, 0),
      p.call(CALL.sched_op, 3, p.page(0)),
      h.close(p),
    ),
  ),
  row('yield', SCHED, (p) => p.call(CALL.sched_op, 0, 0)),
]);

const NO_TRAPS = `mov rbx, ${hex(at.SCRATCH)}; mov word ptr [rbx], 0; lidt [rbx]`;

const ends = programs('end', [
  row('HLT with interrupts off', END, () => 'cli; hlt'),
  row('a triple fault', END, () => f.lines(NO_TRAPS, 'ud2')),
  row('a shutdown', SCHED, (p) => f.op(p, 'sched_op', 2, 0)),
  row('a reboot', SCHED, (p) => f.op(p, 'sched_op', 2, 1)),
]);

export const pvhEvents: readonly PvhProgram[] = [...upcalls, ...timers, ...waiting, ...ends];
