// What all virtio transports share: status, feature negotiation, queues, failure, reset. A transport is registers over it.

import type { GuestRam } from '../memory.ts';
import {
  type FromModel,
  VIRTIO_F_ANY_LAYOUT,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_VERSION_1,
  type VirtioDefinition,
  type VirtioGiven,
  type VirtioHandlers,
  type VirtioNeeds,
  type VirtioPort,
} from './define.ts';
import { NO_VECTOR, type QueueState, queueState, Virtqueue } from './queue.ts';

/** Device status (virtio 1.2 2.1). */
export const STATUS = {
  acknowledge: 1,
  driver: 2,
  driverOk: 4,
  featuresOk: 8,
  needsReset: 64,
  failed: 128,
} as const;
/** Interrupt causes, alike in PCI's ISR (4.1.4.5) and in InterruptStatus of MMIO (4.2.2). */
export const ISR = { queue: 1, config: 2 } as const;
/** Complaints of one device in one run: a hostile driver may fail and reset it for ever. */
const COMPLAINTS_LIMIT = 16;

export interface CoreState {
  status: number;
  /** The driver works through the legacy interface. */
  legacy: boolean;
  broken: boolean;
  isr: number;
  generation: number;
  complaints: number;
  configVector: number;
  deviceFeatureSelect: number;
  driverFeatureSelect: number;
  queueSelect: number;
  driverFeatures: Uint32Array;
  queues: QueueState[];
}

/** State of a device together with its transport's common part. */
export interface VirtioState<State> {
  readonly core: CoreState;
  readonly device: State;
}

export function virtioState<State extends object>(
  definition: Pick<VirtioDefinition<State, never, unknown>, 'queues' | 'state'>,
): VirtioState<State> {
  return {
    core: {
      status: 0,
      legacy: false,
      broken: false,
      isr: 0,
      generation: 0,
      complaints: 0,
      configVector: NO_VECTOR,
      deviceFeatureSelect: 0,
      driverFeatureSelect: 0,
      queueSelect: 0,
      driverFeatures: new Uint32Array(2),
      queues: definition.queues.map(queueState),
    },
    device: definition.state(),
  };
}

/** Hands a device its own state and its port. */
export function plugDevice<State extends object, Given extends VirtioGiven<State>, Face>(
  definition: VirtioDefinition<State, Given, Face>,
  given: FromModel<Given> & { readonly state: VirtioState<State> },
  port: VirtioPort,
): VirtioHandlers<Face> {
  // TypeScript does not see that Omit and its keys make the whole again.
  return definition.plug({ ...given, state: given.state.device, port } as unknown as Given);
}

/** How a transport interrupts: for a queue, or for the config space. */
export interface CoreSignals {
  queue(state: QueueState): void;
  config(): void;
}

export class VirtioCore<Face> {
  readonly state: CoreState;
  readonly queues: readonly Virtqueue[];
  readonly handlers: VirtioHandlers<Face>;
  private readonly needs: VirtioNeeds;
  private readonly signals: CoreSignals;
  private readonly offered: Uint32Array;

  constructor(
    state: CoreState,
    needs: VirtioNeeds,
    signals: CoreSignals,
    plug: (port: VirtioPort) => VirtioHandlers<Face>,
  ) {
    this.state = state;
    this.needs = needs;
    this.signals = signals;
    this.queues = state.queues.map((queue, index) => {
      const owner = {
        ram: () => this.ram(),
        indirect: () => this.has(VIRTIO_F_INDIRECT_DESC),
        eventIndex: () => this.has(VIRTIO_F_EVENT_IDX),
        fail: (why: string) => this.fail(why),
        interrupt: () => this.signals.queue(queue),
      };
      return new Virtqueue(queue, index, owner);
    });
    this.handlers = plug(this.port());
    this.offered = bitmap([
      ...this.handlers.features,
      VIRTIO_F_INDIRECT_DESC,
      VIRTIO_F_EVENT_IDX,
      VIRTIO_F_VERSION_1,
    ]);
  }

  /** Features offered through the modern interface, a dword at a time. */
  features(word: number): number {
    return this.offered[word] ?? 0;
  }

  /** Features offered through the legacy interface: 32, of which any framing is one (virtio 1.2 6.3). */
  legacyFeatures(): number {
    return (this.offered[0]! | (1 << VIRTIO_F_ANY_LAYOUT)) >>> 0;
  }

