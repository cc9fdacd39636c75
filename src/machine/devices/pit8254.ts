// 8254 interval timer with the PC's port 0x61: counter 0 is IRQ 0, counter 1 the refresh, counter 2 the speaker.

import type { Clock } from '../clock.ts';
import { NEVER } from '../clock.ts';
import { defineDevice, type Line } from '../device.ts';
import { nanosToTicks, PIT_HZ, ticksToNanos } from '../frequency.ts';
import {
  currentCount,
  nextChange,
  output,
  type PitCounter,
  pitCounter,
  setGate,
  settle,
  statusByte,
  writeControl,
  writeCountByte,
} from './pit-counter.ts';

const CONTROL = 3;
/** Counter 1 as every BIOS leaves it: a refresh request each 18 ticks, 15.085 us (AT Technical Reference). */
const REFRESH_TICKS = 18;

const PORT61 = { gate2: 0x01, writable: 0x0f, refresh: 0x10, out2: 0x20 } as const;

export interface PitState {
  counters: PitCounter[];
  /** Low four bits of port 0x61: gate of counter 2, speaker data, two parity check enables. */
  port61: number;
  /** The tick at which counter 0 has its next event. */
  eventTick: number;
}

export const pit8254 = defineDevice({
  name: 'pit8254',
  ref: 'Intel 8254 datasheet 231164; ICH9 datasheet 13.7.1 (port 0x61)',
  claims: {
    pio: [
      [0x40, 4],
      [0x61, 1],
    ],
    irq: 0,
  },
  state: (): PitState => ({
    counters: [pitCounter(0, true), pitCounter(2, true), pitCounter(0, false)],
    port61: 0,
    eventTick: NEVER,
  }),
  plug({ state, irq, clock }: { state: PitState; irq: Line; clock: Clock }) {
    const now = () => nanosToTicks(PIT_HZ, clock.now());
    const counter0 = () => state.counters[0]!;

    const arm = (tick: number) => {
      state.eventTick = nextChange(counter0(), tick);
      if (state.eventTick === NEVER) timer.cancel();
      else timer.set(ticksToNanos(PIT_HZ, state.eventTick));
    };
    // Deviates: between two rising edges of modes 2 and 3 the line is not lowered in time but pulsed at the edge, which
    // halves the events. OUT in the status byte and in port 0x61 is exact.
    const timer = clock.timer('pit8254.counter0', () => {
      const c = counter0();
      const before = output(c, state.eventTick - 1);
      settle(c, state.eventTick);
      const after = output(c, state.eventTick);
      if (!before && after) irq.set(false);
      irq.set(after);
      const tick = now();
      settle(c, tick);
      arm(tick);
    });

    const write = (offset: number, value: number) => {
      const tick = now();
      if (offset !== CONTROL) writeCountByte(state.counters[offset]!, value, tick);
      else if (value >> 6 === 3) readBack(state.counters, value, tick);
      else if (((value >> 4) & 3) === 0) latchCount(state.counters[value >> 6]!, tick);
      else writeControl(state.counters[value >> 6]!, value);
      if (offset !== 0 && !(offset === CONTROL && value >> 6 === 0)) return;
      settle(counter0(), tick);
      irq.set(output(counter0(), tick));
      arm(tick);
    };
    const readPort61 = () => {
      const tick = now();
      const c = state.counters[2]!;
      settle(c, tick);
      const refresh = ((tick - (tick % REFRESH_TICKS)) / REFRESH_TICKS) % 2;
      return (
        state.port61 | (refresh === 1 ? PORT61.refresh : 0) | (output(c, tick) ? PORT61.out2 : 0)
      );
    };
    return {
      pio: [
        {
          // The control word cannot be read: the 8254 floats its bus.
          read: (offset: number) =>
            offset === CONTROL ? 0xff : readCounter(state.counters[offset]!, now()),
          write,
        },
        {
          read: readPort61,
          write(_offset: number, value: number) {
            state.port61 = value & PORT61.writable;
            setGate(state.counters[2]!, (value & PORT61.gate2) !== 0, now());
          },
        },
      ],
      face: {},
    };
  },
});

/** A status latched with a count is read first; a latched count, or the living one, a byte at a time. */
function readCounter(c: PitCounter, tick: number): number {
  settle(c, tick);
  if (c.latchedStatus >= 0) {
    const status = c.latchedStatus;
    c.latchedStatus = -1;
    return status;
  }
  const count = c.latched >= 0 ? c.latched : currentCount(c, tick);
  if (c.access === 3 && !c.readHigh) {
    c.readHigh = true;
    return count & 0xff;
  }
  c.readHigh = false;
  c.latched = -1;
  return c.access === 1 ? count & 0xff : count >> 8;
}

/** A second latch before the first was read is ignored (datasheet, "Counter Latch Command"). */
function latchCount(c: PitCounter, tick: number): void {
  settle(c, tick);
  if (c.latched < 0) c.latched = currentCount(c, tick);
}

function readBack(counters: readonly PitCounter[], command: number, tick: number): void {
  for (let i = 0; i < counters.length; i++) {
    if ((command & (2 << i)) === 0) continue;
    const c = counters[i]!;
    settle(c, tick);
    if ((command & 0x20) === 0) latchCount(c, tick);
    if ((command & 0x10) === 0 && c.latchedStatus < 0) c.latchedStatus = statusByte(c, tick);
  }
}
