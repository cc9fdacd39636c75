// The firmware configuration device: items by number and files by name, read byte by byte or by DMA.

import { defineDevice, type PioHandler } from '../device.ts';
import type { GuestRam } from '../memory.ts';

/** Item numbers (QEMU docs/specs/fw_cfg.txt; include/standard-headers/linux/qemu_fw_cfg.h, 7.2). */
export const FW_CFG = {
  signature: 0x00,
  id: 0x01,
  uuid: 0x02,
  ramSize: 0x03,
  noGraphic: 0x04,
  processors: 0x05,
  kernelAddress: 0x07,
  kernelSize: 0x08,
  initrdAddress: 0x0a,
  initrdSize: 0x0b,
  numa: 0x0d,
  maxProcessors: 0x0f,
  kernelEntry: 0x10,
  kernelData: 0x11,
  initrdData: 0x12,
  commandLineAddress: 0x13,
  commandLineSize: 0x14,
  commandLineData: 0x15,
  setupAddress: 0x16,
  setupSize: 0x17,
  setupData: 0x18,
  fileDirectory: 0x19,
  firstFile: 0x20,
} as const;
const FILE_ENTRY_BYTES = 64;
const FILE_NAME_BYTES = 56;
/** The traditional interface, and DMA. */
const FEATURES = 3;
const DMA = { error: 1, read: 2, skip: 4, select: 8, write: 16 } as const;
/** What a read of the DMA register gives: "QEMU CFG", big-endian. */
const DMA_SIGNATURE = [0x51454d55, 0x20434647] as const;
const TWO_32 = 2 ** 32;

/** What is offered; put together by the machine model before the guest runs. */
export class FwCfgItems {
  private readonly items = new Map<number, Uint8Array>();
  private readonly files: { readonly name: string; readonly bytes: Uint8Array }[] = [];

  constructor() {
    this.set(FW_CFG.signature, ascii('QEMU'));
    this.setNumber(FW_CFG.id, FEATURES, 4);
  }

  set(item: number, bytes: Uint8Array): void {
    this.items.set(item, bytes);
  }

  /** Little-endian. */
  setNumber(item: number, value: number, bytes: 2 | 4 | 8): void {
    this.set(item, littleEndian(value, bytes));
  }

  /** Files are listed by name (7.2: the directory is sorted). A name that is there already gets new contents. */
  addFile(name: string, bytes: Uint8Array): void {
    const at = this.files.findIndex((file) => file.name === name);
    if (at >= 0) this.files.splice(at, 1);
    this.files.push({ name, bytes });
    this.files.sort((a, b) => (a.name < b.name ? -1 : 1));
    this.files.forEach((file, n) => {
      this.items.set(FW_CFG.firstFile + n, file.bytes);
    });
    this.items.set(FW_CFG.fileDirectory, this.directory());
  }

  get(item: number): Uint8Array | null {
    return this.items.get(item) ?? null;
  }

  /** Count, then for each file size, item, reserved and name: numbers big-endian. */
  private directory(): Uint8Array {
    const bytes = new Uint8Array(4 + this.files.length * FILE_ENTRY_BYTES);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, this.files.length);
    this.files.forEach((file, n) => {
      const at = 4 + n * FILE_ENTRY_BYTES;
      view.setUint32(at, file.bytes.length);
      view.setUint16(at + 4, FW_CFG.firstFile + n);
      bytes.set(ascii(file.name.slice(0, FILE_NAME_BYTES - 1)), at + 8);
    });
    return bytes;
  }
}

export function littleEndian(value: number, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => Math.floor(value / 2 ** (8 * i)) % 256);
}

export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0) & 0x7f);
}

export interface FwCfgState {
  item: number;
  offset: number;
  dmaHigh: number;
}

export interface FwCfgNeeds {
  readonly items: FwCfgItems;
  ram(): GuestRam;
}

export const fwCfg = defineDevice({
  name: 'fw-cfg',
  ref: 'QEMU docs/specs/fw_cfg.txt (7.2)',
  claims: {
    pio: [
      [0x510, 2],
      [0x514, 8],
    ],
  },
  state: (): FwCfgState => ({ item: 0, offset: 0, dmaHigh: 0 }),
  plug({ state, items, ram }: { state: FwCfgState } & FwCfgNeeds) {
    const select = (item: number) => {
      state.item = item;
      state.offset = 0;
    };
    /** Beyond its end an item reads as zeros. */
    const take = (): number => {
      const byte = items.get(state.item)?.[state.offset] ?? 0;
      state.offset = Math.min(state.offset + 1, TWO_32);
      return byte;
    };
    const copy = (gpa: number, length: number): boolean => {
      // What lies outside RAM fails as a whole; inside, `length` is bounded by RAM.
      if (!ram().contains(gpa, length)) return false;
      const source = items.get(state.item);
      const from = source?.subarray(state.offset, state.offset + length) ?? new Uint8Array(0);
      if (from.length > 0) ram().write(gpa, from);
      if (from.length < length) ram().fill(gpa + from.length, length - from.length, 0);
      return true;
    };
    /** A structure in RAM says what to do: control, length, address, all big-endian. */
    const transfer = (gpa: number) => {
      const bytes = ram().read(gpa, 16);
      if (!bytes) return;
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      const control = view.getUint32(0);
      const length = view.getUint32(4);
      const address = view.getUint32(8) * TWO_32 + view.getUint32(12);
      if ((control & DMA.select) !== 0) select(control >>> 16);
      // Nothing here is writable.
      let ok = (control & DMA.write) === 0 || (control & DMA.read) !== 0;
      if ((control & DMA.read) !== 0) ok = copy(address, length);
      if (ok && (control & (DMA.read | DMA.skip)) !== 0) {
        state.offset = Math.min(state.offset + length, TWO_32);
      }
      ram().write(gpa, Uint8Array.of(0, 0, 0, ok ? 0 : DMA.error));
    };
    const selectorAndData: PioHandler = {
      wide: true,
      read: (offset, bytes) => (offset === 1 && bytes === 1 ? take() : 0),
      write(offset, value, bytes) {
        if (offset === 0 && bytes === 2) select(value);
      },
    };
    const dma: PioHandler = {
      wide: true,
      read(offset, bytes) {
        const word = DMA_SIGNATURE[offset >> 2]!;
        const swapped = bytes === 4 && (offset & 3) === 0;
        return swapped ? swap(word) : (word >>> (24 - (offset & 3) * 8)) & 0xff;
      },
      write(offset, value, bytes) {
        if (bytes !== 4 || (offset & 3) !== 0) return;
        if (offset === 0) {
          state.dmaHigh = swap(value);
          return;
        }
        const gpa = state.dmaHigh * TWO_32 + swap(value);
        state.dmaHigh = 0;
        transfer(gpa);
      },
    };
    return { pio: [selectorAndData, dma], face: {} };
  },
});

function swap(value: number): number {
  return (
    ((value >>> 24) | ((value >>> 8) & 0xff00) | ((value & 0xff00) << 8) | (value << 24)) >>> 0
  );
}
