// HPET: a 100 MHz counter that agrees with the machine's clock, and three comparators.

import { type Clock, NEVER, type Timer } from '../clock.ts';
import { defineDevice } from '../device.ts';

const NANOS_PER_TICK = 10;
const PERIOD_FEMTOSECONDS = NANOS_PER_TICK * 1e6;
const TIMERS = 3;

/** Register offsets (IA-PC HPET 1.0a 2.3.1). */
const REG = { id: 0x00, config: 0x10, status: 0x20, counter: 0xf0, timers: 0x100 } as const;
/** Revision 1, three timers, 64 bits, legacy replacement, Intel. */
const CAPABILITIES = 0x01 | ((TIMERS - 1) << 8) | (1 << 13) | (1 << 15);
const VENDOR = 0x8086;
const CONFIG = { enabled: 0x1, legacy: 0x2 } as const;
const TIMER = {
  level: 0x0002,
  enabled: 0x0004,
  periodic: 0x0008,
  canRepeat: 0x0010,
  wide: 0x0020,
  setValue: 0x0040,
  mode32: 0x0100,
} as const;
const ROUTE_SHIFT = 9;
const TIMER_WRITABLE =
  TIMER.level |
  TIMER.enabled |
  TIMER.periodic |
  TIMER.setValue |
  TIMER.mode32 |
  (31 << ROUTE_SHIFT);
/** I/O APIC pins that a timer may drive: 20 to 23, which nobody else has. */
const ROUTES = 0x00f00000;
const LEGACY_IRQ = [0, 8] as const;
const TWO_32 = 2 ** 32;
const MASK_64 = (1n << 64n) - 1n;

export interface HpetTimerState {
  config: number;
  /** Comparator and period, two halves each. */
  compareLo: number;
  compareHi: number;
  periodLo: number;
  periodHi: number;
  /** The line is high. */
  line: boolean;
}

export interface HpetState {
  config: number;
  status: number;
  /** The counter at `since`, from when on it counts if it is enabled. */
  counterLo: number;
  counterHi: number;
  since: number;
  timers: HpetTimerState[];
}

export interface HpetNeeds {
  readonly clock: Clock;
  setPin(pin: number, level: boolean): void;
  /** Legacy replacement: IRQ 0 and 8. */
  setLegacyIrq(irq: number, level: boolean): void;
  setLegacy(on: boolean): void;
}

