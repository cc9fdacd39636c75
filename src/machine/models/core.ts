// What every machine has, even one without a single device: a clock, inputs, power, the wire to the CPU, snapshot slots.

import { Clock } from '../clock.ts';
import { ConsoleEnds } from '../console-ends.ts';
import { CpuLink } from '../cpu-link.ts';
import { type InputEvent, Inputs } from '../inputs.ts';
import { type InterfacePower, type Power, powerSwitch } from '../power.ts';
import { RequestEnd } from '../request-end.ts';
import { type Plain, SnapshotSlots } from '../snapshot.ts';

export interface CoreConfig {
  readonly ramBytes: number;
  /** Console output, a byte at a time. */
  transmit(byte: number): void;
  /** Each outside event, stamped, as it enters. */
  readonly record?: (event: InputEvent) => void;
  /** The total time skipped in halts, whenever it grows: the time stamp counter includes it. */
  readonly onSkip?: (skipped: number) => void;
}

export interface MachineCore {
  readonly link: CpuLink;
  readonly snapshots: SnapshotSlots;
  readonly clock: Clock;
  readonly inputs: Inputs;
  readonly power: Power;
  readonly powerSwitch: InterfacePower;
  readonly consoles: ConsoleEnds;
  readonly requests: RequestEnd;
  transmit(byte: number): void;
}

export function buildCore({ transmit, record, onSkip }: CoreConfig): MachineCore {
  const link = new CpuLink();
  const snapshots = new SnapshotSlots();
  const clock = new Clock(link, onSkip);
  const inputs = new Inputs(record);
  const power: Power = { state: 'running', why: '' };
  const consoles = new ConsoleEnds();
  snapshots.addState('power', power);
  snapshots.addState('consoles', consoles.state);
  snapshots.add('clock', {
    save: () => clock.save() as unknown as Plain,
    restore: (saved) => clock.restore(saved as unknown as ReturnType<Clock['save']>),
  });
  snapshots.add('inputs', {
    save: () => inputs.save(),
    restore: (saved) => inputs.restore(saved as { position: number }),
  });
  snapshots.add('interrupt-line', {
    save: () => link.save(),
    restore: (saved) => link.restore(saved as ReturnType<CpuLink['save']>),
  });
  return {
    link,
    snapshots,
    clock,
    inputs,
    power,
    powerSwitch: powerSwitch(power, () => link.requestExit()),
    consoles,
    requests: new RequestEnd(),
    transmit,
  };
}
