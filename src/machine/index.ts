// The machine layer's door: the main loop, the microvm, guest RAM, and what an interface may touch.

export { MP_ADDRESS } from './acpi/mp-table.ts';
export { RSDP_ADDRESS } from './acpi/tables.ts';
export type { UnclaimedAccess } from './bus.ts';
export { Clock, NEVER, type Timer } from './clock.ts';
export type { MachineCpu } from './cpu-link.ts';
export type { LapicFace } from './devices/lapic.ts';
export { LAPIC_BUS_HZ } from './devices/lapic-timer.ts';
export { type ByteStore, type Disk, type DiskMode, memoryStore, openDisk } from './disk.ts';
export { type InputBody, type InputEvent, Inputs } from './inputs.ts';
export { Machine, type MachineOptions, type RunBounds, type Stop } from './machine.ts';
export {
  GuestRam,
  HIGH_RAM_START,
  LOW_RAM_END,
  type MemoryMapEntry,
  memoryMap,
  type WriteListener,
} from './memory.ts';
export type { BuiltMachine } from './models/chipset.ts';
export {
  createMicrovm,
  type DeviceBorder,
  MICROVM,
  type Microvm,
  type MicrovmConfig,
} from './models/microvm.ts';
export {
  microvmFacts,
  type ProcessorFacts,
  writeMicrovmFirmware,
} from './models/microvm-firmware.ts';
export { createPc, PC, type Pc, type PcConfig } from './models/pc.ts';
export { loadRom, pcFacts, writePcFirmware } from './models/pc-firmware.ts';
export { closeGraphicsHole, enterRom } from './models/pc-start.ts';
export type { Power, PowerState } from './power.ts';
export {
  copyState,
  type Plain,
  type Snapshot,
  SnapshotSlots,
  stateBytes,
} from './snapshot.ts';