export const hpet = defineDevice({
  name: 'hpet',
  ref: 'IA-PC HPET Specification 1.0a 2.3',
  claims: { mmio: [[0xfed00000, 0x400]] },
  state: (): HpetState => ({
    config: 0,
    status: 0,
    counterLo: 0,
    counterHi: 0,
    since: 0,
    timers: Array.from({ length: TIMERS }, () => ({
      config: TIMER.canRepeat | TIMER.wide,
      compareLo: 0xffffffff,
      compareHi: 0xffffffff,
      periodLo: 0,
      periodHi: 0,
      line: false,
    })),
  }),
  plug(given: { state: HpetState } & HpetNeeds) {
    const { state } = given;
    const timers: Timer[] = state.timers.map((_, n) =>
      given.clock.timer(`hpet.${n}`, () => fire(n)),
    );
    const on = () => (state.config & CONFIG.enabled) !== 0;
    const counter = (): bigint => {
      const held = pair(state.counterLo, state.counterHi);
      if (!on()) return held;
      const passed = given.clock.now() - state.since;
      return (held + BigInt((passed - (passed % NANOS_PER_TICK)) / NANOS_PER_TICK)) & MASK_64;
    };
    /** Where timer `n` drives its line; a closed one nowhere. */
    const drive = (n: number, level: boolean) => {
      const t = state.timers[n]!;
      if (t.line === level) return;
      t.line = level;
      const legacyIrq = (state.config & CONFIG.legacy) !== 0 ? LEGACY_IRQ[n] : undefined;
      const route = (t.config >> ROUTE_SHIFT) & 31;
      if (legacyIrq !== undefined) given.setLegacyIrq(legacyIrq, level);
      else if (((ROUTES >>> route) & 1) !== 0) given.setPin(route, level);
    };
    const arm = (n: number, exclusive = false) => {
      const t = state.timers[n]!;
      if (!on()) {
        timers[n]!.cancel();
        return;
      }
      const width = (t.config & TIMER.mode32) !== 0 ? 32n : 64n;
      const now = counter();
      let ahead = BigInt.asUintN(Number(width), pair(t.compareLo, t.compareHi) - now);
      if (ahead === 0n && exclusive) ahead = 1n << width;
      const part = (given.clock.now() - state.since) % NANOS_PER_TICK;
      const deadline = given.clock.now() - part + Number(ahead) * NANOS_PER_TICK;
      timers[n]!.set(Math.min(Math.max(deadline, given.clock.now()), NEVER));
    };
    const advance = (t: HpetTimerState) => {
      const width = (t.config & TIMER.mode32) !== 0 ? 32 : 64;
      const period = BigInt.asUintN(width, pair(t.periodLo, t.periodHi));
      if (period === 0n) return;
      const compare = pair(t.compareLo, t.compareHi);
      const late = BigInt.asUintN(width, counter() - compare);
      setCompare(t, BigInt.asUintN(width, compare + (late / period + 1n) * period));
    };
    const fire = (n: number) => {
      const t = state.timers[n]!;
      if ((t.config & TIMER.periodic) !== 0) advance(t);
      arm(n, true);
      if ((t.config & TIMER.level) !== 0) {
        state.status |= 1 << n;
        if ((t.config & TIMER.enabled) !== 0) drive(n, true);
      } else if ((t.config & TIMER.enabled) !== 0) {
        // As the 8254's: the line falls at the next edge only, so that an 8259 does not lose the request.
        drive(n, false);
        drive(n, true);
      }
    };
    const writeConfig = (value: number) => {
      const now = counter();
      state.timers.forEach((_, n) => {
        drive(n, false);
      });
      state.config = value & (CONFIG.enabled | CONFIG.legacy);
      setCounter(state, now, given.clock.now());
      given.setLegacy((state.config & CONFIG.legacy) !== 0);
      state.timers.forEach((_, n) => {
        arm(n);
      });
    };
    const writeTimerConfig = (n: number, value: number) => {
      const t = state.timers[n]!;
      drive(n, false);
      t.config = (value & TIMER_WRITABLE) | TIMER.canRepeat | TIMER.wide;
      if ((t.config & TIMER.mode32) !== 0) t.compareHi = t.periodHi = 0;
      const waiting = (t.config & TIMER.level) !== 0 && ((state.status >> n) & 1) !== 0;
      if (waiting && (t.config & TIMER.enabled) !== 0) drive(n, true);
      arm(n);
    };
    /** 2.3.9.2.2: a periodic timer takes a write as its period, and after VAL_SET as its comparator too. */
    const writeCompare = (n: number, high: boolean, value: number) => {
      const t = state.timers[n]!;
      const kept = high && (t.config & TIMER.mode32) !== 0 ? 0 : value;
      const repeats = (t.config & TIMER.periodic) !== 0;
      if (!repeats || (t.config & TIMER.setValue) !== 0) {
        if (high) t.compareHi = kept;
        else t.compareLo = kept;
      }
      if (repeats) {
        if (high) t.periodHi = kept;
        else t.periodLo = kept;
      }
      if (high || (t.config & TIMER.mode32) !== 0) t.config &= ~TIMER.setValue;
      arm(n);
    };
    const readTimer = (n: number, at: number): number => {
      const t = state.timers[n]!;
      if (at === 0x00) return t.config;
      if (at === 0x04) return ROUTES;
      if (at === 0x08) return t.compareLo;
      return at === 0x0c ? t.compareHi : 0;
    };
    const read = (offset: number): number => {
      switch (offset) {
        case REG.id:
          return (CAPABILITIES | (VENDOR << 16)) >>> 0;
        case REG.id + 4:
          return PERIOD_FEMTOSECONDS;
        case REG.config:
          return state.config;
        case REG.status:
          return state.status;
        case REG.counter:
          return Number(counter() & 0xffffffffn);
        case REG.counter + 4:
          return Number(counter() >> 32n);
        default: {
          const n = (offset - REG.timers) >> 5;
          return offset >= REG.timers && n < TIMERS ? readTimer(n, offset & 31) : 0;
        }
      }
    };
    const writeCounter = (lo: number, hi: number) => {
      setCounter(state, pair(lo, hi), given.clock.now());
      state.timers.forEach((_, n) => {
        arm(n);
      });
    };
    const write = (offset: number, value: number) => {
      const now = counter();
      switch (offset) {
        case REG.config:
          return writeConfig(value);
        case REG.status:
          state.status &= ~value;
          state.timers.forEach((t, n) => {
            if (((value >> n) & 1) !== 0 && (t.config & TIMER.level) !== 0) drive(n, false);
          });
          return;
        case REG.counter:
          return writeCounter(value, Number(now >> 32n));
        case REG.counter + 4:
          return writeCounter(Number(now & 0xffffffffn), value);
        default: {
          const n = (offset - REG.timers) >> 5;
          if (offset < REG.timers || n >= TIMERS) return;
          const at = offset & 31;
          if (at === 0x00) writeTimerConfig(n, value);
          else if (at === 0x08 || at === 0x0c) writeCompare(n, at === 0x0c, value);
        }
      }
    };
    return {
      mmio: [
        {
          read,
          write(offset: number, value: number, bytes: number) {
            if (bytes === 4) return write(offset, value);
            // Narrow accesses are allowed to 32-bit halves only (2.3.2); others are merged into theirs.
            const at = offset & ~3;
            if (at === REG.status) return write(at, value << ((offset & 3) * 8));
            const shift = (offset & 3) * 8;
            const mask = (bytes === 1 ? 0xff : 0xffff) << shift;
            return write(at, ((read(at) & ~mask) | ((value << shift) & mask)) >>> 0);
          },
        },
      ],
      face: {},
    };
  },
});

function pair(lo: number, hi: number): bigint {
  return (BigInt(hi) << 32n) | BigInt(lo);
}

function setCompare(t: HpetTimerState, value: bigint): void {
  t.compareLo = Number(value & 0xffffffffn);
  t.compareHi = Number(value >> 32n) % TWO_32;
}

function setCounter(state: HpetState, value: bigint, now: number): void {
  state.counterLo = Number(value & 0xffffffffn);
  state.counterHi = Number(value >> 32n);
  state.since = now;
}
