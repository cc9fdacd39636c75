// time.get_wallclock must be a date of this century.

import { defineProbe } from '../define.ts';

/** 2017 and 2106. */
const [EARLIEST, LATEST] = [1.5e9, 2 ** 32];

export const timeWallclock = defineProbe<{ seconds: number }>({
  id: 'time-wallclock',
  title: 'time.get_wallclock is a date',
  ref: 'Documentation/virt/kvm/x86/msr.rst MSR_KVM_WALL_CLOCK; xen.h struct shared_info',
  about: ['time.get_wallclock'],
  runsOn: 'all',
  guest(a) {
    a.op('time.get_wallclock').report('seconds', 'eax');
  },
  check({ seconds }, t) {
    t.ok(seconds > EARLIEST && seconds < LATEST, 'seconds since 1970');
  },
});
