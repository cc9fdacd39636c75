// A small real machine for tests of interfaces: 16 MiB, a vCPU at rest, nothing loaded.

import type { Border } from '../../cpu/border.ts';
import { createCpu } from '../../cpu/core.ts';
import { GuestRam, memoryMap } from '../../machine/memory.ts';
import { createMicrovm } from '../../machine/models/microvm.ts';
import type { Platform } from '../define.ts';
import { runGuest } from '../run-guest.ts';

export const TEST_RAM = 16 << 20;
const TEST_EPOCH = 1_700_000_000;

export function testPlatform(): Platform {
  const microvm = createMicrovm({
    ramBytes: TEST_RAM,
    epochSeconds: TEST_EPOCH,
    transmit: () => {},
    onSkip: (skipped) => cpu.state.set64('tscOffset', BigInt(skipped)),
  });
  const border: Border = {
    ...microvm.border,
    cpuid: (_leaf, _subleaf, out) => out.fill(0),
    hypercall: () => false,
  };
  const cpu = createCpu({ ramBytes: TEST_RAM, border, engine: 'reference' });
  microvm.connect({
    retired: () => cpu.retired(),
    requestExit: () => cpu.requestExit(),
    setInterruptLine: (level) => cpu.setInterruptLine(level),
    run: (budget) => runGuest(cpu, {}, budget),
    interruptsEnabled: () => false,
  });
  const ram = new GuestRam(cpu.memory, cpu.layout.ramBase, TEST_RAM, (gpa, bytes) =>
    cpu.ramWritten(gpa, bytes),
  );
  return {
    cpu,
    ram,
    clock: microvm.clock,
    devices: microvm.border,
    lapic: microvm.lapic,
    interrupt: { set: (level) => microvm.link.setInterfaceLine(level) },
    power: microvm.powerSwitch,
    requests: microvm.requests,
    console: { transmit: () => {}, connect: (end) => microvm.consoles.connect('interface', end) },
    snapshots: microvm.snapshots,
    epochSeconds: TEST_EPOCH,
    seed: 0,
    disks: [],
    nets: [],
    memoryBytes: TEST_RAM,
    memoryMap: memoryMap(TEST_RAM),
    rsdp: 0xe0000,
  };
}
