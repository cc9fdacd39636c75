// For tests of snapshots: a run as the lab builds it, saved in the middle, and put into another machine that has never started.

import { FRAME_CODE } from '../../cpu/frames.ts';
import { type BootWay, findInterface } from '../../hypervisors/index.ts';
import type { KernelImage } from '../../image/index.ts';
import { NO_FITTINGS } from '../../machine/models/define.ts';
import { chooseModel } from '../../machine/models/registry.ts';
import type { Snapshot } from '../../machine/snapshot.ts';
import { type Assembled, assemble } from '../assemble.ts';
import { DEFAULT_EPOCH_SECONDS } from '../spec.ts';
import { stateHash } from '../state-hash.ts';

export interface SavedKernel {
  readonly on: string;
  readonly kernel: KernelImage;
  readonly initrd: Uint8Array | null;
  readonly commandLine: string;
  readonly memoryBytes: number;
  readonly boot?: BootWay;
}

export interface Saved {
  readonly slots: Snapshot;
  /** RAM, registers and translations: the vCPU's linear memory. */
  readonly memory: Uint8Array;
  readonly retired: number;
}

export function machineFor({ on, memoryBytes }: SavedKernel): Assembled {
  const choice = findInterface(on);
  return assemble({
    choice,
    model: chooseModel(null, choice.interface.machines, NO_FITTINGS, on),
    fittings: NO_FITTINGS,
    memoryBytes,
    engine: 'interpreter',
    time: 'virtual',
    epochSeconds: DEFAULT_EPOCH_SECONDS,
    seed: 3,
    transmit: () => {},
    attend: () => false,
  });
}

export function started(what: SavedKernel): Assembled {
  const made = machineFor(what);
  const { kernel, initrd, commandLine, boot = 'direct' } = what;
  made.attached.start({ kernel, initrd, commandLine, boot });
  return made;
}

/** Until so many instructions have been completed since the start. */
export function runTo({ cpu, machine }: Assembled, instructions: number): void {
  while (cpu.retired() < instructions) {
    const { kind } = machine.run({ instructions: instructions - cpu.retired() });
    if (kind !== 'slice') return;
  }
}

export const save = ({ cpu, devices }: Assembled): Saved => ({
  slots: devices.snapshots.save(),
  memory: cpu.views.u8.slice(),
  retired: cpu.retired(),
});

/** Fields of the state that are the engine's place in its own work. */
const OWN = ['budget', 'slack', 'horizon', 'rec', 'stop', 'attention'] as const;

/** All but what the engine has made of the guest's code: it starts anew, as it does on another machine. */
export function restore({ cpu, devices }: Assembled, { slots, memory, retired }: Saved): void {
  const { state, layout } = cpu;
  const { u8 } = cpu.views;
  devices.snapshots.restore(slots); // First: what devices tell the MMU as they come back may empty the TLB.
  const own = OWN.map((field) => state.get(field));
  const behind = layout.engine + layout.engineBytes;
  u8.set(memory.subarray(0, layout.engine));
  u8.set(memory.subarray(behind), behind);
  OWN.forEach((field, n) => void state.set(field, own[n]!));
  for (let frame = 0; frame * 4096 < layout.ramBytes; frame++)
    u8[layout.frameAttrs + frame]! &= ~FRAME_CODE;
  // The count of instructions is what was granted less what is left.
  state.set('slack', state.get('slack') - (retired - cpu.retired()));
  cpu.stateChanged();
  cpu.mmu.restored();
}

export const hashOf = ({ cpu, devices }: Assembled): string => stateHash(cpu, devices.snapshots);
