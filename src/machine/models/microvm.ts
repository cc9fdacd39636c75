// The microvm: the least hardware that a stock kernel needs to reach a shell on a serial console.

import { keyboardReset } from '../devices/keyboard-reset.ts';
import type { LapicFace } from '../devices/lapic.ts';
import { resetControl } from '../devices/reset-control.ts';
import { buildChipset, CHIPSET, type ChipsetDevice, type MachineModel } from './chipset.ts';
import type { BuiltMachine, MachineConfig } from './define.ts';

export type MicrovmDevice = ChipsetDevice | 'reset' | 'keyboard';

export const MICROVM: MachineModel<MicrovmDevice> = {
  ...CHIPSET,
  reset: resetControl.claims,
  keyboard: keyboardReset.claims,
};

export type Microvm = BuiltMachine & { readonly lapic: LapicFace };

export function createMicrovm(config: MachineConfig): Microvm {
  const { board, power, machine } = buildChipset(config, MICROVM);
  board.add('reset', resetControl, MICROVM.reset, { power });
  board.add('keyboard', keyboardReset, MICROVM.keyboard, { power });
  return machine;
}
