// The devices of a Xen domain: a block back end for each disk of the run, a network back end for each card.

import type { OwnDevices } from '../../define.ts';
import type { XenDomain } from '../domain.ts';
import type { Store } from '../store/store.ts';
import { blockDevice } from './blkback.ts';
import { joinVifs, netDevice } from './netback.ts';
import type { Backend } from './xenbus.ts';

export const XEN_DEVICES: OwnDevices = {
  disks: 16,
  nics: 8,
  diskDrivers: ['xen-blkfront'],
  nicDrivers: ['xen-netfront'],
};

export function createDevices(domain: XenDomain, store: Store): readonly Backend[] {
  const backends = domain.platform.disks.map((disk, n) => blockDevice(domain, store, disk, n));
  let cards = 0;
  for (const wire of domain.platform.nets) {
    const first = netDevice(domain, store, cards++);
    backends.push(first.backend);
    if (wire !== 'link') continue;
    const second = netDevice(domain, store, cards++);
    joinVifs(first, second);
    backends.push(second.backend);
  }
  return backends;
}
