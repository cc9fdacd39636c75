// physdev_op: structures of its sub-operations.

import { xenStruct } from '../xen/abi/layout.ts';

const header = 'physdev.h';

/** xen/include/public/physdev.h */
export const PHYSDEVOP_IRQ_UNMASK_NOTIFY = 4;
export const PHYSDEVOP_irq_status_query = 5;
export const PHYSDEVOP_set_iopl = 6;
export const PHYSDEVOP_set_iobitmap = 7;
export const PHYSDEVOP_apic_read = 8;
export const PHYSDEVOP_apic_write = 9;
export const PHYSDEVOP_alloc_irq_vector = 10;
export const PHYSDEVOP_free_irq_vector = 11;
export const PHYSDEVOP_eoi = 12;
export const PHYSDEVOP_map_pirq = 13;
export const PHYSDEVOP_unmap_pirq = 14;
export const PHYSDEVOP_manage_pci_add = 15;
export const PHYSDEVOP_manage_pci_remove = 16;
export const PHYSDEVOP_pirq_eoi_gmfn_v1 = 17;
export const PHYSDEVOP_restore_msi = 19;
export const PHYSDEVOP_manage_pci_add_ext = 20;
export const PHYSDEVOP_setup_gsi = 21;
export const PHYSDEVOP_get_free_pirq = 23;
export const PHYSDEVOP_pci_mmcfg_reserved = 24;
export const PHYSDEVOP_pci_device_add = 25;
export const PHYSDEVOP_pci_device_remove = 26;
export const PHYSDEVOP_restore_msi_ext = 27;
export const PHYSDEVOP_pirq_eoi_gmfn_v2 = 28;
export const PHYSDEVOP_dbgp_op = 29;
export const PHYSDEVOP_prepare_msix = 30;
export const PHYSDEVOP_release_msix = 31;
export const XENIRQSTAT_needs_eoi = 1;
export const MAP_PIRQ_TYPE_GSI = 1;

export const eoi = xenStruct('struct physdev_eoi', { irq: 'u32' }, { header, size: [4, 4] });
export const irqStatusQuery = xenStruct(
  'struct physdev_irq_status_query',
  { irq: 'u32', flags: 'u32' },
  { header, size: [8, 8] },
);
export const setIopl = xenStruct(
  'struct physdev_set_iopl',
  { iopl: 'u32' },
  { header, size: [4, 4] },
);
export const setIobitmap = xenStruct(
  'struct physdev_set_iobitmap',
  { bitmap: 'handle', nr_ports: 'u32' },
  { header, size: [16, 8] },
);
export const apic = xenStruct(
  'struct physdev_apic',
  { apic_physbase: 'handle', reg: 'u32', value: 'u32' },
  { header, size: [16, 12] },
);
export const irq = xenStruct(
  'struct physdev_irq',
  { irq: 'u32', vector: 'u32' },
  { header, size: [8, 8] },
);
export const mapPirq = xenStruct(
  'struct physdev_map_pirq',
  {
    domid: 'u16',
    type: 's32',
    index: 's32',
    pirq: 's32',
    bus: 's32',
    devfn: 's32',
    entry_nr: 's32',
    table_base: 'u64pair',
  },
  { header, size: [40, 36] },
);
export const unmapPirq = xenStruct(
  'struct physdev_unmap_pirq',
  { domid: 'u16', pirq: 's32' },
  { header, size: [8, 8] },
);
export const managePci = xenStruct(
  'struct physdev_manage_pci',
  { bus: 'u8', devfn: 'u8' },
  { header, size: [2, 2] },
);
export const managePciExt = xenStruct(
  'struct physdev_manage_pci_ext',
  { bus: 'u8', devfn: 'u8', is_extfn: 'u32', is_virtfn: 'u32', physBus: 'u8', physDevfn: 'u8' },
  { header, size: [16, 16], members: { physBus: 'physfn.bus', physDevfn: 'physfn.devfn' } },
);
export const setupGsi = xenStruct(
  'struct physdev_setup_gsi',
  { gsi: 's32', triggering: 'u8', polarity: 'u8' },
  { header, size: [8, 8] },
);
export const getFreePirq = xenStruct(
  'struct physdev_get_free_pirq',
  { type: 's32', pirq: 'u32' },
  { header, size: [8, 8] },
);
export const pciDeviceAdd = xenStruct(
  'struct physdev_pci_device_add',
  { seg: 'u16', bus: 'u8', devfn: 'u8', flags: 'u32', physBus: 'u8', physDevfn: 'u8' },
  { header, size: [12, 12], members: { physBus: 'physfn.bus', physDevfn: 'physfn.devfn' } },
);
export const pciDevice = xenStruct(
  'struct physdev_pci_device',
  { seg: 'u16', bus: 'u8', devfn: 'u8' },
  { header, size: [4, 4] },
);
export const pirqEoiGmfn = xenStruct(
  'struct physdev_pirq_eoi_gmfn',
  { gmfn: 'ulong' },
  { header, size: [8, 4] },
);
