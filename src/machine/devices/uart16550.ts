// 16550A serial port: the console of every guest that has no better one.

import type { Clock } from '../clock.ts';
import { defineDevice, type Line } from '../device.ts';
import { ticksToNanos, UART_HZ } from '../frequency.ts';

const REG = { data: 0, ier: 1, iir: 2, lcr: 3, mcr: 4, lsr: 5, msr: 6, scratch: 7 } as const;
const IER = { rx: 0x01, tx: 0x02, line: 0x04, modem: 0x08 } as const;
const IIR = { modem: 0x00, none: 0x01, tx: 0x02, rx: 0x04, line: 0x06, timeout: 0x0c } as const;
const LCR = { break: 0x40, dlab: 0x80 } as const;
const MCR = { dtr: 0x01, rts: 0x02, out1: 0x04, out2: 0x08, loop: 0x10 } as const;
const LSR = { ready: 0x01, overrun: 0x02, break: 0x10, txIdle: 0x60, fifoError: 0x80 } as const;
/** CTS, DSR and DCD of a connected terminal. */
const CONNECTED = 0xb0;
const FIFO_SIZE = 16;
const TRIGGERS = [1, 4, 8, 14] as const;
/** Bytes that wait on the wire for room in the receiver; the sender keeps the rest. */
const WIRE_SIZE = 4096;

export interface UartState {
  ier: number;
  lcr: number;
  mcr: number;
  scratch: number;
  divisor: number;
  /** The FIFO control register's lasting bits: enable, trigger level. */
  fcr: number;
  /** Received characters and the error bits that came with each. */
  rx: Uint8Array;
  rxErrors: Uint8Array;
  rxFirst: number;
  rxCount: number;
  overrun: boolean;
  /** The transmitter has run empty and nobody has been told yet. */
  txPending: boolean;
  timedOut: boolean;
  msrDelta: number;
  msrLevel: number;
  wire: Uint8Array;
  wireFirst: number;
  wireCount: number;
}

export interface UartFace {
  /** Takes as many bytes as the wire holds and says how many. */
  receive(bytes: ArrayLike<number>): number;
  /** How many bytes it would take. */
  room(): number;
  /** A break condition on the line. */
  receiveBreak(): void;
}

export interface UartNeeds {
  readonly irq: Line;
  readonly clock: Clock;
  /** Names this port's timer where there is more than one. */
  readonly timerName?: string;
  transmit(byte: number): void;
}

