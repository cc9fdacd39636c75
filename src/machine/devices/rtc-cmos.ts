// MC146818A real-time clock with 114 bytes of CMOS memory, behind ports 0x70 and 0x71.

import { type Clock, NEVER } from '../clock.ts';
import { defineDevice, FLOATING, type Line } from '../device.ts';
import { nanosToTicks, RTC_HZ, ticksToNanos } from '../frequency.ts';
import { civilFromDays, dayOfWeek, daysFromCivil } from './calendar.ts';

const REG = {
  seconds: 0,
  secondsAlarm: 1,
  minutes: 2,
  minutesAlarm: 3,
  hours: 4,
  hoursAlarm: 5,
  weekday: 6,
  day: 7,
  month: 8,
  year: 9,
  a: 10,
  b: 11,
  c: 12,
  d: 13,
  century: 0x32,
} as const;
const A = { updating: 0x80, divider: 0x70, running: 0x20, rate: 0x0f } as const;
const B = { set: 0x80, update: 0x10, alarm: 0x20, periodic: 0x40, binary: 4, hours24: 2 } as const;
const C = { irq: 0x80, periodic: 0x40, alarm: 0x20, update: 0x10 } as const;
const VALID = 0x80;
const PM = 0x80;
const DONT_CARE = 0xc0;
const SECOND = 1e9;
const DAY = 86400;
/** UIP rises 244 us before an update cycle, which lasts 1984 us (datasheet, "Update Cycle", 32.768 kHz). */
const UIP_NANOS = 244_000 + 1_984_000;

export interface RtcState {
  index: number;
  cmos: Uint8Array;
  /** End of the next update cycle: the seconds change here. */
  nextEdge: number;
  /** Number of the last periodic interval whose end is in register C. */
  periodsSeen: number;
}

export interface RtcFace {
  /** Sets the date and time, and the bytes that a BIOS leaves about the memory. */
  start(epochSeconds: number, ramBytes: number): void;
  /** Bytes of the CMOS memory as a set-up program leaves them; clock registers and checksum are not for it. */
  setUp(bytes: Readonly<Record<number, number>>): void;
  /** The NMI enable that shares port 0x70: bit 7 set masks. */
  nmiMasked(): boolean;
}

export const rtcCmos = defineDevice({
  name: 'rtc-cmos',
  ref: 'Motorola MC146818A datasheet; IBM PC/AT Technical Reference, RT/CMOS RAM',
  claims: { pio: [[0x70, 2]], irq: 8 },
  state(): RtcState {
    const cmos = new Uint8Array(128);
    cmos[REG.a] = A.running | 6; // 1024 Hz, as a BIOS leaves it.
    cmos[REG.b] = B.hours24;
    cmos[REG.d] = VALID;
    return { index: 0, cmos, nextEdge: SECOND, periodsSeen: 0 };
  },
  plug({ state, irq, clock }: { state: RtcState; irq: Line; clock: Clock }) {
    const { cmos } = state;
    const timer = clock.timer('rtc-cmos', () => evaluate());
    const evaluate = () => {
      const now = clock.now();
      catchUp(state, now);
      const b = cmos[REG.b]!;
      irq.set((cmos[REG.c]! & b & 0x70) !== 0);
      timer.set(Math.min(nextPeriodic(state, now), nextUpdate(state)));
    };
    const read = (): number => {
      const index = state.index & 0x7f;
      if (index === REG.c) {
        evaluate();
        const flags = cmos[REG.c]!;
        cmos[REG.c] = 0; // Reading clears all flags, and the interrupt with them.
        evaluate();
        return flags | ((flags & cmos[REG.b]! & 0x70) !== 0 ? C.irq : 0);
      }
      if (index <= REG.a || index === REG.century) catchUp(state, clock.now());
      if (index !== REG.a) return cmos[index]!;
      const soon = counting(cmos) && state.nextEdge - clock.now() <= UIP_NANOS;
      return cmos[REG.a]! | (soon ? A.updating : 0);
    };
    const write = (value: number): void => {
      const index = state.index & 0x7f;
      const now = clock.now();
      catchUp(state, now);
      if (index === REG.a) writeA(state, value, now);
      // SET clears the update interrupt enable (datasheet, register B).
      else if (index === REG.b) cmos[REG.b] = (value & B.set) !== 0 ? value & ~B.update : value;
      else if (index !== REG.c && index !== REG.d) cmos[index] = value;
      if (index >= REG.a && index <= REG.c) evaluate();
    };
    const face: RtcFace = {
      start(epochSeconds, ramBytes) {
        setTime(cmos, Math.floor(epochSeconds));
        describeMemory(cmos, ramBytes);
        evaluate();
      },
      setUp(bytes) {
        for (const [at, value] of Object.entries(bytes)) cmos[Number(at)] = value;
        sumUp(cmos);
      },
      nmiMasked: () => (state.index & 0x80) !== 0,
    };
    return {
      pio: [
        {
          read: (offset: number) => (offset === 0 ? FLOATING : read()), // The index is write-only.
          write(offset: number, value: number) {
            if (offset === 0) state.index = value;
            else write(value);
          },
        },
      ],
      face,
    };
  },
});

