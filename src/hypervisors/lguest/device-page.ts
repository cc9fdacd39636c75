// The bus of lguest: descriptors of virtio devices in the page above the guest's RAM, their rings in the pages behind it.

import type { GuestRam } from '../../machine/memory.ts';
import { STATUS, type VirtioCore } from '../../machine/virtio/core.ts';

const PAGE = 4096;
/** include/linux/lguest_launcher.h (2.6.32), struct lguest_device_desc: type, num_vq, feature_len, config_len, status. */
const DESC_BYTES = 5;
const STATUS_AT = 4;
/** struct lguest_vqconfig: entries, line, page of the ring; packed. */
const VQ_BYTES = 8;
/** drivers/lguest/lguest_device.c asks for 32 feature bits at most. */
const FEATURE_BYTES = 4;
/** Device page and rings: what the launcher keeps behind RAM (DEVICE_PAGES of Documentation/lguest/lguest.c, 2.6.32). */
export const DEVICE_BYTES = 256 * PAGE;

/** A device to be put on the bus. */
export interface BusDevice {
  /** virtio 1.2 5. */
  readonly type: number;
  readonly core: VirtioCore<unknown>;
  /** Feature bits that are offered, all below 32; each of them with the bytes of config space that it promises. */
  readonly features: readonly number[];
  readonly configBytes: number;
}

interface Seat extends BusDevice {
  readonly at: number;
  readonly rings: readonly {
    readonly pfn: number;
    readonly pages: number;
    readonly line: number;
  }[];
}

export class DevicePage {
  private readonly ram: GuestRam;
  private readonly page: number;
  private readonly seats: readonly Seat[];
  private readonly fail: (why: string) => void;

  /** Lines are dealt from `firstLine` on, one a queue. */
  constructor(
    ram: GuestRam,
    page: number,
    devices: readonly BusDevice[],
    firstLine: number,
    fail: (why: string) => void,
  ) {
    this.ram = ram;
    this.page = page;
    this.fail = fail;
    let at = page;
    let pfn = page / PAGE + 1;
    let line = firstLine;
    this.seats = devices.map((device) => {
      const rings = device.core.queues.map(({ maxSize }) => {
        const ring = { pfn, pages: ringPages(maxSize), line: line++ };
        pfn += ring.pages;
        return ring;
      });
      const seat = { ...device, at, rings };
      at += descriptorBytes(seat);
      return seat;
    });
  }

  /** The list as the kernel finds it, ended by a type of 0. */
  write(): void {
    this.ram.fill(this.page, PAGE, 0);
    for (const seat of this.seats) {
      this.ram.write(seat.at, descriptor(seat));
      this.placeRings(seat);
    }
  }

  /** Whether the address was one of the bus: a device's descriptor, whose status has changed, or the ring of a queue. */
  notify(gpa: number): boolean {
    for (const seat of this.seats) {
      if (gpa === seat.at) {
        this.statusChanged(seat);
        return true;
      }
      const queue = seat.rings.findIndex(({ pfn }) => pfn * PAGE === gpa);
      if (queue < 0) continue;
      // Drivers do use their queues before they say that they are ready: that starts the device.
      this.start(seat);
      seat.core.notify(queue);
      return true;
    }
    return false;
  }

  private statusChanged(seat: Seat): void {
    const status = this.ram.u8(seat.at + STATUS_AT);
    if (status === 0) return this.reset(seat);
    if (status & STATUS.failed) {
      if (seat.core.running()) this.reset(seat);
      return;
    }
    if (status & STATUS.driverOk) this.start(seat);
  }

  private start(seat: Seat): void {
    const { core } = seat;
    if (core.running()) return;
    core.state.driverFeatures[0] = this.accepted(seat);
    core.state.driverFeatures[1] = 0;
    core.writeStatus(this.ram.u8(seat.at + STATUS_AT) | STATUS.driverOk, true);
  }

  /** What the driver has taken of the offer: more ends the guest, as a device cannot do what it does not have. */
  private accepted(seat: Seat): number {
    const at = seat.at + DESC_BYTES + VQ_BYTES * seat.rings.length + featureBytes(seat);
    let bits = 0;
    for (let n = 0; n < featureBytes(seat); n++) bits |= this.ram.u8(at + n) << (8 * n);
    const offered = seat.features.reduce((all, bit) => all | (1 << bit), 0);
    if (bits & ~offered)
      this.fail(
        `device ${seat.type} was not offered features 0x${((bits & ~offered) >>> 0).toString(16)}`,
      );
    return (bits & offered) >>> 0;
  }

  /** Power-on state; no feature is accepted, and the rings are empty. */
  private reset(seat: Seat): void {
    seat.core.reset();
    const at = seat.at + DESC_BYTES + VQ_BYTES * seat.rings.length + featureBytes(seat);
    this.ram.fill(at, featureBytes(seat), 0);
    for (const { pfn, pages } of seat.rings) this.ram.fill(pfn * PAGE, pages * PAGE, 0);
    this.placeRings(seat);
  }

  private placeRings({ core, rings }: Seat): void {
    core.queues.forEach((queue, n) => {
      queue.placeLegacy(rings[n]!.pfn);
      queue.state.vector = rings[n]!.line;
    });
  }
}

function descriptor(seat: Seat): Uint8Array {
  const bytes = new Uint8Array(descriptorBytes(seat));
  const view = new DataView(bytes.buffer);
  bytes.set([seat.type, seat.rings.length, featureBytes(seat), seat.configBytes, 0]);
  seat.rings.forEach(({ pfn, line }, n) => {
    const at = DESC_BYTES + VQ_BYTES * n;
    view.setUint16(at, seat.core.queues[n]!.maxSize, true);
    view.setUint16(at + 2, line, true);
    view.setUint32(at + 4, pfn, true);
  });
  const features = DESC_BYTES + VQ_BYTES * seat.rings.length;
  for (const bit of seat.features) bytes[features + (bit >> 3)]! |= 1 << (bit & 7);
  const config = seat.core.handlers.config().subarray(0, seat.configBytes);
  bytes.set(config, features + 2 * featureBytes(seat));
  return bytes;
}

const featureBytes = ({ features }: BusDevice): number => (features.length > 0 ? FEATURE_BYTES : 0);

const descriptorBytes = (seat: Seat): number =>
  DESC_BYTES + VQ_BYTES * seat.rings.length + 2 * featureBytes(seat) + seat.configBytes;

/** Legacy rings: descriptors and available entries, and from the next page on used ones (virtio 1.2 2.7.2). */
function ringPages(size: number): number {
  const driver = Math.ceil((16 * size + 6 + 2 * size) / PAGE);
  return driver + Math.ceil((6 + 8 * size) / PAGE);
}
