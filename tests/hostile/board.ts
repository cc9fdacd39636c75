// The machines that are driven with nonsense: each model full of devices, with memory that counts what is asked of it.

import type { Range, Seat } from '../../src/machine/board.ts';
import { memoryStore, openDisk } from '../../src/machine/disk.ts';
import { Machine } from '../../src/machine/machine.ts';
import { GuestRam } from '../../src/machine/memory.ts';
import type { BuiltMachine, MachineConfig } from '../../src/machine/models/define.ts';
import { NO_FITTINGS } from '../../src/machine/models/define.ts';
import { createPc, PCI_WINDOW } from '../../src/machine/models/pc.ts';
import { MACHINE_MODELS, type MachineModelId } from '../../src/machine/models/registry.ts';
import { assignResources } from '../../src/machine/pci/assign.ts';
import type { Snapshot } from '../../src/machine/snapshot.ts';
import { SteppedCpu } from '../../src/machine/testing/stepped-cpu.ts';
import { joinNics, type NetFace } from '../../src/machine/virtio/net.ts';
import { MMIO_BYTES, virtioMmio } from '../../src/machine/virtio/transport-mmio.ts';
import { virtioPci } from '../../src/machine/virtio/transport-pci.ts';
import { virtioDefinitions } from './definitions.ts';

export const RAM_BYTES = 1 << 20;
const DISK_BYTES = 64 << 10;
/** Below the local APIC, above what PCI may take. */
const VIRTIO_MMIO_BASE = 0xfed80000;

/** What a machine has asked for since the count was last cleared. */
export interface Work {
  ramCalls: number;
  ramBytes: number;
  consoleBytes: number;
  lines: number;
}

export interface Bench {
  readonly machine: Machine;
  readonly built: BuiltMachine;
  readonly cpu: SteppedCpu;
  readonly ram: GuestRam;
  readonly work: Work;
  readonly seats: readonly Seat[];
  /** Where the model puts what does not move. */
  readonly placed: { readonly ports: readonly number[]; readonly memory: readonly number[] };
}

export const MODELS = Object.keys(MACHINE_MODELS) as MachineModelId[];

/** The machine of a model. The pc is full of devices; nothing can be plugged into the others. */
export function build(model: MachineModelId): Bench {
  const work: Work = { ramCalls: 0, ramBytes: 0, consoleBytes: 0, lines: 0 };
  const memory = new WebAssembly.Memory({ initial: RAM_BYTES >> 16 });
  const ram = new CountedRam(memory, work);
  const config: MachineConfig = {
    ramBytes: RAM_BYTES,
    epochSeconds: 1_175_000_000,
    transmit: () => {
      work.consoleBytes++;
    },
  };
  const built =
    model === 'pc'
      ? fullPc(config, ram, work)
      : MACHINE_MODELS[model].build({ ...config, seed: 7 }, NO_FITTINGS).machine;
  const cpu = new SteppedCpu();
  cpu.acknowledge = built.border.acknowledgeInterrupt;
  cpu.step = () => ({ kind: 'halt' });
  const machine = new Machine(built, cpu, { time: 'virtual' });
  const seats = built.seats();
  const ranges = seats.flatMap((seat) => seat.ranges);
  const at = (space: Range['space']) =>
    ranges.flatMap((range) => (range.space === space && range.first !== null ? [range.first] : []));
  const placed = { ports: at('port'), memory: at('memory') };
  return { machine, built, cpu, ram, work, seats, placed };
}

/** Every kind of virtio device, over each transport, and disks on both IDE channels. */
function fullPc(config: MachineConfig, ram: GuestRam, work: Work): BuiltMachine {
  const pc = createPc({
    ...config,
    ideDisks: [disk(), null, disk('read-only'), disk()],
    transmit2: config.transmit,
    debug: config.transmit,
    plug(pci, { board, clock }) {
      let slot = 2;
      let place = VIRTIO_MMIO_BASE;
      for (const definition of virtioDefinitions()) {
        const faces: unknown[] = [];
        const common = {
          ...virtioNeeds(config.transmit),
          clock,
          log: () => {
            work.lines++;
          },
        };
        for (const modernOnly of [false, true]) {
          const id = `${definition.name}.${modernOnly ? 'modern' : 'legacy'}`;
          const device = virtioPci(definition, { modernOnly });
          faces.push(pci.add(id, device, { slot: slot++ }, { ...common, id } as never));
        }
        const id = `${definition.name}.mmio`;
        const needs = { ...common, id, irq: { set: () => {} }, ram: () => ram };
        board.add(id, virtioMmio(definition), { mmio: [[place, MMIO_BYTES]] }, needs as never);
        place += MMIO_BYTES;
        if (definition.name === 'virtio-net') joinNics(faces[0] as NetFace, faces[1] as NetFace);
      }
    },
  });
  pc.ramLink.connect(ram);
  pc.fwCfg.addFile('etc/nonsense', new Uint8Array(5000));
  assignResources(pc.pci, { memory: PCI_WINDOW.first, irqs: [10, 10, 11, 11] });
  return pc;
}

/** What the definitions ask of their model; one that asks for more fails to be plugged in. */
function virtioNeeds(transmit: (byte: number) => void) {
  return { disk: disk(), mac: [2, 0, 0, 0, 0, 1], transmit, seed: 7 };
}

function disk(mode: 'read-only' | 'copy-on-write' = 'copy-on-write') {
  return openDisk(memoryStore(DISK_BYTES), mode, 'disk');
}

/** A second machine in the state of the first. */
export function twin(model: MachineModelId, from: Bench): Bench {
  const to = build(model);
  restore(to, from.built.snapshots.save());
  to.ram.write(0, from.ram.view(0, RAM_BYTES)!);
  to.cpu.count = from.cpu.count;
  to.cpu.interruptFlag = from.cpu.interruptFlag;
  return to;
}

/** Through JSON: what does not survive it is no plain data. */
function restore(bench: Bench, snapshot: Snapshot): void {
  bench.built.snapshots.restore(structuredClone(snapshot));
}

export function everyRange(seats: readonly Seat[]): { seat: Seat; range: Range }[] {
  return seats.flatMap((seat) => seat.ranges.map((range) => ({ seat, range })));
}

class CountedRam extends GuestRam {
  private readonly work: Work;

  constructor(memory: WebAssembly.Memory, work: Work) {
    super(memory, 0, RAM_BYTES, (_gpa, bytes) => {
      work.ramCalls++;
      work.ramBytes += bytes;
    });
    this.work = work;
  }

  override u16(gpa: number): number {
    this.work.ramCalls++;
    return super.u16(gpa);
  }

  override u32(gpa: number): number {
    this.work.ramCalls++;
    return super.u32(gpa);
  }

  override view(gpa: number, length: number): Uint8Array | null {
    this.work.ramCalls++;
    this.work.ramBytes += length;
    return super.view(gpa, length);
  }
}