function dividing(cmos: Uint8Array): boolean {
  return (cmos[REG.a]! & A.divider) === A.running;
}

function counting(cmos: Uint8Array): boolean {
  return dividing(cmos) && (cmos[REG.b]! & B.set) === 0;
}

/** Brings registers and flags to the present. DSE's daylight saving is not done (Deviates: no PC chipset since does). */
function catchUp(state: RtcState, now: number): void {
  const { cmos } = state;
  const periods = periodsAt(cmos, now);
  if (periods > state.periodsSeen) {
    cmos[REG.c] = cmos[REG.c]! | C.periodic;
    state.periodsSeen = periods;
  }
  if (now < state.nextEdge || !dividing(cmos)) return;
  const late = now - state.nextEdge;
  const seconds = (late - (late % SECOND)) / SECOND + 1;
  state.nextEdge += seconds * SECOND;
  if (!counting(cmos)) return;
  advance(cmos, seconds);
}

function advance(cmos: Uint8Array, seconds: number): void {
  const before =
    (field(cmos, REG.seconds) % 60) + (field(cmos, REG.minutes) % 60) * 60 + hour(cmos) * 3600;
  let flags: number = C.update;
  for (let i = 1; i <= seconds && i <= DAY; i++) {
    if (alarmMatches(cmos, (before + i) % DAY)) {
      flags |= C.alarm;
      break;
    }
  }
  cmos[REG.c] = cmos[REG.c]! | flags;
  const after = before + seconds;
  const time = after % DAY;
  const days = (after - time) / DAY;
  cmos[REG.seconds] = encode(cmos, time % 60);
  cmos[REG.minutes] = encode(cmos, Math.floor(time / 60) % 60);
  cmos[REG.hours] = encodeHour(cmos, Math.floor(time / 3600));
  if (days === 0) return;
  const year = field(cmos, REG.century) * 100 + (field(cmos, REG.year) % 100);
  const month = Math.min(Math.max(field(cmos, REG.month), 1), 12);
  const day = Math.max(field(cmos, REG.day), 1);
  setDate(cmos, daysFromCivil({ year, month, day }) + days);
  cmos[REG.weekday] = ((cmos[REG.weekday]! + 6 + days) % 7) + 1;
}

function alarmMatches(cmos: Uint8Array, time: number): boolean {
  return (
    matches(cmos[REG.secondsAlarm]!, encode(cmos, time % 60)) &&
    matches(cmos[REG.minutesAlarm]!, encode(cmos, Math.floor(time / 60) % 60)) &&
    matches(cmos[REG.hoursAlarm]!, encodeHour(cmos, Math.floor(time / 3600)))
  );
}

/** An alarm byte with both top bits set matches anything (datasheet, "Alarm"). */
function matches(alarm: number, value: number): boolean {
  return (alarm & DONT_CARE) === DONT_CARE || alarm === value;
}

function setTime(cmos: Uint8Array, epochSeconds: number): void {
  const days = Math.floor(epochSeconds / DAY);
  const time = epochSeconds - days * DAY;
  cmos[REG.seconds] = encode(cmos, time % 60);
  cmos[REG.minutes] = encode(cmos, Math.floor(time / 60) % 60);
  cmos[REG.hours] = encodeHour(cmos, Math.floor(time / 3600));
  setDate(cmos, days);
  cmos[REG.weekday] = dayOfWeek(days);
}

