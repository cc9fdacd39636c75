// Which drivers of Linux the things plugged into a machine need, by the names of their modules.

import type { HypervisorInterface } from '../hypervisors/index.ts';
import type { DiskBus, ExtraDevice, Fittings } from '../machine/index.ts';

const VIRTIO_PCI = 'virtio_pci';
const DISK_DRIVERS: Readonly<Record<DiskBus, readonly string[]>> = {
  virtio: [VIRTIO_PCI, 'virtio_blk'],
  ide: ['ata_piix', 'sd_mod'],
};
const EXTRA_DRIVERS: Readonly<Record<ExtraDevice, readonly string[]>> = {
  'virtio-rng': [VIRTIO_PCI, 'virtio_rng'],
  'virtio-console': [VIRTIO_PCI, 'virtio_console'],
};
const NET_DRIVERS = [VIRTIO_PCI, 'virtio_net'];
/** What images are most likely to hold. */
const FILE_SYSTEM = 'ext4';

export function driversOf(
  { disks, nets, extras }: Fittings,
  { takes }: Pick<HypervisorInterface, 'takes'>,
): readonly string[] {
  const names = [
    ...disks.flatMap(({ bus }) => takes?.diskDrivers ?? DISK_DRIVERS[bus]),
    ...(disks.length > 0 ? [FILE_SYSTEM] : []),
    ...(nets.length > 0 ? (takes?.nicDrivers ?? NET_DRIVERS) : []),
    ...extras.flatMap((extra) => EXTRA_DRIVERS[extra]),
  ];
  return [...new Set(names)];
}
