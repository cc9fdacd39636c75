// The keyboard controller of an AT: its commands, its output port, and a keyboard behind it. It has no mouse port.

import { defineDevice, type Line } from '../device.ts';
import type { PowerSwitch } from '../power.ts';
import {
  type KeyboardState,
  command as keyboardCommand,
  keyboardState,
  keyRoom,
  nextByte,
  pressKeys,
} from './keyboard.ts';

const STATUS = { full: 0x01, system: 0x04, command: 0x08, unlocked: 0x10 } as const;
/** Command byte: interrupt, system flag, keyboard disabled, translation to scan set 1. */
const MODE = { interrupt: 0x01, system: 0x04, disabled: 0x10, translate: 0x40 } as const;
const OUTPUT = { reset: 0x01, a20: 0x02, keyboardFull: 0x10 } as const;
/** Input port: not inhibited, colour display, manufacturing jumper open. */
const INPUT_PORT = 0xb0;
const BREAK = 0xf0;

export interface I8042State {
  mode: number;
  outputPort: number;
  /** The output buffer, and whether it holds a byte. */
  data: number;
  full: boolean;
  lastWasCommand: boolean;
  /** The controller command that waits for its byte; 0: none. */
  pending: number;
  /** A break prefix was swallowed by translation. */
  released: boolean;
  ram: Uint8Array;
  keyboard: KeyboardState;
}

export interface I8042Face {
  /** Keys, in scan set 2. */
  press(codes: ArrayLike<number>): void;
  /** How many codes it takes now. */
  room(): number;
}

export const i8042 = defineDevice({
  name: 'i8042',
  ref: 'Intel 8042 (UPI-42) datasheet; IBM PC/AT Technical Reference, keyboard controller',
  claims: {
    pio: [
      [0x60, 1],
      [0x64, 1],
    ],
    irq: 1,
  },
  state: (): I8042State => ({
    mode: MODE.interrupt | MODE.system | MODE.translate,
    outputPort: 0xcf,
    data: 0,
    full: false,
    lastWasCommand: false,
    pending: 0,
    released: false,
    ram: new Uint8Array(32),
    keyboard: keyboardState(),
  }),
  plug({ state, irq, power }: { state: I8042State; irq: Line; power: PowerSwitch }) {
    const update = () => irq.set(state.full && (state.mode & MODE.interrupt) !== 0);
    const put = (byte: number) => {
      state.data = byte;
      state.full = true;
      // One byte after the other: the line falls in between, for an edge-triggered 8259.
      irq.set(false);
      update();
    };
    /** Takes from the keyboard what fits. */
    const pull = () => {
      while (!state.full && (state.mode & MODE.disabled) === 0) {
        const byte = nextByte(state.keyboard);
        if (byte < 0) break;
        if ((state.mode & MODE.translate) === 0) put(byte);
        else if (byte === BREAK) state.released = true;
        else {
          put(TRANSLATION[byte]! | (state.released ? 0x80 : 0));
          state.released = false;
        }
      }
      update();
    };
    const writeOutputPort = (value: number) => {
      state.outputPort = value;
      if ((value & OUTPUT.reset) === 0) power.reset('keyboard controller output port');
    };
    const command = (value: number) => {
      state.pending = 0;
      if (value >= 0xf0) {
        // Pulse: each zero bit is a line that is pulsed; bit 0 is reset.
        if ((value & 1) === 0) power.reset(`keyboard controller command 0x${value.toString(16)}`);
        return;
      }
      if (value >= 0x20 && value < 0x40)
        return put(value === 0x20 ? state.mode : state.ram[value & 31]!);
      if (value >= 0x60 && value < 0x80) state.pending = value;
      switch (value) {
        case 0xaa: // self test
          state.mode = MODE.interrupt | MODE.system | MODE.translate;
          return put(0x55);
        case 0xab: // keyboard line test
          return put(0x00);
        case 0xad:
          state.mode |= MODE.disabled;
          return;
        case 0xae:
          state.mode &= ~MODE.disabled;
          return pull();
        case 0xc0:
          return put(INPUT_PORT);
        case 0xd0:
          return put(state.outputPort | (state.full ? OUTPUT.keyboardFull : 0));
        case 0xd1: // write output port
        case 0xd2: // write output buffer
          state.pending = value;
          return;
        case 0xdd: // A20 off and on, as later controllers have it
        case 0xdf:
          // Deviates: the bit is kept, the gate is always open (port92.ts).
          state.outputPort = (state.outputPort & ~OUTPUT.a20) | (value & OUTPUT.a20);
          return;
        case 0xe0: // test inputs: clock and data lines idle
          return put(0x00);
        default: // Unknown ones, among them all of a mouse port, are ignored.
      }
    };
    const data = (value: number) => {
      const { pending } = state;
      state.pending = 0;
      if (pending === 0x60) {
        state.mode = value & ~0x80;
        return pull();
      }
      if (pending > 0x60 && pending < 0x80) {
        state.ram[pending & 31] = value;
        return;
      }
      if (pending === 0xd1) return writeOutputPort(value);
      if (pending === 0xd2) return put(value);
      // A byte for the keyboard enables its line (AT Technical Reference, "Keyboard interface").
      state.mode &= ~MODE.disabled;
      keyboardCommand(state.keyboard, value);
      pull();
    };
    const face: I8042Face = {
      press(codes) {
        pressKeys(state.keyboard, codes);
        pull();
      },
      room: () => keyRoom(state.keyboard),
    };
    return {
      pio: [
        {
          read() {
            const byte = state.data;
            if (state.full) {
              state.full = false;
              pull();
            }
            return byte;
          },
          write(_offset: number, value: number) {
            state.lastWasCommand = false;
            data(value);
          },
        },
        {
          read: () =>
            (state.full ? STATUS.full : 0) |
            (state.mode & STATUS.system) |
            (state.lastWasCommand ? STATUS.command : 0) |
            STATUS.unlocked,
          write(_offset: number, value: number) {
            state.lastWasCommand = true;
            command(value);
          },
        },
      ],
      face,
    };
  },
});

/** Scan set 2 to set 1, as the controller's ROM has it (IBM PS/2 Hardware Interface Technical Reference, scan codes). */
const TRANSLATED = `
  ff 43 41 3f 3d 3b 3c 58 64 44 42 40 3e 0f 29 59 65 38 2a 70 1d 10 02 5a 66 71 2c 1f 1e 11 03 5b
  67 2e 2d 20 12 05 04 5c 68 39 2f 21 14 13 06 5d 69 31 30 23 22 15 07 5e 6a 72 32 24 16 08 09 5f
  6b 33 25 17 18 0b 0a 60 6c 34 35 26 27 19 0c 61 6d 73 28 74 1a 0d 62 6e 3a 36 1c 1b 75 2b 63 76
  55 56 77 78 79 7a 0e 7b 7c 4f 7d 4b 47 7e 7f 6f 52 53 50 4c 4d 48 01 45 57 4e 51 4a 37 49 46 54
  80 81 82 41 54`;

/** Codes from 0x85 on, among them all replies, pass as they are. */
const TRANSLATION: Uint8Array = Uint8Array.from({ length: 256 }, (_, i) => i);
TRANSLATION.set(
  TRANSLATED.trim()
    .split(/\s+/)
    .map((code) => Number.parseInt(code, 16)),
);
