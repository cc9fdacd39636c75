// Virtio over memory-mapped registers, version 2: one page fragment of registers and one interrupt line per device.

import { defineDevice, type Line } from '../device.ts';
import { ISR, plugDevice, VirtioCore, type VirtioState, virtioState } from './core.ts';
import type { FromModel, VirtioDefinition, VirtioGiven, VirtioNeeds } from './define.ts';

/** virtio 1.2 4.2.2, table 4.1 */
export const MMIO = {
  magic: 0x000,
  version: 0x004,
  deviceId: 0x008,
  vendorId: 0x00c,
  deviceFeatures: 0x010,
  deviceFeaturesSel: 0x014,
  driverFeatures: 0x020,
  driverFeaturesSel: 0x024,
  queueSel: 0x030,
  queueNumMax: 0x034,
  queueNum: 0x038,
  queueReady: 0x044,
  queueNotify: 0x050,
  interruptStatus: 0x060,
  interruptAck: 0x064,
  status: 0x070,
  queueDesc: 0x080,
  queueDriver: 0x090,
  queueDevice: 0x0a0,
  shmLen: 0x0b0,
  shmBase: 0x0b8,
  configGeneration: 0x0fc,
  config: 0x100,
} as const;

export const MMIO_BYTES = 0x200;
const MAGIC = 0x74726976; // "virt"
const VERSION = 2;
/** "pvops" has no assigned number; drivers do not look at it. */
const VENDOR = 0x70766f70;

export interface VirtioMmioNeeds extends VirtioNeeds {
  readonly irq: Line;
}

/** The device as a device of a board. Its model says where, and tells the guest: nothing can be probed for. */
export function virtioMmio<State extends object, Given extends VirtioGiven<State>, Face>(
  definition: VirtioDefinition<State, Given, Face>,
) {
  return defineDevice({
    name: `${definition.name} (mmio)`,
    ref: 'virtio 1.2 4.2',
    claims: {},
    state: () => virtioState(definition),
    plug(given: FromModel<Given> & VirtioMmioNeeds & { readonly state: VirtioState<State> }) {
      const { irq } = given;
      const raise = (cause: number) => {
        given.state.core.isr |= cause;
        irq.set(true);
      };
      const core = new VirtioCore(
        given.state.core,
        given,
        { queue: () => raise(ISR.queue), config: () => raise(ISR.config) },
        (port) => plugDevice(definition, given, port),
      );
      return {
        mmio: [
          {
            read: (offset: number) => readRegister(core, definition.deviceId, offset),
            write(offset: number, value: number, bytes: number) {
              if (offset >= MMIO.config) core.writeConfig(offset - MMIO.config, value, bytes);
              else if (bytes === 4) writeRegister(core, irq, offset, value); // 4.2.2.2: aligned dwords only
            },
          },
        ],
        face: core.handlers.face,
      };
    },
  });
}

function readRegister(core: VirtioCore<unknown>, deviceId: number, offset: number): number {
  const { state } = core;
  if (offset >= MMIO.config) return core.readConfig(offset - MMIO.config, 4);
  switch (offset) {
    case MMIO.magic:
      return MAGIC;
    case MMIO.version:
      return VERSION;
    case MMIO.deviceId:
      return deviceId;
    case MMIO.vendorId:
      return VENDOR;
    case MMIO.deviceFeatures:
      return core.features(state.deviceFeatureSelect);
    case MMIO.queueNumMax:
      return core.selected()?.maxSize ?? 0;
    case MMIO.queueReady:
      return core.selected()?.state.enabled ? 1 : 0;
    case MMIO.interruptStatus:
      return state.isr;
    case MMIO.status:
      return state.status;
    case MMIO.shmLen:
    case MMIO.shmLen + 4:
    case MMIO.shmBase:
    case MMIO.shmBase + 4:
      return -1; // No shared memory region (4.2.2.1).
    case MMIO.configGeneration:
      return state.generation;
    default: // Write-only, or nothing.
      return 0;
  }
}

function writeRegister(core: VirtioCore<unknown>, irq: Line, offset: number, value: number): void {
  const { state } = core;
  const queue = core.selected();
  switch (offset) {
    case MMIO.deviceFeaturesSel:
      state.deviceFeatureSelect = value;
      return;
    case MMIO.driverFeatures:
      core.acceptFeatures(state.driverFeatureSelect, value);
      return;
    case MMIO.driverFeaturesSel:
      state.driverFeatureSelect = value;
      return;
    case MMIO.queueSel:
      state.queueSelect = value;
      return;
    case MMIO.queueNum:
      if (queue && !queue.state.enabled) queue.state.size = value & 0xffff;
      return;
    case MMIO.queueReady:
      if (queue && value === 0) queue.disable();
      else if (queue && value === 1 && !queue.state.enabled) queue.enable();
      return;
    case MMIO.queueNotify:
      core.notify(value & 0xffff);
      return;
    case MMIO.interruptAck:
      state.isr &= ~value;
      irq.set(state.isr !== 0);
      return;
    case MMIO.status:
      core.writeStatus(value, false);
      irq.set(state.isr !== 0);
      return;
  }
  const area = areaIndex(offset);
  if (area >= 0 && queue && !queue.state.enabled) queue.state.areas[area] = value;
}

/** 0x080, 0x084, 0x090, 0x094, 0x0a0, 0x0a4: low and high halves of the three areas. */
function areaIndex(offset: number): number {
  if (offset < MMIO.queueDesc || offset > MMIO.queueDevice + 4 || (offset & 0xb) !== 0) return -1;
  return ((offset - MMIO.queueDesc) >> 4) * 2 + ((offset & 4) >> 2);
}
