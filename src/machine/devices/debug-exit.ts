// The debug exit port: a test kernel writes its result and the machine is switched off.

import { defineDevice } from '../device.ts';
import type { PowerSwitch } from '../power.ts';

export const debugExit = defineDevice({
  name: 'debug-exit',
  ref: 'QEMU hw/misc/debugexit.c (7.2): the exit status is twice the value, plus one',
  claims: { pio: [[0xf4, 4]] },
  state: () => ({ status: -1 }),
  plug({ state, power }: { state: { status: number }; power: PowerSwitch }) {
    return {
      pio: [
        {
          wide: true,
          read: () => 0,
          write(_offset: number, value: number) {
            state.status = (value * 2 + 1) & 0xff;
            power.off(`debug exit port: status ${state.status}`);
          },
        },
      ],
      /** -1: nobody has written. */
      face: { status: () => state.status },
    };
  },
});
