// Operations of time: clocks, their rates, and the timer interrupt.

import { defineOp } from '../define.ts';

export const schedClock = defineOp({
  id: 'time.sched_clock',
  class: 'set-up',
  does: "Reads the scheduler's monotonic clock.",
  returns: 'nanos',
  native: { by: 'instruction', what: 'RDTSC, scaled', ref: 'SDM 3B 18.17' },
  linux: { from: '2.6.32', to: '2.6.32' },
  hooks: { '6.1': 'static_call pv_sched_clock' },
});

export const getScheduledCycles = defineOp({
  id: 'time.get_scheduled_cycles',
  class: 'set-up',
  does: 'Reads the cycles in which this CPU was given to the guest.',
  returns: 'cycles',
  native: { by: 'instruction', what: 'RDTSC', ref: 'SDM 3B 18.17' },
  linux: { from: '2.6.21', to: '2.6.22' },
  replacedBy: 'time.sched_clock',
});

export const getTscKhz = defineOp({
  id: 'time.get_tsc_khz',
  class: 'set-up',
  does: 'Gives the rate of the time stamp counter; unused in 2.6.32, which asks x86_platform.calibrate_tsc.',
  returns: 'kHz',
  native: { by: 'port', what: 'measures the TSC against the PIT', ref: '8254 datasheet' },
  linux: {
    from: '2.6.21',
    to: '2.6.32',
    names: { '2.6.21': 'get_cpu_khz', '2.6.22': 'get_cpu_khz' },
  },
  replacedBy: 'hook.calibrate_tsc',
});

export const getWallclock = defineOp({
  id: 'time.get_wallclock',
  class: 'set-up',
  does: 'Reads date and time.',
  returns: 'seconds',
  native: { by: 'port', what: 'CMOS clock at 0x70', ref: 'MC146818 datasheet' },
  linux: { from: '2.6.21', to: '2.6.22' },
  hooks: { '2.6.32': 'x86_platform.get_wallclock', '6.1': 'x86_platform.get_wallclock' },
});

export const setWallclock = defineOp({
  id: 'time.set_wallclock',
  class: 'set-up',
  does: 'Sets date and time.',
  params: { now: 'seconds' },
  returns: 'errno',
  native: { by: 'port', what: 'CMOS clock at 0x70', ref: 'MC146818 datasheet' },
  linux: { from: '2.6.21', to: '2.6.22' },
  hooks: { '2.6.32': 'x86_platform.set_wallclock', '6.1': 'x86_platform.set_wallclock' },
});

export const timeInit = defineOp({
  id: 'time.time_init',
  class: 'set-up',
  does: 'Sets up the clock and the first timer interrupt.',
  native: { by: 'port', what: 'PIT or HPET', ref: '8254 datasheet' },
  linux: { from: '2.6.21', to: '2.6.22' },
  hooks: { '2.6.32': 'x86_init.timers.timer_init', '6.1': 'x86_init.timers.timer_init' },
});

export const stealClock = defineOp({
  id: 'time.steal_clock',
  class: 'set-up',
  does: 'Reads how long a CPU wanted to run and was not let.',
  params: { cpu: 'cpu' },
  returns: 'nanos',
  native: { by: 'nothing', what: '0' },
  hooks: { '6.1': 'static_call pv_steal_clock' },
});
