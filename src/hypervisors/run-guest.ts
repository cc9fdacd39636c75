// The loop between a vCPU and its interface: what the exit policy lets out is answered before the machine hears of it.

import { bug } from '../base/errors.ts';
import type { MachineExit, PolicyExit } from '../cpu/border.ts';
import type { Cpu } from '../cpu/core.ts';
import type { Attached } from './define.ts';

/**
 * Runs at most `budget` instructions; `seen` hears of each exit that the interface answers. `due` does what falls due at a
 * count that was asked for, and says whether the guest may go on at once.
 */
export function runGuest(
  cpu: Pick<Cpu, 'run' | 'retired'>,
  attached: Pick<Attached, 'enter' | 'exit'>,
  budget: number,
  seen: (exit: PolicyExit) => void = () => {},
  due: () => boolean = () => false,
): MachineExit {
  const limit = cpu.retired() + budget;
  let refused = false;
  const goesOn = () => {
    refused = !due();
    if (!refused) attached.enter?.();
    return !refused;
  };
  for (;;) {
    attached.enter?.();
    const exit = cpu.run(limit - cpu.retired(), goesOn);
    switch (exit.kind) {
      case 'exception':
      case 'instruction':
      case 'interrupt':
        seen(exit);
        if (!attached.exit) return bug(`an interface leaves its own ${exit.kind} exit unanswered`);
        attached.exit(exit);
        continue;
      case 'due':
        // A CPU that names instructions on the way does not ask.
        if (!refused && due()) continue;
        return exit;
      default:
        return exit;
    }
  }
}
