// A virtio device on a test bench behind the MMIO transport, with a driver that has come to terms with it.

import type { VirtioState } from '../virtio/core.ts';
import type { FromModel, VirtioDefinition, VirtioGiven } from '../virtio/define.ts';
import {
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_VERSION_1,
} from '../virtio/define.ts';
import { MMIO, virtioMmio } from '../virtio/transport-mmio.ts';
import { BenchTop, type PluggedDevice } from './bench-top.ts';
import { RingDriver, testRam } from './ring-driver.ts';

export const RAM_BYTES = 1 << 20;
/** The rings of queue n: two pages at the top of RAM, downwards. */
const ringAt = (queue: number) => RAM_BYTES - 0x2000 * (queue + 1);

export class VirtioBench<State extends object, Given extends VirtioGiven<State>, Face> {
  readonly top: BenchTop;
  readonly ram = testRam(RAM_BYTES);
  readonly log: string[] = [];
  readonly device: PluggedDevice<VirtioState<State>, Face>;
  readonly rings: RingDriver[] = [];

  constructor(
    definition: VirtioDefinition<State, Given, Face>,
    given: FromModel<Given>,
    { id = 'dut', top = new BenchTop() }: { id?: string; top?: BenchTop } = {},
  ) {
    this.top = top;
    const needs = {
      ...given,
      id,
      clock: this.top.clock,
      irq: this.top.irq,
      ram: () => this.ram,
      log: (sentence: string) => this.log.push(sentence),
    };
    this.device = this.top.plug(virtioMmio(definition), needs as never);
  }

  read(register: number): number {
    return this.device.load(register);
  }

  write(register: number, value: number, bytes = 4): void {
    this.device.store(register, value >>> 0, bytes);
  }

  /** virtio 1.2 3.1.1, steps 1 to 6: `wanted` are the device's own features; returns the status afterwards. */
  negotiate(wanted: readonly number[], { eventIndex = false } = {}): number {
    this.write(MMIO.status, 0);
    this.write(MMIO.status, 1);
    this.write(MMIO.status, 3);
    const bits = [...wanted, VIRTIO_F_VERSION_1, VIRTIO_F_INDIRECT_DESC];
    if (eventIndex) bits.push(VIRTIO_F_EVENT_IDX);
    for (const word of [0, 1]) {
      const value = bits.filter((b) => b >> 5 === word).reduce((v, b) => v | (1 << (b & 31)), 0);
      this.write(MMIO.driverFeaturesSel, word);
      this.write(MMIO.driverFeatures, value);
    }
    this.write(MMIO.status, 0xb);
    return this.read(MMIO.status);
  }

  addRing(queue: number, size: number): RingDriver {
    const base = ringAt(queue);
    this.ram.fill(base, 0x2000, 0);
    const ring = new RingDriver(this.ram, base, size);
    this.write(MMIO.queueSel, queue);
    this.write(MMIO.queueNum, size);
    [ring.desc, ring.driver, ring.device].forEach((gpa, i) => {
      this.write(MMIO.queueDesc + 0x10 * i, gpa);
      this.write(MMIO.queueDesc + 0x10 * i + 4, 0);
    });
    this.write(MMIO.queueReady, 1);
    this.rings[queue] = ring;
    return ring;
  }

  /** All of 3.1.1 with rings of `size` for every queue that the device has. */
  start(wanted: readonly number[], { size = 16, eventIndex = false } = {}): void {
    this.negotiate(wanted, { eventIndex });
    for (let queue = 0; ; queue++) {
      this.write(MMIO.queueSel, queue);
      const max = this.read(MMIO.queueNumMax);
      if (max === 0) break;
      this.addRing(queue, Math.min(size, max));
    }
    this.write(MMIO.status, 0xf);
  }

  notify(queue: number): void {
    this.write(MMIO.queueNotify, queue);
  }

  /** Acknowledges what is pending and says what it was. */
  acknowledge(): number {
    const isr = this.read(MMIO.interruptStatus);
    this.write(MMIO.interruptAck, isr);
    return isr;
  }

  /** Whether the device asks for a reset. */
  needsReset(): boolean {
    return (this.read(MMIO.status) & 64) !== 0;
  }

  text(gpa: number, bytes: number): string {
    return String.fromCharCode(...this.ram.read(gpa, bytes)!);
  }

  put(gpa: number, bytes: ArrayLike<number>): void {
    this.ram.write(gpa, Uint8Array.from(bytes));
  }
}
