// The local APIC's timer: one-shot, periodic and TSC-deadline, computed from the clock and never ticked.

import { type Clock, NEVER } from '../clock.ts';

/** The timer counts the bus clock, 1 GHz here: one count a nanosecond before division. */
export const LAPIC_BUS_HZ = 1e9;
export const TIMER_MODE = { oneShot: 0, periodic: 1, deadline: 2 } as const;
/** Deviates: periods shorter than this interrupt this often; no processor could take more (KVM has a floor too). */
const SHORTEST_PERIOD = 1000;

export interface LapicTimerState {
  mode: number;
  initial: number;
  /** Divide configuration register (SDM 3A 11.5.4). */
  divide: number;
  /** Nanosecond at which the count was `initial`. */
  start: number;
  running: boolean;
  /** IA32_TSC_DEADLINE; 0: disarmed. */
  deadlineLo: number;
  deadlineHi: number;
}

export function lapicTimerState(): LapicTimerState {
  return {
    mode: TIMER_MODE.oneShot,
    initial: 0,
    divide: 0,
    start: 0,
    running: false,
    deadlineLo: 0,
    deadlineHi: 0,
  };
}

export interface LapicTimer {
  setMode(mode: number): void;
  setInitial(count: number): void;
  current(): number;
  setDivide(value: number): void;
  setDeadline(lo: number, hi: number): void;
  reset(): void;
}

/** `tscOffset` is what the guest's TSC is ahead of the clock; `expired` hears of each expiry. */
export function lapicTimer(
  state: LapicTimerState,
  clock: Clock,
  name: string,
  tscOffset: () => number,
  expired: () => void,
): LapicTimer {
  const period = () => state.initial * divisor(state.divide);
  const timer = clock.timer(name, () => {
    if (state.mode === TIMER_MODE.deadline) {
      state.deadlineLo = 0;
      state.deadlineHi = 0;
    } else if (state.mode === TIMER_MODE.periodic) {
      armPeriodic(clock.now() + SHORTEST_PERIOD - 1);
    } else {
      state.running = false;
    }
    expired();
  });
  /** At the end of the first period that ends after now and not before `earliest + 1`. */
  const armPeriodic = (earliest: number) => {
    const length = period();
    const passed = Math.max(earliest, clock.now()) - state.start;
    timer.set(state.start + passed - (passed % length) + length);
  };
  const arm = () => {
    if (!state.running) timer.cancel();
    else if (state.mode === TIMER_MODE.periodic) armPeriodic(state.start);
    else timer.set(state.start + period());
  };
  const current = () => {
    if (!state.running || state.mode === TIMER_MODE.deadline) return 0;
    const passed = clock.now() - state.start;
    const counts = (passed - (passed % divisor(state.divide))) / divisor(state.divide);
    if (state.mode === TIMER_MODE.periodic) return state.initial - (counts % state.initial);
    return counts >= state.initial ? 0 : state.initial - counts;
  };
  return {
    current,
    setMode(mode) {
      if (mode === state.mode) return;
      // Switching to or from TSC-deadline mode disarms the timer (SDM 3A 11.5.4.1).
      const disarms = mode === TIMER_MODE.deadline || state.mode === TIMER_MODE.deadline;
      state.mode = mode;
      if (disarms) {
        state.running = false;
        state.initial = 0;
        state.deadlineLo = 0;
        state.deadlineHi = 0;
      }
      arm();
    },
    setInitial(count) {
      if (state.mode === TIMER_MODE.deadline) return; // Ignored in that mode (SDM 3A 11.5.4.1).
      state.initial = count;
      state.start = clock.now();
      state.running = count !== 0;
      arm();
    },
    setDivide(value) {
      const left = current();
      state.divide = value & 0x0b;
      if (!state.running) return;
      // The count goes on from where it is, at the new rate.
      state.start = clock.now() - (state.initial - left) * divisor(state.divide);
      arm();
    },
    setDeadline(lo, hi) {
      if (state.mode !== TIMER_MODE.deadline) return;
      state.deadlineLo = lo;
      state.deadlineHi = hi;
      if (lo === 0 && hi === 0) timer.cancel();
      else timer.set(Math.min(Math.max(hi * 2 ** 32 + lo - tscOffset(), clock.now()), NEVER));
    },
    reset() {
      Object.assign(state, lapicTimerState());
      timer.cancel();
    },
  };
}

/** Bits 0, 1 and 3: divide by 2, 4, 8 .. 128; 7 is 1. */
function divisor(divide: number): number {
  const code = (divide & 3) | ((divide & 8) >> 1);
  return code === 7 ? 1 : 2 << code;
}
