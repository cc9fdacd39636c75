// The reset control register, port 0xcf9: what ACPI's reset register points at.

import { defineDevice } from '../device.ts';
import type { PowerSwitch } from '../power.ts';

const RESET_CPU = 0x04;
/** System reset type, reset CPU, full reset. */
const WRITABLE = 0x0e;

export const resetControl = defineDevice({
  name: 'reset-control',
  ref: 'ICH9 datasheet 13.7.5 (RST_CNT)',
  claims: { pio: [[0xcf9, 1]] },
  state: () => ({ value: 0 }),
  plug({ state, power }: { state: { value: number }; power: PowerSwitch }) {
    return {
      pio: [
        {
          read: () => state.value,
          write(_offset: number, value: number) {
            const rises = (value & ~state.value & RESET_CPU) !== 0;
            state.value = value & WRITABLE;
            if (rises) power.reset('reset control register 0xcf9');
          },
        },
      ],
      face: {},
    };
  },
});
