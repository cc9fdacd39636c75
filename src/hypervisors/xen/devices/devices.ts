// The devices of a Xen domain: a block back end for each disk of the run, a network back end for each card.

import type { OwnDevices } from '../../define.ts';
import type { XenDomain } from '../domain.ts';
import type { Store } from '../store/store.ts';
import { addBlockDevice } from './blkback.ts';
import { addNetDevice, joinVifs } from './netback.ts';

export const XEN_DEVICES: OwnDevices = {
  disks: 16,
  nics: 8,
  diskDrivers: ['xen-blkfront'],
  nicDrivers: ['xen-netfront'],
};

export function addDevices(domain: XenDomain, store: Store): void {
  domain.platform.disks.forEach((disk, n) => {
    addBlockDevice(domain, store, disk, n);
  });
  let cards = 0;
  for (const wire of domain.platform.nets) {
    const first = addNetDevice(domain, store, cards++);
    if (wire === 'link') joinVifs(first, addNetDevice(domain, store, cards++));
  }
}
