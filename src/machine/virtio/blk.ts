// Virtio block device: reads, writes and flushes a disk; each request completes at a modelled guest time.

import { type Disk, diskNanos, SECTOR_BYTES } from '../disk.ts';
import { defineVirtio, type VirtioPort } from './define.ts';
import type { Chain } from './queue.ts';
import { gather, type Segment, scatter, slice, totalBytes } from './segments.ts';
import { type ServiceState, serve, serviceState } from './service.ts';

/** Feature bits (virtio 1.2 5.2.3). */
export const VIRTIO_BLK_F_SIZE_MAX = 1;
export const VIRTIO_BLK_F_SEG_MAX = 2;
export const VIRTIO_BLK_F_RO = 5;
export const VIRTIO_BLK_F_BLK_SIZE = 6;
export const VIRTIO_BLK_F_FLUSH = 9;
/** Request types (5.2.6). Discard (11), secure erase (14) and write zeroes (13) are not offered. */
export const VIRTIO_BLK_T_IN = 0;
export const VIRTIO_BLK_T_OUT = 1;
export const VIRTIO_BLK_T_FLUSH = 4;
export const VIRTIO_BLK_T_GET_ID = 8;
/** Status bytes. */
export const VIRTIO_BLK_S_OK = 0;
export const VIRTIO_BLK_S_IOERR = 1;
export const VIRTIO_BLK_S_UNSUPP = 2;

const HEADER_BYTES = 16;
const ID_BYTES = 20;
const QUEUE_SIZE = 128;
/** A request holds at most SEG_MAX segments of SIZE_MAX bytes: 8 MiB less a little, whatever the rings say. */
const SEG_MAX = QUEUE_SIZE - 2;
const SIZE_MAX = 0x10000;
const CONFIG_BYTES = 60; // Up to and without the fields of secure erase (5.2.4).

export interface BlkState {
  readonly service: ServiceState;
}

export interface BlkNeeds {
  readonly disk: Disk;
}

export const virtioBlk = defineVirtio({
  name: 'virtio-blk',
  ref: 'virtio 1.2 5.2',
  deviceId: 2,
  transitionalId: 0x1001,
  pciClass: 0x010000,
  queues: [QUEUE_SIZE],
  state: (): BlkState => ({ service: serviceState() }),
  plug({ state, port, disk }: { state: BlkState; port: VirtioPort } & BlkNeeds) {
    const config = configSpace(disk);
    const requests = serve(port, state.service, {
      queue: 0,
      latency: (chain) => diskNanos(Math.min(payload(chain), SEG_MAX * SIZE_MAX)),
      complete: (chain) => request(port, disk, chain),
    });
    return {
      features: [
        VIRTIO_BLK_F_SIZE_MAX,
        VIRTIO_BLK_F_SEG_MAX,
        VIRTIO_BLK_F_BLK_SIZE,
        VIRTIO_BLK_F_FLUSH,
        ...(disk.readOnly ? [VIRTIO_BLK_F_RO] : []),
      ],
      config: () => config,
      notified: () => requests.kick(),
      reset: () => requests.reset(),
      face: {},
    };
  },
});

function payload(chain: Chain): number {
  return totalBytes(chain.readable) + totalBytes(chain.writable);
}

/** struct virtio_blk_config (5.2.4) */
function configSpace(disk: Disk): Uint8Array {
  const config = new Uint8Array(CONFIG_BYTES);
  const view = new DataView(config.buffer);
  view.setUint32(0, disk.sectors % 2 ** 32, true);
  view.setUint32(4, Math.floor(disk.sectors / 2 ** 32), true);
  view.setUint32(8, SIZE_MAX, true);
  view.setUint32(12, SEG_MAX, true);
  view.setUint32(20, SECTOR_BYTES, true);
  return config;
}

/** One request: a header to read, data either way, and a status byte at the very end of what is to be written. */
function request(port: VirtioPort, disk: Disk, chain: Chain): number | null {
  const ram = port.ram();
  const readable = totalBytes(chain.readable);
  const writable = totalBytes(chain.writable);
  if (readable < HEADER_BYTES || writable < 1) {
    port.fail(`a request has ${readable} bytes of header and data and ${writable} for its answer`);
    return null;
  }
  const header = gather(ram, slice(chain.readable, 0, HEADER_BYTES));
  const fields = new DataView(header.buffer);
  const type = fields.getUint32(0, true);
  const lba = fields.getUint32(8, true) + fields.getUint32(12, true) * 2 ** 32;
  const input = slice(chain.writable, 0, writable - 1);
  const output = slice(chain.readable, HEADER_BYTES, readable - HEADER_BYTES);
  const status = perform(port, disk, type, lba, input, output);
  scatter(ram, slice(chain.writable, writable - 1, 1), Uint8Array.of(status));
  // What is promised to be written is a prefix: an unfilled buffer before the status byte makes it empty.
  if (writable === 1) return 1;
  return status === VIRTIO_BLK_S_OK ? writable : 0;
}

function perform(
  port: VirtioPort,
  disk: Disk,
  type: number,
  lba: number,
  input: readonly Segment[],
  output: readonly Segment[],
): number {
  const ram = port.ram();
  switch (type) {
    case VIRTIO_BLK_T_IN: {
      if (!transferable(input)) return VIRTIO_BLK_S_IOERR;
      const data = new Uint8Array(totalBytes(input));
      if (!disk.read(lba, data)) return VIRTIO_BLK_S_IOERR;
      scatter(ram, input, data);
      return VIRTIO_BLK_S_OK;
    }
    case VIRTIO_BLK_T_OUT: {
      if (!transferable(output)) return VIRTIO_BLK_S_IOERR;
      return disk.write(lba, gather(ram, output)) ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
    }
    case VIRTIO_BLK_T_FLUSH:
      disk.flush();
      return VIRTIO_BLK_S_OK;
    case VIRTIO_BLK_T_GET_ID: {
      const id = new Uint8Array(ID_BYTES);
      for (let i = 0; i < Math.min(ID_BYTES, disk.serial.length); i++) {
        id[i] = disk.serial.charCodeAt(i);
      }
      scatter(ram, input, id);
      return VIRTIO_BLK_S_OK;
    }
    default:
      return VIRTIO_BLK_S_UNSUPP;
  }
}

function transferable(segments: readonly Segment[]): boolean {
  return (
    segments.length <= SEG_MAX &&
    segments.every((segment) => segment.bytes <= SIZE_MAX) &&
    totalBytes(segments) % SECTOR_BYTES === 0
  );
}
