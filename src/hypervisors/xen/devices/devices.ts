// The devices of a Xen domain: a block back end for each disk of the run.

import type { OwnDevices } from '../../define.ts';
import type { XenDomain } from '../domain.ts';
import type { Store } from '../store/store.ts';
import { addBlockDevice } from './blkback.ts';

export const XEN_DEVICES: OwnDevices = {
  disks: 16,
  nics: 0,
  diskDrivers: ['xen-blkfront'],
  nicDrivers: ['xen-netfront'],
};

export function addDevices(domain: XenDomain, store: Store): void {
  domain.platform.disks.forEach((disk, n) => {
    addBlockDevice(domain, store, disk, n);
  });
}
