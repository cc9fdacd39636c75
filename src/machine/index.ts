// The machine layer's door: the main loop, the models, guest RAM, and what an interface may touch.

export { MP_ADDRESS } from './acpi/mp-table.ts';
export { RSDP_ADDRESS } from './acpi/tables.ts';
export type { UnclaimedAccess } from './bus.ts';
export { Clock, NEVER, type Timer } from './clock.ts';
export type { ConsoleEnd } from './console-ends.ts';
export type { MachineCpu } from './cpu-link.ts';
export type { LapicFace } from './devices/lapic.ts';
export { LAPIC_BUS_HZ } from './devices/lapic-timer.ts';
export { type ByteStore, type Disk, type DiskMode, memoryStore, openDisk } from './disk.ts';
export { type InputBody, type InputEvent, Inputs, type InputTarget } from './inputs.ts';
export { Machine, type MachineOptions, type RunBounds, type Stop } from './machine.ts';
export {
  GuestRam,
  HIGH_RAM_START,
  LOW_RAM_END,
  type MemoryMapEntry,
  memoryMap,
  RAM_BYTES_MAX,
  type WriteListener,
} from './memory.ts';
export {
  type BuiltMachine,
  type DeviceBorder,
  type DiskBus,
  EXTRA_DEVICES,
  type ExtraDevice,
  type Fittings,
  type ModelDefinition,
  NET_WIRES,
  type NetWire,
  NO_FITTINGS,
  type RomImage,
} from './models/define.ts';
export type { ProcessorFacts } from './models/firmware.ts';
export {
  chooseModel,
  MACHINE_MODELS,
  type MachineModelId,
  NIC_COUNT,
} from './models/registry.ts';
export type { InterfacePower, Power, PowerState } from './power.ts';
export {
  copyState,
  type Plain,
  type Snapshot,
  SnapshotSlots,
  stateBytes,
} from './snapshot.ts';
