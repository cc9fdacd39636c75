// The legacy register layout of virtio over PCI, in I/O ports: what drivers before virtio 1.0 know.

import type { PioHandler } from '../device.ts';
import type { VirtioCore } from './core.ts';
import { LEGACY_ALIGN, NO_VECTOR } from './queue.ts';

/** virtio 1.2 4.1.4.8 */
export const LEGACY = {
  deviceFeatures: 0x00,
  driverFeatures: 0x04,
  queueAddress: 0x08,
  queueSize: 0x0c,
  queueSelect: 0x0e,
  queueNotify: 0x10,
  status: 0x12,
  isr: 0x13,
  configVector: 0x14,
  queueVector: 0x16,
} as const;
/** The config space follows the header, and the two vectors where MSI-X is enabled. */
const CONFIG = 0x14;
const CONFIG_MSIX = 0x18;

export interface RegisterNeeds {
  /** MSI-X vectors there are. */
  readonly vectors: number;
  /** Reads and clears the interrupt status, and lowers the pin. */
  takeIsr(): number;
  /** A reset may have taken back an interrupt. */
  statusWritten(): void;
}

export function legacyRegisters(
  core: VirtioCore<unknown>,
  needs: RegisterNeeds & { messages(): boolean },
): PioHandler {
  const { state } = core;
  const config = () => (needs.messages() ? CONFIG_MSIX : CONFIG);
  const vector = (value: number) => (value < needs.vectors ? value : NO_VECTOR);
  const read = (offset: number): number => {
    const queue = core.selected()?.state;
    switch (offset) {
      case LEGACY.deviceFeatures:
        return core.legacyFeatures();
      case LEGACY.driverFeatures:
        return state.driverFeatures[0]!;
      case LEGACY.queueAddress:
        return queue ? page(queue.areas) : 0;
      case LEGACY.queueSize:
        return core.selected()?.maxSize ?? 0;
      case LEGACY.queueSelect:
        return state.queueSelect & 0xffff;
      case LEGACY.status:
        return state.status;
      case LEGACY.isr:
        return needs.takeIsr();
      case LEGACY.configVector:
        return state.configVector;
      case LEGACY.queueVector:
        return queue?.vector ?? NO_VECTOR;
      default:
        return 0;
    }
  };
  const write = (offset: number, value: number): void => {
    const queue = core.selected();
    switch (offset) {
      case LEGACY.driverFeatures:
        core.acceptFeatures(0, (value & core.legacyFeatures()) >>> 0);
        return;
      case LEGACY.queueAddress:
        state.legacy = true;
        queue?.placeLegacy(value);
        return;
      case LEGACY.queueSelect:
        state.queueSelect = value & 0xffff;
        return;
      case LEGACY.queueNotify:
        core.notify(value & 0xffff);
        return;
      case LEGACY.status:
        core.writeStatus(value, true);
        needs.statusWritten();
        return;
      case LEGACY.configVector:
        state.configVector = vector(value);
        return;
      case LEGACY.queueVector:
        if (queue) queue.state.vector = vector(value);
        return;
    }
  };
  return {
    wide: true,
    read(offset, bytes) {
      const at = config();
      return offset >= at ? core.readConfig(offset - at, bytes) : read(offset);
    },
    write(offset, value, bytes) {
      const at = config();
      if (offset >= at) core.writeConfig(offset - at, value, bytes);
      else if (bytes === width(offset)) write(offset, value);
    },
  };
}

function page(areas: Uint32Array): number {
  return ((areas[0]! + areas[1]! * 2 ** 32) / LEGACY_ALIGN) >>> 0;
}

/** Each register takes writes of its own width only. */
function width(offset: number): number {
  if (offset < LEGACY.queueSize) return 4;
  return offset === LEGACY.status || offset === LEGACY.isr ? 1 : 2;
}
