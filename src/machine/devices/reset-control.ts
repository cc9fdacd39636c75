// The reset control register, port 0xcf9: what ACPI's reset register points at.

import { defineDevice, type PioHandler } from '../device.ts';
import type { PowerSwitch } from '../power.ts';

const RESET_CPU = 0x04;
/** System reset type, reset CPU, full reset. */
const WRITABLE = 0x0e;

export interface ResetControlState {
  value: number;
}

/** The register by itself: chipsets with a PCI host answer it in the middle of the configuration address port. */
export function resetRegister(state: ResetControlState, power: PowerSwitch): PioHandler {
  return {
    read: () => state.value,
    write(_offset, value) {
      const rises = (value & ~state.value & RESET_CPU) !== 0;
      state.value = value & WRITABLE;
      if (rises) power.reset('reset control register 0xcf9');
    },
  };
}

export const resetControl = defineDevice({
  name: 'reset-control',
  ref: 'ICH9 datasheet 13.7.5 (RST_CNT)',
  claims: { pio: [[0xcf9, 1]] },
  state: (): ResetControlState => ({ value: 0 }),
  plug({ state, power }: { state: ResetControlState; power: PowerSwitch }) {
    return { pio: [resetRegister(state, power)], face: {} };
  },
});