function setDate(cmos: Uint8Array, days: number): void {
  const date = civilFromDays(days);
  cmos[REG.day] = encode(cmos, date.day);
  cmos[REG.month] = encode(cmos, date.month);
  cmos[REG.year] = encode(cmos, date.year % 100);
  cmos[REG.century] = encode(cmos, Math.floor(date.year / 100) % 100);
}

/** Registers keep their bytes when the data mode changes, as the datasheet says; they are read in the mode of the moment. */
function field(cmos: Uint8Array, register: number): number {
  return decode(cmos, cmos[register]!);
}

function decode(cmos: Uint8Array, raw: number): number {
  return (cmos[REG.b]! & B.binary) !== 0 ? raw : (raw >> 4) * 10 + (raw & 15);
}

function encode(cmos: Uint8Array, value: number): number {
  return (cmos[REG.b]! & B.binary) !== 0 ? value : (Math.floor(value / 10) << 4) | (value % 10);
}

function hour(cmos: Uint8Array): number {
  const raw = cmos[REG.hours]!;
  if ((cmos[REG.b]! & B.hours24) !== 0) return decode(cmos, raw) % 24;
  return (decode(cmos, raw & ~PM) % 12) + ((raw & PM) !== 0 ? 12 : 0);
}

function encodeHour(cmos: Uint8Array, value: number): number {
  if ((cmos[REG.b]! & B.hours24) !== 0) return encode(cmos, value);
  return encode(cmos, value % 12 === 0 ? 12 : value % 12) | (value >= 12 ? PM : 0);
}

/** Leaving a reset of the divider, the first update comes half a second later (datasheet, register A). */
function writeA(state: RtcState, value: number, now: number): void {
  const wasDividing = dividing(state.cmos);
  state.cmos[REG.a] = value & ~A.updating;
  if (!wasDividing && dividing(state.cmos)) state.nextEdge = now + SECOND / 2;
  state.periodsSeen = periodsAt(state.cmos, now);
}

/** Crystal ticks of one periodic interval (datasheet, table 5); rates 1 and 2 repeat 8 and 9; 0: none. */
function periodTicks(cmos: Uint8Array): number {
  const rate = cmos[REG.a]! & A.rate;
  if (rate === 0 || !dividing(cmos)) return 0;
  return 1 << (rate <= 2 ? rate + 6 : rate - 1);
}

function periodsAt(cmos: Uint8Array, now: number): number {
  const length = periodTicks(cmos);
  if (length === 0) return 0;
  const ticks = nanosToTicks(RTC_HZ, now);
  return (ticks - (ticks % length)) / length;
}

/** A timer is needed only while the flag it would set is clear and wanted. */
function nextPeriodic(state: RtcState, now: number): number {
  const { cmos } = state;
  if ((cmos[REG.b]! & ~cmos[REG.c]! & B.periodic) === 0) return NEVER;
  const length = periodTicks(cmos);
  return length === 0 ? NEVER : ticksToNanos(RTC_HZ, (periodsAt(cmos, now) + 1) * length);
}

function nextUpdate(state: RtcState): number {
  const { cmos } = state;
  if ((cmos[REG.b]! & ~cmos[REG.c]! & (B.update | B.alarm)) === 0) return NEVER;
  return counting(cmos) ? state.nextEdge : NEVER;
}

/** AT Technical Reference, CMOS RAM: sizes in KiB; above 16 MiB in units of 64 KiB at 0x34; checksum of 0x10..0x2d. */
function describeMemory(cmos: Uint8Array, ramBytes: number): void {
  const kib = Math.floor(ramBytes / 1024);
  const word = (at: number, value: number) => {
    cmos[at] = value & 0xff;
    cmos[at + 1] = value >> 8;
  };
  const extended = Math.min(Math.max(kib - 1024, 0), 0xffff);
  word(0x15, Math.min(kib, 640));
  word(0x17, extended);
  word(0x30, extended);
  word(0x34, Math.min(Math.max(Math.floor((kib - 16384) / 64), 0), 0xffff));
  sumUp(cmos);
}

/** The checksum of 0x10..0x2d, high byte first. */
function sumUp(cmos: Uint8Array): void {
  let sum = 0;
  for (let at = 0x10; at <= 0x2d; at++) sum += cmos[at]!;
  cmos[0x2e] = sum >> 8;
  cmos[0x2f] = sum & 0xff;
}
