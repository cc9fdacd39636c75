// Virtio over PCI: the modern registers in a memory BAR behind capabilities, and the legacy ones in I/O BAR 0.

import {
  type CapabilityHooks,
  definePciDevice,
  type PciCapability,
  type PciPort,
} from '../pci/define.ts';
import { ISR, plugDevice, VirtioCore, type VirtioState, virtioState } from './core.ts';
import type { FromModel, VirtioDefinition, VirtioGiven, VirtioNeeds } from './define.ts';
import { legacyRegisters } from './pci-legacy.ts';
import { modernRegisters } from './pci-modern.ts';
import { MODERN_BYTES, NOTIFY_MULTIPLIER, REGION, REGION_BYTES } from './pci-regions.ts';

/** virtio 1.2 4.1.2 */
const VENDOR = 0x1af4;
const MODERN_ID = 0x1040;

const BAR = { legacy: 0, msix: 1, modern: 4 } as const;
/** Header, MSI-X vectors and the longest config space fit. */
const LEGACY_BYTES = 0x80;

/** cfg_type of each capability (4.1.4). */
const CAP = { vendor: 0x09, common: 1, notify: 2, isr: 3, device: 4, pciConfig: 5 } as const;
/** Offsets in the PCI configuration access capability, its id at 0 (4.1.4.9). */
const ACCESS = { bar: 4, offset: 8, length: 12, data: 16, end: 20 } as const;

export type VirtioPciNeeds = Omit<VirtioNeeds, 'ram'>;

export interface VirtioPciOptions {
  /** Without the legacy interface: device ids from 0x1040, revision 1. */
  readonly modernOnly?: boolean;
}

export function virtioPci<State extends object, Given extends VirtioGiven<State>, Face>(
  definition: VirtioDefinition<State, Given, Face>,
  { modernOnly = false }: VirtioPciOptions = {},
) {
  const vectors = definition.queues.length + 1;
  const legacyBar = { index: BAR.legacy, kind: 'io', size: LEGACY_BYTES } as const;
  const modernBar = { index: BAR.modern, kind: 'memory32', size: MODERN_BYTES } as const;
  return definePciDevice({
    name: `${definition.name} (pci)`,
    ref: 'virtio 1.2 4.1',
    identity: {
      vendor: VENDOR,
      device: modernOnly ? MODERN_ID + definition.deviceId : definition.transitionalId,
      revision: modernOnly ? 1 : 0,
      classCode: definition.pciClass,
      subsystemVendor: VENDOR,
      // A legacy driver reads the device type here (4.1.2.1); a modern-only device keeps out of its range.
      subsystem: modernOnly ? MODERN_ID : definition.deviceId,
    },
    bars: modernOnly ? [modernBar] : [legacyBar, modernBar],
    capabilities: CAPABILITIES,
    interruptPin: 1,
    msix: { vectors, bar: BAR.msix },
    state: () => virtioState(definition),
    plug(
      given: FromModel<Given> &
        VirtioPciNeeds & { readonly state: VirtioState<State>; readonly pci: PciPort },
    ) {
      const { pci } = given;
      const core = plugCore(definition, given, pci);
      const takeIsr = () => {
        const { isr } = core.state;
        core.state.isr = 0; // Reading it acknowledges (4.1.4.5).
        pci.setInterrupt(false);
        return isr;
      };
      const statusWritten = () => {
        if (core.state.isr === 0) pci.setInterrupt(false);
      };
      const modern = modernRegisters(core, { vectors, takeIsr, statusWritten });
      const legacy = legacyRegisters(core, {
        vectors,
        takeIsr,
        statusWritten,
        messages: () => pci.messagesEnabled(),
      });
      const access = accessHooks((bar, offset, bytes, value) => {
        if (bar === BAR.modern && offset + bytes <= MODERN_BYTES) {
          if (value === null) return modern.read(offset - (offset % 4)) >>> (8 * (offset % 4));
          modern.write(offset, value, bytes);
        } else if (bar === BAR.legacy && !modernOnly && offset + bytes <= LEGACY_BYTES) {
          if (value === null) return legacy.read(offset, bytes);
          legacy.write(offset, value, bytes);
        }
        return 0;
      });
      return {
        bars: modernOnly ? [{ memory: modern }] : [{ io: legacy }, { memory: modern }],
        capabilities: [null, null, null, null, access],
        face: core.handlers.face,
      };
    },
  });
}

