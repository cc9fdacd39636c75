// The 256 bytes of a function's configuration space: header, BARs, capabilities, and which bits may be written.

import { bug } from '../../base/errors.ts';
import type { PciBarShape, PciCapability, PciIdentity, PciRegister } from './define.ts';
import { msixBarSize, pendingOffset } from './msix.ts';

/** Offsets in a type 0 header (PCI 3.0 6.1). */
export const CONFIG = {
  vendor: 0x00,
  device: 0x02,
  command: 0x04,
  status: 0x06,
  revision: 0x08,
  cacheLine: 0x0c,
  latency: 0x0d,
  headerType: 0x0e,
  bar: 0x10,
  subsystemVendor: 0x2c,
  subsystem: 0x2e,
  capabilities: 0x34,
  interruptLine: 0x3c,
  interruptPin: 0x3d,
  own: 0x40,
} as const;
export const COMMAND = { io: 0x1, memory: 0x2, master: 0x4, noInterrupt: 0x400 } as const;
export const STATUS = { interrupt: 0x08, capabilities: 0x10 } as const;
/** I/O, memory, master, parity, SERR, INTx disable. */
const COMMAND_WRITABLE = 0x0547;
const MULTI_FUNCTION = 0x80;
export const CAPABILITY = { msi: 0x05, msix: 0x11 } as const;
const MSI_64BIT = 0x80;

/** What a definition says of the space. */
export interface ConfigShape {
  readonly name: string;
  readonly identity: PciIdentity;
  readonly bars?: readonly PciBarShape[];
  readonly capabilities?: readonly PciCapability[];
  readonly registers?: readonly PciRegister[];
  readonly interruptPin?: number;
  readonly msix?: { readonly vectors: number; readonly bar: number };
  readonly msi?: number;
}

export interface ConfigLayout {
  readonly bytes: Uint8Array;
  readonly writable: Uint8Array;
  /** Where each capability of the definition lies, then its length. */
  readonly capabilities: readonly { readonly at: number; readonly length: number }[];
  /** Offsets of MSI and MSI-X; 0: none. */
  readonly msi: number;
  readonly msix: number;
}

export function layOutConfig(shape: ConfigShape, multiFunction: boolean): ConfigLayout {
  const bytes = new Uint8Array(256);
  const writable = new Uint8Array(256);
  const view = new DataView(bytes.buffer);
  const masks = new DataView(writable.buffer);
  const { identity } = shape;
  view.setUint16(CONFIG.vendor, identity.vendor, true);
  view.setUint16(CONFIG.device, identity.device, true);
  view.setUint32(CONFIG.revision, (identity.revision ?? 0) | (identity.classCode << 8), true);
  bytes[CONFIG.headerType] = multiFunction ? MULTI_FUNCTION : 0;
  view.setUint16(CONFIG.subsystemVendor, identity.subsystemVendor ?? 0, true);
  view.setUint16(CONFIG.subsystem, identity.subsystem ?? 0, true);
  bytes[CONFIG.interruptPin] = shape.interruptPin ?? 0;
  masks.setUint16(CONFIG.command, COMMAND_WRITABLE, true);
  for (const at of [CONFIG.cacheLine, CONFIG.latency, CONFIG.interruptLine]) writable[at] = 0xff;
  for (const bar of allBars(shape)) layOutBar(view, masks, bar);
  for (const { at, bytes: initial, writable: mask } of shape.registers ?? []) {
    bytes.set(initial, at);
    writable.set(mask ?? [], at);
  }
  return { bytes, writable, ...chain(shape, bytes, writable) };
}

/** The definition's BARs, and that of MSI-X. */
export function allBars(shape: ConfigShape): readonly PciBarShape[] {
  const bars = shape.bars ?? [];
  if (!shape.msix) return bars;
  const { bar, vectors } = shape.msix;
  return [...bars, { index: bar, kind: 'memory32', size: msixBarSize(vectors) }];
}

/** PCI 3.0 6.2.5.1: the low bits say the kind, the address bits below the size are zero and stay so. */
function layOutBar(view: DataView, masks: DataView, bar: PciBarShape): void {
  const at = CONFIG.bar + bar.index * 4;
  const { size, kind } = bar;
  if (size < 4 || (size & (size - 1)) !== 0 || masks.getUint32(at, true) !== 0) {
    bug(`BAR ${bar.index} of ${size} bytes`);
  }
  const type = kind === 'io' ? 1 : kind === 'memory64' ? 4 : 0;
  view.setUint32(at, type | (bar.prefetchable ? 8 : 0), true);
  masks.setUint32(at, -size & (kind === 'io' ? ~3 : ~15), true);
  if (kind === 'memory64') masks.setUint32(at + 4, 0xffffffff, true);
}

function chain(
  shape: ConfigShape,
  bytes: Uint8Array,
  writable: Uint8Array,
): Pick<ConfigLayout, 'capabilities' | 'msi' | 'msix'> {
  let next: number = CONFIG.own;
  let link: number = CONFIG.capabilities;
  const put = ({ id, body, writable: mask }: PciCapability): { at: number; length: number } => {
    const at = next;
    const length = body.length + 2;
    if (at + length > 256 || (shape.registers?.length ?? 0) > 0) {
      bug(`${shape.name}: no room for capability ${id}`);
    }
    bytes[link] = at;
    link = at + 1;
    bytes[at] = id;
    bytes.set(body, at + 2);
    writable.set(mask ?? [], at + 2);
    next = (at + length + 3) & ~3;
    bytes[CONFIG.status] = bytes[CONFIG.status]! | STATUS.capabilities;
    return { at, length };
  };
  const capabilities = (shape.capabilities ?? []).map(put);
  const msix = shape.msix ? put(msixCapability(shape.msix)).at : 0;
  const msi = shape.msi ? put(msiCapability(shape.msi)).at : 0;
  return { capabilities, msix, msi };
}

/** PCI 3.0 6.8.2: control, table offset and BAR, pending offset and BAR. */
function msixCapability({ vectors, bar }: { vectors: number; bar: number }): PciCapability {
  const pending = pendingOffset(vectors) | bar;
  return {
    id: CAPABILITY.msix,
    body: [
      (vectors - 1) & 0xff,
      (vectors - 1) >> 8,
      ...[bar, 0, 0, 0],
      ...[pending & 0xff, (pending >> 8) & 0xff, pending >> 16, 0],
    ],
    writable: [0, 0xc0],
  };
}

/** PCI 3.0 6.8.1: 64-bit addresses, no masking of single messages. */
function msiCapability(messages: number): PciCapability {
  return {
    id: CAPABILITY.msi,
    body: [((31 - Math.clz32(messages)) << 1) | MSI_64BIT, ...new Array<number>(11).fill(0)],
    writable: [0x71, 0, 0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  };
}