  /** A dword of what the driver accepts. What is settled stays so until a reset. */
  acceptFeatures(word: number, value: number): void {
    const { state } = this;
    if (word > 1 || (state.status & (STATUS.featuresOk | STATUS.driverOk)) !== 0) return;
    state.driverFeatures[word] = value;
  }

  has(feature: number): boolean {
    return ((this.state.driverFeatures[feature >> 5]! >>> (feature & 31)) & 1) !== 0;
  }

  running(): boolean {
    return (this.state.status & STATUS.driverOk) !== 0 && !this.state.broken;
  }

  writeStatus(value: number, legacy: boolean): void {
    const { state } = this;
    if ((value & 0xff) === 0) {
      this.reset();
      return;
    }
    state.legacy = legacy;
    const before = state.status;
    let status = value & 0xff & ~STATUS.needsReset;
    if (legacy) state.driverFeatures[0]! &= this.legacyFeatures();
    else if ((before & STATUS.featuresOk) === 0 && !this.acceptable()) status &= ~STATUS.featuresOk;
    state.status = status | (before & STATUS.needsReset);
    if ((status & ~before & STATUS.driverOk) === 0) return;
    if (!legacy && (status & STATUS.featuresOk) === 0) {
      this.fail('the driver sets DRIVER_OK without agreed features');
      return;
    }
    // Buffers may have been made available before; notifications of them went unheard.
    this.queues.forEach((_, index) => {
      this.notify(index);
    });
  }

  notify(index: number): void {
    if (index < this.queues.length && this.running()) this.handlers.notified(index);
  }

  selected(): Virtqueue | undefined {
    return this.queues[this.state.queueSelect];
  }

  /** A number of 1 to 4 bytes out of the config space; zeros beyond its end. */
  readConfig(offset: number, bytes: number): number {
    const config = this.handlers.config();
    let value = 0;
    for (let i = 0; i < bytes; i++) value |= (config[offset + i] ?? 0) << (8 * i);
    return value >>> 0;
  }

  writeConfig(offset: number, value: number, bytes: number): void {
    for (let i = 0; i < bytes; i++) {
      this.handlers.writeConfig?.(offset + i, (value >>> (8 * i)) & 0xff);
    }
  }

  /** Power-on state, as far as the driver sees (virtio 1.2 2.4). */
  reset(): void {
    const { state } = this;
    state.status = 0;
    state.legacy = false;
    state.broken = false;
    state.isr = 0;
    state.configVector = NO_VECTOR;
    state.deviceFeatureSelect = 0;
    state.driverFeatureSelect = 0;
    state.queueSelect = 0;
    state.driverFeatures.fill(0);
    for (const queue of this.queues) queue.reset();
    this.handlers.reset();
  }

  private ram(): GuestRam {
    return this.needs.ram();
  }

  /** virtio 1.2 2.2.2, 6.1: a subset of what is offered, and no modern driver goes without VERSION_1. */
  private acceptable(): boolean {
    const [lo, hi] = this.state.driverFeatures;
    const foreign = (lo! & ~this.offered[0]!) | (hi! & ~this.offered[1]!);
    return foreign === 0 && this.has(VIRTIO_F_VERSION_1);
  }

  private fail(why: string): void {
    const { state } = this;
    if (state.broken) return;
    state.broken = true;
    if (state.complaints < COMPLAINTS_LIMIT) {
      state.complaints++;
      this.needs.log(`${this.needs.id}: ${why}; the device stops until it is reset`);
    }
    if (state.legacy) return; // The bit and its notification came with VERSION_1.
    state.status |= STATUS.needsReset;
    if ((state.status & STATUS.driverOk) !== 0) this.signals.config(); // virtio 1.2 2.1.2
  }

  private port(): VirtioPort {
    return {
      id: this.needs.id,
      clock: this.needs.clock,
      ram: () => this.ram(),
      queue: (index) => this.queues[index]!,
      has: (feature) => this.has(feature),
      running: () => this.running(),
      fail: (why) => this.fail(why),
      configChanged: () => {
        this.state.generation = (this.state.generation + 1) & 0xff;
        if (this.running()) this.signals.config();
      },
    };
  }
}

function bitmap(bits: readonly number[]): Uint32Array {
  const words = new Uint32Array(2);
  for (const bit of bits) words[bit >> 5]! |= 1 << (bit & 31);
  return words;
}