export const uart16550 = defineDevice({
  name: 'uart16550',
  ref: 'PC16550D datasheet 8.0',
  claims: { pio: [[0x3f8, 8]], irq: 4 },
  state: (): UartState => ({
    ier: 0,
    lcr: 0,
    mcr: 0,
    scratch: 0,
    divisor: 12, // 9600 baud, as a BIOS leaves it.
    fcr: 0,
    rx: new Uint8Array(FIFO_SIZE),
    rxErrors: new Uint8Array(FIFO_SIZE),
    rxFirst: 0,
    rxCount: 0,
    overrun: false,
    txPending: false,
    timedOut: false,
    msrDelta: 0,
    msrLevel: CONNECTED,
    wire: new Uint8Array(WIRE_SIZE),
    wireFirst: 0,
    wireCount: 0,
  }),
  plug({ state, irq, clock, timerName, transmit }: { state: UartState } & UartNeeds) {
    const timer = clock.timer(timerName ?? 'uart16550.rx-timeout', () => {
      state.timedOut = state.rxCount > 0;
      update();
    });
    // On a PC, OUT2 gates the interrupt onto the bus; loopback forces OUT2 inactive (AT Technical Reference, serial).
    const update = () => {
      const gated = (state.mcr & (MCR.out2 | MCR.loop)) === MCR.out2;
      irq.set(gated && source(state) !== IIR.none);
    };
    /** The timeout counts from the last character moved, over four character times (8.4.1). */
    const restartTimeout = () => {
      state.timedOut = false;
      if (fifoOn(state) && state.rxCount > 0) {
        timer.set(clock.now() + ticksToNanos(UART_HZ, 4 * characterTicks(state)));
      } else timer.cancel();
    };
    const arrived = (byte: number, errors: number) => {
      push(state, byte, errors);
      restartTimeout();
    };
    const pull = () => {
      if ((state.mcr & MCR.loop) !== 0) return;
      const before = state.wireCount;
      while (state.wireCount > 0 && state.rxCount < capacity(state)) {
        push(state, state.wire[state.wireFirst]!, 0);
        state.wireFirst = (state.wireFirst + 1) % WIRE_SIZE;
        state.wireCount--;
      }
      if (state.wireCount !== before) restartTimeout();
    };
    const readData = () => {
      if (state.rxCount === 0) return state.rx[state.rxFirst]!; // The buffer keeps its last character.
      const byte = state.rx[state.rxFirst]!;
      state.rxErrors[state.rxFirst] = 0;
      state.rxFirst = (state.rxFirst + 1) % FIFO_SIZE;
      state.rxCount--;
      restartTimeout();
      pull();
      update();
      return byte;
    };
    const send = (byte: number) => {
      state.txPending = false;
      update(); // The line falls while the holding register is full, so that its emptying is an edge.
      if ((state.mcr & MCR.loop) === 0) transmit(byte);
      else arrived(byte & dataMask(state), 0);
      state.txPending = true;
      update();
    };
    const modemChanged = () => {
      const level = (state.mcr & MCR.loop) === 0 ? CONNECTED : loopedModem(state.mcr);
      const changed = level ^ state.msrLevel;
      // DCTS, DDSR and DDCD on any change; TERI on the trailing edge of RI only (8.8).
      state.msrDelta |= ((changed >> 4) & 0x0b) | ((changed & state.msrLevel & 0x40) >> 4);
      state.msrLevel = level;
    };

    const read = (offset: number): number => {
      switch (offset) {
        case REG.data:
          return (state.lcr & LCR.dlab) !== 0 ? state.divisor & 0xff : readData();
        case REG.ier:
          return (state.lcr & LCR.dlab) !== 0 ? state.divisor >> 8 : state.ier;
        case REG.iir: {
          const id = source(state);
          if (id === IIR.tx) {
            state.txPending = false; // Reading the register ends a transmitter interrupt, if it is what it shows.
            update();
          }
          return id | (fifoOn(state) ? 0xc0 : 0);
        }
        case REG.lcr:
          return state.lcr;
        case REG.mcr:
          return state.mcr;
        case REG.lsr: {
          const value = lineStatus(state);
          state.overrun = false;
          state.rxErrors[state.rxFirst] = 0;
          update();
          return value;
        }
        case REG.msr: {
          const value = state.msrLevel | state.msrDelta;
          state.msrDelta = 0;
          update();
          return value;
        }
        default:
          return state.scratch;
      }
    };
    const write = (offset: number, value: number): void => {
      switch (offset) {
        case REG.data:
          if ((state.lcr & LCR.dlab) === 0) send(value);
          else state.divisor = (state.divisor & 0xff00) | value;
          return;
        case REG.ier:
          if ((state.lcr & LCR.dlab) !== 0) {
            state.divisor = (state.divisor & 0xff) | (value << 8);
            return;
          }
          // Enabling the transmitter interrupt while the holding register is empty raises it (8.7).
          if ((value & ~state.ier & IER.tx) !== 0) state.txPending = true;
          state.ier = value & 0x0f;
          break;
        case REG.iir:
          writeFifoControl(state, value);
          restartTimeout();
          pull();
          break;
        case REG.lcr: {
          const startsBreak = (value & ~state.lcr & LCR.break) !== 0;
          state.lcr = value;
          if (startsBreak && (state.mcr & MCR.loop) !== 0) arrived(0, LSR.break);
          break;
        }
        case REG.mcr:
          state.mcr = value & 0x1f;
          modemChanged();
          pull();
          break;
        case REG.scratch:
          state.scratch = value;
          return;
        default: // Line and modem status: read-only here; writing is for factory tests (8.6.3).
          return;
      }
      update();
    };

    const face: UartFace = {
      receive(bytes) {
        const room = Math.min(bytes.length, WIRE_SIZE - state.wireCount);
        for (let i = 0; i < room; i++) {
          state.wire[(state.wireFirst + state.wireCount++) % WIRE_SIZE] = bytes[i]!;
        }
        pull();
        update();
        return room;
      },
      room: () => WIRE_SIZE - state.wireCount,
      receiveBreak() {
        if ((state.mcr & MCR.loop) !== 0) return;
        arrived(0, LSR.break);
        update();
      },
    };
    return { pio: [{ read, write }], face };
  },
});

