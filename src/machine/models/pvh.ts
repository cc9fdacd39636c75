// The machine of a PVH guest: a local APIC and nothing else; consoles and disks are the interface's.

import { Board } from '../board.ts';
import { MmioBus } from '../bus.ts';
import { ApicBus } from '../devices/apic-bus.ts';
import { LAPIC_BASE, lapic } from '../devices/lapic.ts';
import type { InputBody } from '../inputs.ts';
import { buildCore } from './core.ts';
import type { BuiltMachine, MachineConfig } from './define.ts';

export const PVH_LAPIC_BASE = LAPIC_BASE;

export function createPvh(config: MachineConfig): BuiltMachine {
  const core = buildCore(config);
  const { link, snapshots, clock, consoles, powerSwitch } = core;
  const board = new Board(new MmioBus(), snapshots);
  // None of these calls happens before the device is plugged.
  let ready = false;
  const placed = board.add('lapic', lapic, lapic.claims, {
    id: 0,
    clock,
    bus: new ApicBus(),
    x2apic: config.x2apic ?? true,
    tscDeadline: config.tscDeadline ?? true,
    tscOffset: config.tscOffset ?? (() => 0),
    changed: () => {
      if (ready) link.setInterruptLine(local.enabled() && local.pending() >= 0);
    },
    nmi: () => link.raiseNmi(),
    init: () => powerSwitch.reset('INIT to the boot processor'),
    moved: (base, mapped) => placed.windows[0]!.place(base, mapped),
  });
  const local = placed.face;
  ready = true;
  const { ports, mmio } = board;
  return {
    ...core,
    lapic: local,
    border: {
      ioRead: (port, bytes) => ports.read(port, bytes),
      ioWrite: (port, bytes, value) => ports.write(port, bytes, value),
      mmioRead: (gpa, bytes, out) => mmio.read(gpa, bytes, out),
      mmioWrite: (gpa, bytes, lo, hi) => mmio.write(gpa, bytes, lo, hi),
      ownsMsr: local.ownsMsr,
      rdmsr: local.rdmsr,
      wrmsr: local.wrmsr,
      readCr8: local.cr8,
      writeCr8: local.setCr8,
      acknowledgeInterrupt: () => (local.enabled() ? local.acknowledge() : -1),
    },
    mayRaiseNmi: () => false,
    apply(input: InputBody) {
      if (input.kind === 'typed') consoles.receive(input.to, input.bytes);
    },
    consoleTarget: () => consoles.target(),
    room: (to) => consoles.room(to),
    connect: (cpu) => link.connect(cpu),
    seats: () => board.seats,
    unclaimed: () => [...ports.unclaimed, ...mmio.unclaimed],
  };
}
