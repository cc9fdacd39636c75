// The modern register layout of virtio over PCI: common configuration, interrupt status, notifications, device config.

import type { MmioHandler } from '../device.ts';
import type { VirtioCore } from './core.ts';
import type { RegisterNeeds } from './pci-legacy.ts';
import { NOTIFY_MULTIPLIER, REGION } from './pci-regions.ts';
import { NO_VECTOR } from './queue.ts';

/** struct virtio_pci_common_cfg (virtio 1.2 4.1.4.3) */
export const COMMON = {
  deviceFeatureSelect: 0x00,
  deviceFeature: 0x04,
  driverFeatureSelect: 0x08,
  driverFeature: 0x0c,
  configVector: 0x10,
  numQueues: 0x12,
  status: 0x14,
  generation: 0x15,
  queueSelect: 0x16,
  queueSize: 0x18,
  queueVector: 0x1a,
  queueEnable: 0x1c,
  queueNotifyOff: 0x1e,
  queueDesc: 0x20,
  queueDevice: 0x30,
} as const;

/** Registers that can be written, and their widths; a write reaches those that it covers whole. */
const WRITABLE: readonly (readonly [offset: number, bytes: number])[] = [
  [COMMON.deviceFeatureSelect, 4],
  [COMMON.driverFeatureSelect, 4],
  [COMMON.driverFeature, 4],
  [COMMON.configVector, 2],
  [COMMON.status, 1],
  [COMMON.queueSelect, 2],
  [COMMON.queueSize, 2],
  [COMMON.queueVector, 2],
  [COMMON.queueEnable, 2],
];

export function modernRegisters(core: VirtioCore<unknown>, needs: RegisterNeeds): MmioHandler {
  return {
    read(offset) {
      if (offset >= REGION.notify) return 0;
      if (offset >= REGION.device) return core.readConfig(offset - REGION.device, 4);
      if (offset >= REGION.isr) return offset === REGION.isr ? needs.takeIsr() : 0;
      return readCommon(core, offset);
    },
    write(offset, value, bytes) {
      if (offset >= REGION.notify) {
        // Each queue has its own address (4.1.4.4), and the driver writes the queue's number there.
        core.notify(Math.floor((offset - REGION.notify) / NOTIFY_MULTIPLIER));
      } else if (offset >= REGION.device) {
        core.writeConfig(offset - REGION.device, value, bytes);
      } else if (offset < REGION.isr) writeCommon(core, needs, offset, value, bytes);
    },
  };
}

function readCommon(core: VirtioCore<unknown>, offset: number): number {
  const { state } = core;
  const queue = core.selected()?.state;
  switch (offset) {
    case COMMON.deviceFeatureSelect:
      return state.deviceFeatureSelect;
    case COMMON.deviceFeature:
      return core.features(state.deviceFeatureSelect);
    case COMMON.driverFeatureSelect:
      return state.driverFeatureSelect;
    case COMMON.driverFeature:
      return state.driverFeatures[state.driverFeatureSelect] ?? 0;
    case COMMON.configVector:
      return state.configVector | (core.queues.length << 16);
    case COMMON.status:
      return state.status | (state.generation << 8) | (state.queueSelect << 16);
    case COMMON.queueSize: // 0: there is no such queue.
      return queue ? queue.size | (queue.vector << 16) : NO_VECTOR << 16;
    case COMMON.queueEnable:
      return queue ? (queue.enabled ? 1 : 0) | (state.queueSelect << 16) : 0;
  }
  const area = (offset - COMMON.queueDesc) >> 2;
  return area >= 0 && area < 6 && queue ? queue.areas[area]! : 0;
}

function writeCommon(
  core: VirtioCore<unknown>,
  needs: RegisterNeeds,
  offset: number,
  value: number,
  bytes: number,
): void {
  if (offset >= COMMON.queueDesc && bytes === 4) {
    const queue = core.selected()?.state;
    const area = (offset - COMMON.queueDesc) >> 2;
    if (queue && !queue.enabled && area < 6) queue.areas[area] = value;
    return;
  }
  for (const [at, width] of WRITABLE) {
    if (at < offset || at + width > offset + bytes) continue;
    const part = value >>> (8 * (at - offset));
    writeField(core, needs, at, width === 4 ? part : part & (width === 2 ? 0xffff : 0xff));
  }
}

function writeField(
  core: VirtioCore<unknown>,
  needs: RegisterNeeds,
  register: number,
  value: number,
): void {
  const { state } = core;
  const queue = core.selected();
  switch (register) {
    case COMMON.deviceFeatureSelect:
      state.deviceFeatureSelect = value;
      return;
    case COMMON.driverFeatureSelect:
      state.driverFeatureSelect = value;
      return;
    case COMMON.driverFeature:
      core.acceptFeatures(state.driverFeatureSelect, value);
      return;
    case COMMON.configVector: // A vector that does not exist reads back as none (4.1.5.1.2.1).
      state.configVector = value < needs.vectors ? value : NO_VECTOR;
      return;
    case COMMON.status:
      core.writeStatus(value, false);
      needs.statusWritten();
      return;
    case COMMON.queueSelect:
      state.queueSelect = value;
      return;
    case COMMON.queueSize:
      if (queue && !queue.state.enabled) queue.state.size = value;
      return;
    case COMMON.queueVector:
      if (queue) queue.state.vector = value < needs.vectors ? value : NO_VECTOR;
      return;
    case COMMON.queueEnable: // Only a reset takes it back (4.1.4.3.2).
      if (queue && value === 1 && !queue.state.enabled) queue.enable();
      return;
  }
}
