// time.steal_clock must not go back, and no more time can have been stolen than has passed.

import { defineProbe } from '../define.ts';

const ROUNDS = 2000;

export const timeStealClock = defineProbe<{
  stolen: number;
  stolen_high: number;
  passed: number;
  passed_high: number;
}>({
  id: 'time-steal-clock',
  title: 'time.steal_clock does not go back, nor faster than time.sched_clock',
  ref: 'Documentation/virt/kvm/x86/msr.rst MSR_KVM_STEAL_TIME; xen/include/public/vcpu.h',
  about: ['time.steal_clock'],
  runsOn: 'all',
  guest(a) {
    const loop = a.fresh('wait');
    const keep = (at: number) =>
      a.text(`mov [kernel.scratch+${at}], eax; mov [kernel.scratch+${at + 4}], edx`);
    const since = (at: number, name: string) => {
      a.text(`sub eax, [kernel.scratch+${at}]; sbb edx, [kernel.scratch+${at + 4}]`);
      a.report(name, 'eax').report(`${name}_high`, 'edx');
    };
    a.op('time.sched_clock');
    keep(128);
    a.op('time.steal_clock');
    keep(136);
    a.text(`mov ecx, ${ROUNDS}; ${loop}:; dec ecx; jne ${loop}`).op('time.steal_clock');
    since(136, 'stolen');
    a.op('time.sched_clock');
    since(128, 'passed');
  },
  check({ stolen, stolen_high, passed, passed_high }, t) {
    t.equal(stolen_high, 0, 'the upper half of the time stolen, which is not negative');
    t.equal(passed_high, 0, 'the upper half of the time passed');
    t.ok(passed >= ROUNDS / 2, 'time has passed');
    t.ok(stolen <= passed, 'no more was stolen than has passed');
  },
});
