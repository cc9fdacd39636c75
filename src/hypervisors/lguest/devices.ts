// The virtio devices of an lguest guest: a console and a source of random bytes, and the disks and network cards of its run.

import type { ConsoleEnd } from '../../machine/console-ends.ts';
import type { GuestRam } from '../../machine/memory.ts';
import {
  VIRTIO_BLK_F_BLK_SIZE,
  VIRTIO_BLK_F_FLUSH,
  VIRTIO_BLK_F_RO,
  VIRTIO_BLK_F_SEG_MAX,
  VIRTIO_BLK_F_SIZE_MAX,
  virtioBlk,
} from '../../machine/virtio/blk.ts';
import { virtioConsole } from '../../machine/virtio/console.ts';
import {
  plugDevice,
  VirtioCore,
  type VirtioState,
  virtioState,
} from '../../machine/virtio/core.ts';
import type { FromModel, VirtioDefinition, VirtioGiven } from '../../machine/virtio/define.ts';
import { joinNics, type NetFace, VIRTIO_NET_F_MAC, virtioNet } from '../../machine/virtio/net.ts';
import { virtioRng } from '../../machine/virtio/rng.ts';
import type { Platform } from '../define.ts';
import type { BusDevice } from './device-page.ts';

/** A guest has 32 lines at most, and 16 if its kernel has no IO-APIC: console 2, random bytes 1, clock 1. */
export const DISKS_MAX = 4;
export const NICS_MAX = 3;
/** struct virtio_blk_config up to blk_size, struct virtio_net_config up to status (include/linux/virtio_blk.h, _net.h, 2.6.32). */
const BLK_CONFIG_BYTES = 24;
const NET_CONFIG_BYTES = 6;
const BLK_FEATURES = [
  VIRTIO_BLK_F_SIZE_MAX,
  VIRTIO_BLK_F_SEG_MAX,
  VIRTIO_BLK_F_BLK_SIZE,
  VIRTIO_BLK_F_FLUSH,
];
const MAC_PREFIX = [0x52, 0x54, 0x00, 0x12, 0x34];
const MAC_FIRST = 0x56;

/** What the devices need of the host. */
export interface DeviceNeeds {
  readonly platform: Platform;
  /** The guest's memory, with the device pages and without the host's own. */
  readonly memory: GuestRam;
  raise(line: number): void;
  /** A driver that breaks the rules of a ring ends its launcher. */
  fail(why: string): void;
}

export function createDevices(needs: DeviceNeeds): BusDevice[] {
  const { platform } = needs;
  const devices: BusDevice[] = [];
  const console = plug(needs, virtioConsole, 'console', { transmit: platform.console.transmit });
  devices.push({ type: virtioConsole.deviceId, core: console, features: [], configBytes: 0 });
  platform.console.connect(consoleEnd(console));
  const random = plug(needs, virtioRng, 'rng', { seed: platform.seed });
  devices.push({ type: virtioRng.deviceId, core: random, features: [], configBytes: 0 });
  platform.disks.forEach((disk, n) => {
    const core = plug(needs, virtioBlk, `blk${n}`, { disk });
    platform.snapshots.add(`disk.lguest${n}`, disk);
    const features = disk.readOnly ? [...BLK_FEATURES, VIRTIO_BLK_F_RO] : BLK_FEATURES;
    devices.push({ type: virtioBlk.deviceId, core, features, configBytes: BLK_CONFIG_BYTES });
  });
  let cards = 0;
  const addCard = (): NetFace => {
    const mac = [...MAC_PREFIX, MAC_FIRST + cards];
    const core = plug(needs, virtioNet, `net${cards++}`, { mac });
    const features = [VIRTIO_NET_F_MAC];
    devices.push({ type: virtioNet.deviceId, core, features, configBytes: NET_CONFIG_BYTES });
    return core.handlers.face;
  };
  for (const wire of platform.nets) {
    const first = addCard();
    if (wire === 'link') joinNics(first, addCard());
  }
  return devices;
}

/** What is typed waits for its driver: a device that is reset forgets what it has. */
function consoleEnd(
  core: VirtioCore<{ receive(bytes: ArrayLike<number>): number; room(): number }>,
): ConsoleEnd {
  const { face } = core.handlers;
  return {
    receive: (bytes) => void face.receive(bytes),
    room: () => (core.running() ? face.room() : 0),
  };
}

function plug<State extends object, Given extends VirtioGiven<State>, Face>(
  { platform, memory, raise, fail }: DeviceNeeds,
  definition: VirtioDefinition<State, Given, Face>,
  name: string,
  more: Omit<FromModel<Given>, 'id' | 'clock' | 'ram' | 'log'>,
): VirtioCore<Face> {
  const id = `lguest.${name}`;
  const state = virtioState(definition);
  platform.snapshots.addState(id, state);
  const base = { id, clock: platform.clock, ram: () => memory, log: fail };
  const given = { ...base, ...more, state } as unknown as FromModel<Given> & {
    readonly state: VirtioState<State>;
  };
  return new VirtioCore(
    state.core,
    base,
    { queue: ({ vector }) => raise(vector), config: () => {} },
    (port) => plugDevice(definition, given, port),
  );
}