/**
 * Deviates: works without the bus master bit, as older drivers leave it clear (Linux set it in virtio_pci from 2.6.33 on).
 */
function plugCore<State extends object, Given extends VirtioGiven<State>, Face>(
  definition: VirtioDefinition<State, Given, Face>,
  given: FromModel<Given> & VirtioPciNeeds & { readonly state: VirtioState<State> },
  pci: PciPort,
): VirtioCore<Face> {
  const { core: state } = given.state;
  const interrupt = (vector: number, cause: number) => {
    if (pci.messagesEnabled()) {
      if (vector < definition.queues.length + 1) pci.interrupt(vector);
      return;
    }
    state.isr |= cause;
    pci.setInterrupt(true);
  };
  const needs: VirtioNeeds = {
    id: given.id,
    clock: given.clock,
    ram: () => pci.ram(),
    log: (sentence) => given.log(sentence),
  };
  const signals = {
    queue: ({ vector }: { vector: number }) => interrupt(vector, ISR.queue),
    config: () => interrupt(state.configVector, ISR.config),
  };
  return new VirtioCore(state, needs, signals, (port) => plugDevice(definition, given, port));
}

/** struct virtio_pci_cap behind its id and next pointer (4.1.4), and what some types append. */
function capability(
  type: number,
  bar: number,
  offset: number,
  length: number,
  extra: readonly number[] = [],
): PciCapability {
  const bytes = 16 + extra.length;
  const body = [bytes, type, bar, 0, 0, 0, ...dword(offset), ...dword(length), ...extra];
  return { id: CAP.vendor, body };
}

function dword(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}

const CAPABILITIES: readonly PciCapability[] = [
  capability(CAP.common, BAR.modern, REGION.common, REGION_BYTES),
  capability(CAP.isr, BAR.modern, REGION.isr, REGION_BYTES),
  capability(CAP.device, BAR.modern, REGION.device, REGION_BYTES),
  capability(CAP.notify, BAR.modern, REGION.notify, REGION_BYTES, dword(NOTIFY_MULTIPLIER)),
  {
    ...capability(CAP.pciConfig, 0, 0, 0, dword(0)),
    // cap_len and cfg_type stay; bar may be chosen, as may offset, length and data.
    writable: [0, 0, 0xff, 0, 0, 0, ...Array<number>(12).fill(0xff)],
  },
];

/** Reads (`value` null) or writes `bytes` at `offset` of a BAR. */
type BarAccess = (bar: number, offset: number, bytes: number, value: number | null) => number;

/** An access to `pci_cfg_data` is one to the BAR: for firmware that cannot reach memory (4.1.4.9). */
function accessHooks(go: BarAccess): CapabilityHooks {
  const touches = (offset: number, bytes: number) =>
    offset < ACCESS.end && offset + bytes > ACCESS.data;
  const run = (live: Uint8Array, write: boolean) => {
    const view = new DataView(live.buffer, live.byteOffset, live.byteLength);
    const offset = view.getUint32(ACCESS.offset, true);
    const length = view.getUint32(ACCESS.length, true);
    if ((length !== 1 && length !== 2 && length !== 4) || offset % length !== 0) return;
    const mask = length === 4 ? 0xffffffff : (1 << (8 * length)) - 1;
    const data = (view.getUint32(ACCESS.data, true) & mask) >>> 0;
    const answer = go(live[ACCESS.bar]!, offset, length, write ? data : null);
    if (!write) view.setUint32(ACCESS.data, (answer & mask) >>> 0, true);
  };
  return {
    beforeRead(live, offset, bytes) {
      if (touches(offset, bytes)) run(live, false);
    },
    written(live, offset, bytes) {
      if (touches(offset, bytes)) run(live, true);
    },
  };
}
