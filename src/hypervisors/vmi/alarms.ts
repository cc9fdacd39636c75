// VMI's clock: counters in cycles, and an alarm on each of the two that run, which comes as IRQ 0 or by the APIC's timer entry.

import { NEVER } from '../../machine/clock.ts';
import type { Platform } from '../define.ts';
import {
  VMI_ALARM_COUNTER_MASK,
  VMI_ALARM_COUNTERS,
  VMI_ALARM_IS_PERIODIC,
  VMI_ALARM_WIRED_LVTT,
  VMI_CYCLES_AVAILABLE,
  VMI_CYCLES_REAL,
} from './abi.ts';

/** As the TSC: guests take the one for the other's rate (vmi.md 9). */
export const CYCLES_PER_SECOND = 1e9;
/** Deviates: no two expiries of a periodic alarm are nearer, so that no guest can make its machine do nothing else. */
const SHORTEST_PERIOD = 1000;
const TIMER_IRQ = 0;

/** Times are counts of cycles: real and available time are the same, since nothing is stolen from the only vCPU. */
export interface AlarmState {
  armed: boolean;
  lvtt: boolean;
  /** 0: it rings once. */
  period: number;
  expiry: number;
}

export const freshAlarms = (): AlarmState[] =>
  Array.from({ length: VMI_ALARM_COUNTERS }, () => ({
    armed: false,
    lvtt: false,
    period: 0,
    expiry: 0,
  }));

export interface Alarms {
  counter(which: number): number;
  set(flags: number, expiry: number, period: number): void;
  /** Whether it was armed. */
  cancel(flags: number): boolean;
}

export function createAlarms(
  { clock, lapic, pulseIsa }: Platform,
  alarms: readonly AlarmState[],
): Alarms {
  const timers = alarms.map((alarm, n) => clock.timer(`vmi.alarm${n}`, () => ring(alarm, n)));
  const ring = (alarm: AlarmState, n: number) => {
    if (!alarm.armed) return;
    if (alarm.period === 0) alarm.armed = false;
    else {
      alarm.expiry = nextOfSeries(alarm, clock.now());
      timers[n]!.set(Math.min(alarm.expiry, NEVER));
    }
    if (alarm.lvtt) lapic?.fireTimer();
    else pulseIsa?.(TIMER_IRQ);
  };
  return {
    counter: (which) =>
      which === VMI_CYCLES_REAL || which === VMI_CYCLES_AVAILABLE ? clock.now() : 0,
    set(flags, expiry, period) {
      const n = flags & VMI_ALARM_COUNTER_MASK;
      const alarm = alarms[n];
      if (!alarm) return; // Stolen time has none, and other counters do not exist: a no-op (VMI_SetAlarm).
      alarm.armed = true;
      alarm.lvtt = (flags & VMI_ALARM_WIRED_LVTT) !== 0;
      alarm.period = flags & VMI_ALARM_IS_PERIODIC ? period : 0;
      alarm.expiry = expiry;
      timers[n]!.set(Math.min(Math.max(expiry, clock.now()), NEVER));
    },
    cancel(flags) {
      const n = flags & VMI_ALARM_COUNTER_MASK;
      const alarm = alarms[n];
      if (!alarm?.armed) return false;
      alarm.armed = false;
      timers[n]!.cancel();
      return true;
    },
  };
}

/** A late one has rung once; it goes on with the first expiry that is still to come. */
function nextOfSeries({ expiry, period }: AlarmState, now: number): number {
  const earliest = now + (period < SHORTEST_PERIOD ? SHORTEST_PERIOD : 1);
  return expiry + Math.max(Math.ceil((earliest - expiry) / period), 1) * period;
}
