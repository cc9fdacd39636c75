// System control port A, 0x92: fast reset and the A20 gate, which is always open here.

import { defineDevice } from '../device.ts';
import type { PowerSwitch } from '../power.ts';

const FAST_RESET = 0x01;
const A20 = 0x02;

export const port92 = defineDevice({
  name: 'port92',
  ref: 'ICH9 datasheet 13.7.3 (PORT92)',
  claims: { pio: [[0x92, 1]] },
  state: () => ({ value: A20 }),
  plug({ state, power }: { state: { value: number }; power: PowerSwitch }) {
    return {
      pio: [
        {
          read: () => state.value,
          write(_offset: number, value: number) {
            const rises = (value & ~state.value & FAST_RESET) !== 0;
            // Deviates: A20 cannot be closed; a guest of ours never starts in real mode with a wrapped address space.
            state.value = (value & (FAST_RESET | A20)) | A20;
            if (rises) power.reset('port 0x92');
          },
        },
      ],
      face: {},
    };
  },
});
