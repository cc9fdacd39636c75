// A machine without a device: for interfaces whose guests have only the interface, its events and its console.

import { MmioBus, PortBus } from '../bus.ts';
import type { InputBody } from '../inputs.ts';
import { buildCore, type CoreConfig } from './core.ts';
import type { BuiltMachine, ModelDefinition } from './define.ts';

export function createBare(config: CoreConfig): BuiltMachine {
  const core = buildCore(config);
  const ports = new PortBus();
  const mmio = new MmioBus();
  const { link, consoles } = core;
  return {
    ...core,
    lapic: null,
    border: {
      ioRead: (port, bytes) => ports.read(port, bytes),
      ioWrite: (port, bytes, value) => ports.write(port, bytes, value),
      mmioRead: (gpa, bytes, out) => mmio.read(gpa, bytes, out),
      mmioWrite: (gpa, bytes, lo, hi) => mmio.write(gpa, bytes, lo, hi),
      ownsMsr: () => false,
      rdmsr: () => false,
      wrmsr: () => false,
      readCr8: () => 0,
      writeCr8: () => {},
      acknowledgeInterrupt: () => -1,
    },
    mayRaiseNmi: () => false,
    apply(input: InputBody) {
      if (input.kind === 'typed') consoles.receive(input.to, input.bytes);
    },
    consoleTarget: () => consoles.target(),
    room: (to) => consoles.room(to),
    connect: (cpu) => link.connect(cpu),
    unclaimed: () => [...ports.unclaimed, ...mmio.unclaimed],
    seats: () => [],
  };
}

export const bareModel: ModelDefinition = {
  id: 'bare',
  title: 'no devices: what the interface offers is all there is',
  offers: { disks: { ide: 0, virtio: 0 }, nics: 0, extras: [], rom: false },
  build: (config) => ({ machine: createBare(config), powerOn: () => 0 }),
};
