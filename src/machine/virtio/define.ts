// What a virtio device is, whatever transport carries it: an id, queues, features, a config space and handlers.

import type { Clock } from '../clock.ts';
import type { GuestRam } from '../memory.ts';
import type { Virtqueue } from './queue.ts';

/** Feature bits that belong to no device type (virtio 1.2 6). */
export const VIRTIO_F_ANY_LAYOUT = 27;
export const VIRTIO_F_INDIRECT_DESC = 28;
export const VIRTIO_F_EVENT_IDX = 29;
export const VIRTIO_F_VERSION_1 = 32;

/** What a device sees of its transport. */
export interface VirtioPort {
  /** The name of this instance: of its timers, and at the front of its complaints. */
  readonly id: string;
  readonly clock: Clock;
  ram(): GuestRam;
  queue(index: number): Virtqueue;
  /** Whether a feature is negotiated. */
  has(feature: number): boolean;
  /** The driver is ready and the device has not failed. */
  running(): boolean;
  /** The driver has done what it must not do: the device stops until it is reset. */
  fail(why: string): void;
  /** The config space reads differently from now on. */
  configChanged(): void;
}

/** What plugging in yields. */
export interface VirtioHandlers<Face> {
  /** Bits offered on top of those of the queues and the transport. */
  readonly features: readonly number[];
  /** The config space as it reads now. */
  config(): Uint8Array;
  writeConfig?(offset: number, byte: number): void;
  /** There may be something in this queue. Work is bounded: the rest waits for a timer. */
  notified(queue: number): void;
  /** Forgets all requests. */
  reset(): void;
  readonly face: Face;
}

/** What the transport adds to what the machine model gives. */
export interface VirtioGiven<State> {
  readonly state: State;
  readonly port: VirtioPort;
}

/** The machine model's part of what a device is given. */
export type FromModel<Given> = Omit<Given, 'state' | 'port'>;

export interface VirtioDefinition<State extends object, Given extends VirtioGiven<State>, Face> {
  readonly name: string;
  readonly ref: string;
  /** virtio 1.2 5 */
  readonly deviceId: number;
  /** PCI device id of its transitional form (virtio 1.2 4.1.2.1). */
  readonly transitionalId: number;
  /** Class code of its PCI function: class, subclass, interface. */
  readonly pciClass: number;
  /** The largest size of each queue. */
  readonly queues: readonly number[];
  state(): State;
  plug(given: Given): VirtioHandlers<Face>;
}

export function defineVirtio<State extends object, Given extends VirtioGiven<State>, Face>(
  definition: VirtioDefinition<State, Given, Face>,
): VirtioDefinition<State, Given, Face> {
  return definition;
}

/** What every virtio device needs of its machine. */
export interface VirtioNeeds {
  /** Unique in the machine. */
  readonly id: string;
  readonly clock: Clock;
  /** RAM exists once the CPU does; a device asks for it only when its driver acts. */
  ram(): GuestRam;
  /** One sentence about what a driver did wrong. */
  log(sentence: string): void;
}