function fifoOn(state: UartState): boolean {
  return (state.fcr & 1) !== 0;
}

function capacity(state: UartState): number {
  return fifoOn(state) ? FIFO_SIZE : 1;
}

/** A character that finds no room is lost in FIFO mode; without the FIFO it replaces the unread one (8.6.3, OE). */
function push(state: UartState, byte: number, errors: number): void {
  if (state.rxCount < capacity(state)) {
    const at = (state.rxFirst + state.rxCount++) % FIFO_SIZE;
    state.rx[at] = byte;
    state.rxErrors[at] = errors;
    return;
  }
  state.overrun = true;
  if (fifoOn(state)) return;
  state.rx[state.rxFirst] = byte;
  state.rxErrors[state.rxFirst] = errors;
}

function lineStatus(state: UartState): number {
  let value: number = LSR.txIdle | (state.overrun ? LSR.overrun : 0);
  if (state.rxCount > 0) value |= LSR.ready | state.rxErrors[state.rxFirst]!;
  if (!fifoOn(state)) return value;
  for (let i = 0; i < state.rxCount; i++) {
    if (state.rxErrors[(state.rxFirst + i) % FIFO_SIZE] !== 0) return value | LSR.fifoError;
  }
  return value;
}

/** The interrupt with the highest priority, as the identification register shows it (table V). */
function source(state: UartState): number {
  if ((state.ier & IER.line) !== 0) {
    if (state.overrun || (state.rxCount > 0 && state.rxErrors[state.rxFirst] !== 0))
      return IIR.line;
  }
  if ((state.ier & IER.rx) !== 0) {
    const level = fifoOn(state) ? TRIGGERS[(state.fcr >> 6) as 0 | 1 | 2 | 3] : 1;
    if (state.rxCount >= level) return IIR.rx;
    if (state.timedOut) return IIR.timeout;
  }
  if ((state.ier & IER.tx) !== 0 && state.txPending) return IIR.tx;
  if ((state.ier & IER.modem) !== 0 && state.msrDelta !== 0) return IIR.modem;
  return IIR.none;
}

function writeFifoControl(state: UartState, value: number): void {
  const toggled = ((value ^ state.fcr) & 1) !== 0;
  const enabled = (value & 1) !== 0;
  state.fcr = enabled ? value & 0xc9 : 0; // The other bits take effect only together with the enable bit (8.3).
  if (toggled || (enabled && (value & 2) !== 0)) {
    state.rxFirst = 0;
    state.rxCount = 0;
    state.rx.fill(0);
    state.rxErrors.fill(0);
  }
}

/** Loopback: DTR to DSR, RTS to CTS, OUT1 to RI, OUT2 to DCD (8.8). */
function loopedModem(mcr: number): number {
  return (
    ((mcr & MCR.rts) !== 0 ? 0x10 : 0) |
    ((mcr & MCR.dtr) !== 0 ? 0x20 : 0) |
    ((mcr & MCR.out1) !== 0 ? 0x40 : 0) |
    ((mcr & MCR.out2) !== 0 ? 0x80 : 0)
  );
}

function dataMask(state: UartState): number {
  return 0xff >> (3 - (state.lcr & 3));
}

/** Crystal ticks of one character: start, data, parity and stop bits, 16 ticks of the divided clock each. */
function characterTicks(state: UartState): number {
  const data = 5 + (state.lcr & 3);
  const stop = (state.lcr & 4) === 0 ? 1 : 2;
  const bits = 1 + data + ((state.lcr & 8) !== 0 ? 1 : 0) + stop;
  return bits * 16 * (state.divisor === 0 ? 0x10000 : state.divisor);
}
