// A small real machine for tests of interfaces: 16 MiB, a vCPU at rest, nothing loaded.

import type { Border } from '../../cpu/border.ts';
import { createCpu, type EngineName } from '../../cpu/core.ts';
import { setPolicy } from '../../cpu/policy.ts';
import { ramListener } from '../../cpu/ram-written.ts';
import { Machine } from '../../machine/machine.ts';
import { GuestRam, memoryMap } from '../../machine/memory.ts';
import { createMicrovm } from '../../machine/models/microvm.ts';
import { type Attached, type HypervisorInterface, type Platform, policyFor } from '../define.ts';
import { runGuest } from '../run-guest.ts';
import type { Seen } from '../seen.ts';

export const TEST_RAM = 16 << 20;
const TEST_EPOCH = 1_700_000_000;

interface TestOptions {
  readonly engine?: EngineName;
  readonly transmit?: (byte: number) => void;
  readonly seen?: Seen;
}

export function testPlatform(): Platform {
  const { platform, microvm } = build({});
  const { cpu } = platform;
  microvm.connect({
    retired: () => cpu.retired(),
    requestExit: () => cpu.requestExit(),
    requestExitAt: (retired) => cpu.requestExitAt(retired),
    setInterruptLine: (level) => cpu.setInterruptLine(level),
    run: (budget, due) => runGuest(cpu, {}, budget, undefined, due),
    interruptsEnabled: () => false,
  });
  return platform;
}

/** An interface at work on it, and the machine's own loop around both. */
export function testMachine(
  on: HypervisorInterface,
  version = on.versions[0] ?? '',
  options: TestOptions = {},
): { platform: Platform; attached: Attached; machine: Machine } {
  const { platform, microvm, front } = build(options);
  const { cpu } = platform;
  setPolicy(cpu.state, policyFor(on, version));
  const attached = on.attach(platform, version);
  Object.assign(front, attached.border);
  const machine = new Machine(
    microvm,
    {
      retired: () => cpu.retired(),
      requestExit: () => cpu.requestExit(),
      requestExitAt: (retired) => cpu.requestExitAt(retired),
      setInterruptLine: (level) => cpu.setInterruptLine(level),
      run: (budget, due) => runGuest(cpu, attached, budget, undefined, due),
      interruptsEnabled: () => cpu.interruptsEnabled(),
      waitsInCall: () => attached.waiting?.() ?? false,
      halted: () => cpu.state.get('halted') !== 0,
    },
    { time: 'virtual' },
  );
  return { platform, attached, machine };
}

function build({ engine = 'reference', transmit = () => {}, seen }: TestOptions) {
  const microvm = createMicrovm({
    ramBytes: TEST_RAM,
    epochSeconds: TEST_EPOCH,
    transmit,
    onSkip: (skipped) => cpu.state.set64('tscOffset', BigInt(skipped)),
  });
  const front: Border = {
    ...microvm.border,
    cpuid: (_leaf, _subleaf, out) => out.fill(0),
    hypercall: () => false,
  };
  const cpu = createCpu({ ramBytes: TEST_RAM, border: front, engine });
  const ram = new GuestRam(cpu.memory, cpu.layout.ramBase, TEST_RAM, ramListener(cpu));
  const platform: Platform = {
    cpu,
    ram,
    clock: microvm.clock,
    devices: microvm.border,
    lapic: microvm.lapic,
    ...(microvm.pulseIsa && { pulseIsa: microvm.pulseIsa }),
    interrupt: { set: (level) => microvm.link.setInterfaceLine(level) },
    power: microvm.powerSwitch,
    requests: microvm.requests,
    console: { transmit: () => {}, connect: (end) => microvm.consoles.connect('interface', end) },
    snapshots: microvm.snapshots,
    ...(seen && { seen }),
    epochSeconds: TEST_EPOCH,
    seed: 0,
    disks: [],
    nets: [],
    memoryBytes: TEST_RAM,
    memoryMap: memoryMap(TEST_RAM),
    rsdp: 0xe0000,
  };
  return { platform, microvm, front };
}
