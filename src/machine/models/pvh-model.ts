// The PVH machine as a model: disks and cards are the business of the interface above it.

import { writeReducedTables } from '../acpi/reduced-tables.ts';
import type { ModelDefinition } from './define.ts';
import { createPvh, PVH_LAPIC_BASE } from './pvh.ts';

export const pvhModel: ModelDefinition = {
  id: 'pvh',
  title: 'a local APIC and reduced ACPI tables; no PCI, no legacy devices',
  offers: { disks: { ide: 0, virtio: 0 }, nics: 0, extras: [], rom: false },
  build: (config) => ({
    machine: createPvh(config),
    powerOn: ({ ram }) =>
      writeReducedTables(ram, { model: 'PVH', processors: [0], lapicBase: PVH_LAPIC_BASE }),
  }),
};
