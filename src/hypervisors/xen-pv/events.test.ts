// Events of a PV guest: the upcall's frame and mask, waiting in a call, timers and the console, as programs see them.

import { expect, it } from 'vitest';
import { EVTCHNOP_bind_virq, EVTCHNOP_send } from '../xen/abi/event-channel.ts';
import { SCHEDOP_block } from '../xen/abi/sched.ts';
import { VCPUOP_set_singleshot_timer } from '../xen/abi/vcpu.ts';
import { runProgram } from './testing/pv-guest.ts';

const CALLBACKOP_register = 0;
const UPDATE_VA_MAPPING = 14;
const SHARED = 8;

it('a timer ends a wait, and its upcall tells where the kernel was and masks events', () => {
  const { results, why } = runProgram((p) =>
    [
      // shared_info at a page of ours.
      `mov rsi, [r14 + 40]; or rsi, 3; mov rdi, ${p.page(SHARED)}; mov edx, 2; mov eax, ${UPDATE_VA_MAPPING}; syscall`,
      `lea rax, [upcall]; mov rbx, ${p.page(0)}; mov qword ptr [rbx], 0; mov [rbx + 8], rax`,
      p.call('callback_op', CALLBACKOP_register, p.page(0)),
      // VIRQ_TIMER, unmasked.
      p.store(p.page(1), 0),
      p.store(p.page(1) + 8, 0),
      p.call('event_channel_op', EVTCHNOP_bind_virq, p.page(1)),
      `mov rbx, ${p.page(1)}; mov ecx, [rbx + 8]`,
      `mov rbx, ${p.page(SHARED)}; btr qword ptr [rbx + 2560], rcx`,
      // A millisecond from now; the system time is in the time area's place of shared_info.
      p.store(p.page(2), 0),
      `mov rbx, ${p.page(SHARED)}; mov rax, [rbx + 48]; add rax, 1000000; mov rbx, ${p.page(2)}; mov [rbx], rax; mov qword ptr [rbx + 8], 0`,
      p.call('vcpu_op', VCPUOP_set_singleshot_timer, 0, p.page(2)),
      p.call('sched_op', SCHEDOP_block, 0),
      'here:',
      p.done,
      'upcall:',
      // RCX R11 RIP CS RFLAGS RSP SS: RIP behind the call, CS with RPL 0 and the old mask 0, IF set, and the mask now 1.
      `lea rax, [here]; sub rax, [rsp + 16]; ${p.keep('rax')}`,
      `mov rax, [rsp + 24]; ${p.keep('rax')}`,
      `mov rax, [rsp + 32]; and eax, 0x200; ${p.keep('rax')}`,
      `mov rbx, ${p.page(SHARED)}; movzx eax, byte ptr [rbx + 1]; ${p.keep('rax')}`,
      `movzx eax, byte ptr [rbx]; ${p.keep('rax')}`,
      p.done,
    ].join('\n'),
  );
  expect(why).toContain('poweroff');
  // callback_op, bind_virq, set_singleshot_timer; then the frame. The wait's own result is not stored yet: 7 bytes of code.
  expect(results.slice(0, 3)).toEqual([0, 0, 0]);
  expect(results.slice(4)).toEqual([0xe030, 0x200, 1, 1]);
});

it('what is written into the console ring reaches the host when its port is told', () => {
  const { output, results } = runProgram((p) =>
    [
      // The ring's frame from start_info, mapped at a page of ours.
      `mov rsi, [r14 + 72]; shl rsi, 12; or rsi, 3; mov rdi, ${p.page(SHARED)}; mov edx, 2; mov eax, ${UPDATE_VA_MAPPING}; syscall`,
      `mov rbx, ${p.page(SHARED)}; mov dword ptr [rbx + 1024], 0x6f6c6c48; mov dword ptr [rbx + 3084], 4`,
      `mov eax, [r14 + 80]; mov rbx, ${p.page(0)}; mov [rbx], eax`,
      p.call('event_channel_op', EVTCHNOP_send, p.page(0)),
      `mov rbx, ${p.page(SHARED)}; mov eax, [rbx + 3080]; ${p.keep('rax')}`,
      p.done,
    ].join('\n'),
  );
  expect([output, results]).toEqual(['Hllo', [0, 4]]);
});
