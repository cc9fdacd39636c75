// Suspend and resume of a PV guest, as a program sees it: new ports and a new shared_info in its start_info, the old ones gone.

import { expect, it } from 'vitest';
import { EVTCHNOP_bind_virq, EVTCHNOP_send } from '../xen/abi/event-channel.ts';
import { SHUTDOWN_suspend } from '../xen/abi/sched.ts';
import { runProgram } from './testing/pv-guest.ts';

const UPDATE_VA_MAPPING = 14;
const SCHED_OP = 29;
const [OLD, NEW] = [8, 9];

/** The page number of the frame in rax, by the machine-to-physical table. */
const PFN = 'mov rbx, 0xffff800000000000; mov rax, [rbx + rax * 8]';
/** Maps the frame at the machine address in rsi. */
const map = (at: number) =>
  `or rsi, 3; mov rdi, ${at}; mov edx, 2; mov eax, ${UPDATE_VA_MAPPING}; syscall`;

it('goes on with new ports in start_info, events masked, nothing pending, and what was bound unbound', () => {
  const { results, why } = runProgram((p) =>
    [
      `mov rsi, [r14 + 40]; ${map(p.page(OLD))}`,
      p.store(p.page(1), 0),
      p.store(p.page(1) + 8, 0),
      p.call('event_channel_op', EVTCHNOP_bind_virq, p.page(1)),
      `mov rbx, ${p.page(1)}; mov eax, [rbx + 8]; ${p.keep('rax')}`,
      // What Linux does: frames of the rings become page numbers.
      `mov rax, [r14 + 56]; ${PFN}; mov r12, [r14 + 56]; mov [r14 + 56], rax`,
      `mov rax, [r14 + 72]; ${PFN}; mov r13, [r14 + 72]; mov [r14 + 72], rax`,
      `mov r11, [r14 + 40]; mov rbx, ${p.page(2)}; mov [rbx], r11`,
      p.store(p.page(3), SHUTDOWN_suspend),
      // The frame of start_info: mfn_list[its page].
      `mov rcx, r14; mov rbx, 0xffffffff80000000; sub rcx, rbx; shr rcx, 12; mov rbx, [r14 + 104]; mov rdx, [rbx + rcx * 8]`,
      `mov edi, 2; mov rsi, ${p.page(3)}; mov eax, ${SCHED_OP}; syscall; ${p.keep('rax')}`,
      // The rings are where they were, shared_info is elsewhere.
      `mov rax, [r14 + 56]; sub rax, r12; ${p.keep('rax')}`,
      `mov rax, [r14 + 72]; sub rax, r13; ${p.keep('rax')}`,
      `mov rbx, ${p.page(2)}; mov rax, [rbx]; sub rax, [r14 + 40]; neg rax; sbb rax, rax; ${p.keep('rax')}`,
      `mov eax, [r14 + 64]; ${p.keep('rax')}; mov eax, [r14 + 80]; ${p.keep('rax')}`,
      `mov rsi, [r14 + 40]; ${map(p.page(NEW))}`,
      `mov rbx, ${p.page(NEW)}; movzx eax, word ptr [rbx]; ${p.keep('rax')}`,
      `mov rax, [rbx + 2048]; ${p.keep('rax')}; mov rax, [rbx + 2560]; ${p.keep('rax')}`,
      // The port of the timer is none any more; it can be bound again.
      p.store(p.page(4), 3),
      p.call('event_channel_op', EVTCHNOP_send, p.page(4)),
      p.call('event_channel_op', EVTCHNOP_bind_virq, p.page(1)),
      p.done,
    ].join('\n'),
  );
  expect(why).toContain('poweroff');
  expect(results).toEqual([0, 3, 0, 0, 0, -1, 1, 2, 0x100, 0, -1, -22, 0]);
});

it.each([
  ['names no frame', 'mov rdx, 0xffffffffffffffff'],
  ['names a frame of the hypervisor', 'mov rdx, 0xfffff'],
])('ends the domain that suspends itself and %s', (_what, frame) => {
  const { stop, why } = runProgram((p) =>
    [
      p.store(p.page(3), SHUTDOWN_suspend),
      `${frame}; mov edi, 2; mov rsi, ${p.page(3)}; mov eax, ${SCHED_OP}; syscall`,
      p.done,
    ].join('\n'),
  );
  expect([stop, why]).toEqual(['ended', expect.stringContaining('names no start_info')]);
});
