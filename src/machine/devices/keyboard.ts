// An AT keyboard: it answers the commands that drivers probe with, and sends scan codes of set 2.

/** Bytes that wait until the controller takes them; a real one has 16 and then says "overrun". */
const BUFFER = 16;
const REPLY = { ack: 0xfa, resend: 0xfe, passed: 0xaa, echo: 0xee, overrun: 0x00 } as const;
/** An MF-II keyboard (IBM PS/2 Hardware Interface Technical Reference, keyboards, command F2). */
const IDENTITY = [0xab, 0x83] as const;

export interface KeyboardState {
  queue: Uint8Array;
  count: number;
  scanning: boolean;
  /** The command that waits for its parameter; 0: none. */
  command: number;
  leds: number;
  rate: number;
  scanSet: number;
  lastSent: number;
}

export function keyboardState(): KeyboardState {
  return {
    queue: new Uint8Array(BUFFER),
    count: 0,
    scanning: true,
    command: 0,
    leds: 0,
    rate: 0x2b,
    scanSet: 2,
    lastSent: 0,
  };
}

/** What a keyboard has to say next; -1: nothing. */
export function nextByte(state: KeyboardState): number {
  if (state.count === 0) return -1;
  const byte = state.queue[0]!;
  state.queue.copyWithin(0, 1);
  state.count--;
  state.lastSent = byte;
  return byte;
}

/** How many codes there is room for before an overrun. */
export function keyRoom(state: KeyboardState): number {
  return Math.max(BUFFER - 1 - state.count, 0);
}

/** Keys pressed and released, in scan set 2; none while the host has switched scanning off. */
export function pressKeys(state: KeyboardState, codes: ArrayLike<number>): void {
  if (!state.scanning) return;
  for (let i = 0; i < codes.length; i++) {
    // The last place of the buffer is for the overrun code.
    const full = state.count >= BUFFER - 1;
    if (state.count >= BUFFER) return;
    say(state, full ? REPLY.overrun : codes[i]!);
    if (full) return;
  }
}

/** A byte from the controller (IBM PS/2 Hardware Interface Technical Reference, keyboard commands). */
export function command(state: KeyboardState, byte: number): void {
  const waiting = state.command;
  state.command = 0;
  if (waiting !== 0 && byte < 0xed) {
    parameter(state, waiting, byte);
    return;
  }
  switch (byte) {
    case 0xed: // set LEDs
    case 0xf0: // select scan set
    case 0xf3: // typematic rate
      state.command = byte;
      say(state, REPLY.ack);
      return;
    case 0xee:
      say(state, REPLY.echo);
      return;
    case 0xf2:
      say(state, REPLY.ack, ...IDENTITY);
      return;
    case 0xf4:
      empty(state);
      state.scanning = true;
      say(state, REPLY.ack);
      return;
    case 0xf5:
      defaults(state);
      state.scanning = false;
      say(state, REPLY.ack);
      return;
    case 0xf6:
      defaults(state);
      say(state, REPLY.ack);
      return;
    case 0xfe:
      say(state, state.lastSent);
      return;
    case 0xff:
      defaults(state);
      state.scanning = true;
      say(state, REPLY.ack, REPLY.passed);
      return;
    default:
      // 0xf7..0xfd change keys of set 3, which is not there beyond its number.
      say(state, byte >= 0xf7 && byte <= 0xfd ? REPLY.ack : REPLY.resend);
  }
}

function parameter(state: KeyboardState, to: number, value: number): void {
  if (to === 0xed) state.leds = value & 7;
  if (to === 0xf3) state.rate = value & 0x7f;
  if (to === 0xf0) {
    if (value > 3) {
      say(state, REPLY.resend);
      return;
    }
    say(state, REPLY.ack);
    if (value === 0) say(state, state.scanSet);
    else state.scanSet = value;
    return;
  }
  say(state, REPLY.ack);
}

function defaults(state: KeyboardState): void {
  empty(state);
  state.rate = 0x2b;
  state.scanSet = 2;
}

function empty(state: KeyboardState): void {
  state.count = 0;
}

function say(state: KeyboardState, ...bytes: readonly number[]): void {
  for (const byte of bytes) if (state.count < BUFFER) state.queue[state.count++] = byte;
}
