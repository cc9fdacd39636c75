// The microvm: the least hardware that a stock kernel needs to reach a shell on a serial console.

import { keyboardReset } from '../devices/keyboard-reset.ts';
import { resetControl } from '../devices/reset-control.ts';
import {
  type BuiltMachine,
  buildChipset,
  CHIPSET,
  type ChipsetDevice,
  type MachineConfig,
  type MachineModel,
} from './chipset.ts';

export type { DeviceBorder } from './chipset.ts';

export type MicrovmDevice = ChipsetDevice | 'reset' | 'keyboard';

export const MICROVM: MachineModel<MicrovmDevice> = {
  ...CHIPSET,
  reset: resetControl.claims,
  keyboard: keyboardReset.claims,
};

export type MicrovmConfig = MachineConfig;
export type Microvm = BuiltMachine;

export function createMicrovm(config: MicrovmConfig): Microvm {
  const { board, power, machine } = buildChipset(config, MICROVM);
  board.add('reset', resetControl, MICROVM.reset, { power });
  board.add('keyboard', keyboardReset, MICROVM.keyboard, { power });
  return machine;
}
