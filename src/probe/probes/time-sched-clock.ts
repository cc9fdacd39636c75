// time.sched_clock must count nanoseconds, forward, and at the rate at which a timer is armed.

import { defineProbe } from '../define.ts';

export const timeSchedClock = defineProbe<{ moved: number; back: number }>({
  id: 'time-sched-clock',
  title: 'time.sched_clock goes forward',
  ref: 'arch/x86/include/asm/pvclock-abi.h (2.6.32)',
  about: ['time.sched_clock'],
  runsOn: 'all',
  guest(a) {
    const [loop, fine] = [a.fresh('clock'), a.fresh('clock')];
    a.op('time.sched_clock').text(
      'mov [kernel.scratch], eax; mov esi, eax; mov edi, edx; mov ebx, 50; xor ebp, ebp',
    );
    a.text(`${loop}:`)
      .op('time.sched_clock')
      .text('mov ecx, eax; sub ecx, esi; mov ecx, edx; sbb ecx, edi');
    a.text(`jae ${fine}; inc ebp; ${fine}:; mov esi, eax; mov edi, edx; dec ebx; jne ${loop}`);
    a.text('mov eax, esi; sub eax, [kernel.scratch]').report('moved', 'eax').report('back', 'ebp');
  },
  check({ moved, back }, t) {
    t.equal(back, 0, 'readings that went back');
    t.ok(moved > 50 && moved < 1e9, 'nanoseconds have passed, and no second');
  },
});
