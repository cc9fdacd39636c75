// The place of a keyboard controller that is not there, but for its reset line.

import { defineDevice, FLOATING } from '../device.ts';
import type { PowerSwitch } from '../power.ts';

/** Ports 0x60 and 0x64 float, which drivers take for "no controller"; the port between them is not claimed. */
export const keyboardReset = defineDevice({
  name: 'keyboard-reset',
  ref: 'Intel 8042 datasheet; IBM PC/AT Technical Reference, keyboard controller',
  claims: {
    pio: [
      [0x60, 1],
      [0x64, 1],
    ],
  },
  state: () => ({}),
  plug({ power }: { state: object; power: PowerSwitch }) {
    const command = (value: number) => {
      // Pulse commands are 0xf0..0xff: each zero bit is a line that is pulsed; bit 0 is reset.
      if ((value & 0xf0) === 0xf0 && (value & 1) === 0) {
        power.reset(`keyboard controller command 0x${value.toString(16)}`);
      }
    };
    return {
      pio: [
        { read: () => FLOATING, write: () => {} },
        { read: () => FLOATING, write: (_offset: number, value: number) => command(value) },
      ],
      face: {},
    };
  },
});
