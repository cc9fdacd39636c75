// The machine that an interface without hardware has in a run, without the lab: for tests of single interfaces.

import { type Cpu, createCpu, type EngineName } from '../../cpu/core.ts';
import { setPolicy } from '../../cpu/policy.ts';
import { ramListener } from '../../cpu/ram-written.ts';
import type { Disk } from '../../machine/disk.ts';
import { Machine } from '../../machine/machine.ts';
import { GuestRam, memoryMap } from '../../machine/memory.ts';
import { createBare } from '../../machine/models/bare.ts';
import type { NetWire } from '../../machine/models/define.ts';
import type { SnapshotSlots } from '../../machine/snapshot.ts';
import type { Attached, HypervisorInterface } from '../define.ts';
import { runGuest } from '../run-guest.ts';
import type { Seen } from '../seen.ts';

export const TEST_EPOCH = 1_700_000_000;

export interface BareOptions {
  readonly memoryBytes: number;
  readonly version?: string;
  readonly engine?: EngineName;
  readonly seed?: number;
  readonly disks?: readonly Disk[];
  readonly nets?: readonly NetWire[];
  readonly seen?: Seen;
  transmit(byte: number): void;
}

export interface BareGuest {
  readonly cpu: Cpu;
  readonly ram: GuestRam;
  readonly machine: Machine;
  readonly attached: Attached;
  readonly snapshots: SnapshotSlots;
}

export function bareGuest(on: HypervisorInterface, options: BareOptions): BareGuest {
  const { memoryBytes, engine = 'reference', seed = 7, disks = [], nets = [], seen } = options;
  const ramBytes = memoryBytes + (on.ownBytes?.(memoryBytes) ?? 0);
  const bare = createBare({
    ramBytes,
    transmit: (byte) => options.transmit(byte),
    onSkip: (skipped) => cpu.setSkipped(skipped),
  });
  const cpu = createCpu({
    ramBytes,
    engine,
    border: {
      ...bare.border,
      cpuid: (leaf, subleaf, out) => attached.border.cpuid(leaf, subleaf, out),
      hypercall: (instruction) => attached.border.hypercall(instruction),
      syscall: () => attached.border.syscall?.() ?? false,
    },
  });
  const ram = new GuestRam(cpu.memory, cpu.layout.ramBase, ramBytes, ramListener(cpu));
  setPolicy(cpu.state, on.policy);
  const attached: Attached = on.attach(
    {
      cpu,
      ram,
      seed,
      disks,
      nets,
      memoryBytes,
      ...(seen && { seen }),
      clock: bare.clock,
      devices: bare.border,
      lapic: null,
      interrupt: { set: (level) => bare.link.setInterfaceLine(level) },
      power: bare.powerSwitch,
      console: {
        transmit: bare.transmit,
        connect: (end) => bare.consoles.connect('interface', end),
      },
      requests: bare.requests,
      snapshots: bare.snapshots,
      epochSeconds: TEST_EPOCH,
      memoryMap: memoryMap(memoryBytes),
      rsdp: 0,
    },
    options.version ?? on.versions[0] ?? '',
  );
  const machine = new Machine(
    bare,
    {
      retired: () => cpu.retired(),
      setInterruptLine: (level) => cpu.setInterruptLine(level),
      requestExit: () => cpu.requestExit(),
      requestExitAt: (retired) => cpu.requestExitAt(retired),
      interruptsEnabled: () => cpu.interruptsEnabled(),
      halted: () => cpu.state.get('halted') !== 0,
      waitsInCall: () => attached.waiting?.() ?? false,
      run: (budget, due) => runGuest(cpu, attached, budget, undefined, due),
    },
    { time: 'virtual' },
  );
  return { cpu, ram, machine, attached, snapshots: bare.snapshots };
}
