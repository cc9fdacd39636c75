// Leaves, MSRs and calls of an interface, by themselves: thousands of them with registers of nonsense, and no guest code.

import { enterFlat32 } from '../../src/hypervisors/boot/registers.ts';
import { findInterface } from '../../src/hypervisors/index.ts';
import { assemble } from '../../src/lab/assemble.ts';
import { GuestRam } from '../../src/machine/memory.ts';
import { NO_FITTINGS } from '../../src/machine/models/define.ts';
import { chooseModel } from '../../src/machine/models/registry.ts';
import type { Chance } from './chance.ts';

const REGISTERS = 16;
/** Ports, MSRs and leaves that some interface has (kvm.md, xen-pv.md), and where chance finds the rest. */
const MSR_BASES = [0x10, 0x4b564d00, 0x40000000, 0xc0000080, 0x800] as const;
const LEAF_BASES = [0, 0x40000000, 0x40000100, 0x80000000] as const;
/** Where calls of a ROM trap (vmi.md 12): bootstrap entries, stubs, and what lies between. */
const ROM_TRAPS = {
  at: 0xd0000,
  first: 0x80,
  stubs: 0x200,
  count: 80,
  bytes: 32,
  trap: 3,
} as const;
/** By how much the machine's state may grow. */
const STATE_MAX = 1 << 20;
const MEMORY_BYTES = 16 << 20;
const FLAT_AT = 0x100000;

export interface InterfaceDrive {
  readonly on: string;
  readonly steps: number;
  readonly chance: Chance;
}

/** Null if all went well. */
export function driveInterface({ on, steps, chance }: InterfaceDrive): string | null {
  const { cpu, ram, devices, border } = build(on);
  const { state } = cpu;
  const before = devices.snapshots.bytes().length;
  const out = new Uint32Array(4);
  for (let n = 0; n < steps; n++) {
    // Calls change the mode; from flat code without paging they get furthest.
    if (chance.oneIn(8)) enterFlat32(cpu, ram, FLAT_AT);
    state.set('codeMode', chance.pick([32, 64, 64]));
    state.set('cpl', chance.oneIn(8) ? chance.below(4) : 0);
    for (let r = 0; r < REGISTERS; r++) state.setGpr(r, register(chance));
    state.setGpr(0, chance.oneIn(8) ? register(chance) : BigInt(chance.below(48)));
    state.setVa('rip', place(chance));
    switch (chance.below(4)) {
      case 0:
        border.cpuid(near(chance, LEAF_BASES), chance.value(), out);
        break;
      case 1:
        border.rdmsr(near(chance, MSR_BASES), out);
        break;
      case 2: {
        const value = register(chance);
        border.wrmsr(near(chance, MSR_BASES), Number(value & 0xffffffffn), Number(value >> 32n));
        break;
      }
      default:
        border.hypercall(chance.pick(['vmcall', 'vmmcall'] as const));
    }
    devices.clock.skipTo(devices.clock.now() + chance.below(1000));
    devices.clock.runDue(100);
  }
  const bytes = devices.snapshots.bytes().length - before;
  return bytes > STATE_MAX ? `a state of ${bytes} bytes after ${steps} calls` : null;
}

/** The interface on the machine that it asks for, nothing started. */
function build(on: string) {
  const choice = findInterface(on);
  const model = chooseModel(null, choice.interface.machines, NO_FITTINGS, on);
  const { cpu, devices, attached } = assemble({
    choice,
    model,
    fittings: NO_FITTINGS,
    memoryBytes: MEMORY_BYTES,
    engine: 'reference',
    time: 'virtual',
    epochSeconds: 1_175_000_000,
    seed: 1,
    transmit: () => {},
    attend: () => false,
  });
  const ram = new GuestRam(cpu.memory, cpu.layout.ramBase, MEMORY_BYTES, () => {});
  return { cpu, ram, devices, border: attached.border };
}

/** Behind a trap of a ROM, or anywhere. */
function place(chance: Chance): number {
  if (chance.oneIn(8)) return chance.u32();
  const { at, first, stubs, count, bytes, trap } = ROM_TRAPS;
  if (chance.oneIn(16)) return at + first + 8 * chance.below(2) + trap;
  return at + stubs + bytes * chance.below(count) + trap;
}

function near(chance: Chance, bases: readonly number[]): number {
  return chance.oneIn(8) ? chance.value() : chance.pick(bases) + chance.below(64);
}

/** A pointer into RAM with its low bits set or not, an edge, or anything. */
function register(chance: Chance): bigint {
  return chance.oneIn(3) ? chance.integer() : BigInt(chance.below(17 << 20) | chance.below(2));
}
