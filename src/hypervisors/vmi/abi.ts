// VMI's numbers and structures: calls, relocations, flags, the header of the ROM, the first state of a processor.

import { struct } from '../../base/struct.ts';

/** arch/x86/include/asm/vmi.h (2.6.32), VMI_API_REV_MAJOR and MINOR. */
export const VMI_API_REV = { major: 3, minor: 0 } as const;
/** "cVmi". */
export const VMI_SIGNATURE = 0x696d5663;
export const ROM_SIGNATURE = 0xaa55;
/** PCI_VENDOR_ID_VMWARE, PCI_DEVICE_ID_VMWARE_VMI. */
export const VMI_PCI = { vendor: 0x15ad, device: 0x0801 } as const;

/** asm/vmi.h, VMI_RELOCATION_*: what a patch site, or a pointer, becomes. */
export const RELOCATION = { none: 0, call: 1, jump: 2, nop: 3 } as const;

/** asm/vmi.h: flags of page-table updates; the level is a hint. */
export const VMI_PAGE_CURRENT_AS = 0x10;
export const VMI_PAGE_DEFER = 0x20;
/** Of FlushTLB. */
export const VMI_FLUSH_TLB = 1;
export const VMI_FLUSH_GLOBAL = 2;
/** Of SetLazyMode. */
export const VMI_LAZY_MMU_UPDATES = 1;
export const VMI_LAZY_CPU_STATE = 2;
export const VMI_LINEAR_MAP_SLOTS = 4;

/** arch/x86/include/asm/vmi_time.h (2.6.32). */
export const VMI_CYCLES_REAL = 0;
export const VMI_CYCLES_AVAILABLE = 1;
export const VMI_ALARM_COUNTERS = 2;
export const VMI_ALARM_COUNTER_MASK = 0xff;
export const VMI_ALARM_IS_PERIODIC = 0x100;
export const VMI_ALARM_WIRED_LVTT = 0x10000;

/** asm/vmi.h, struct vrom_header: the call entries at 128 and 136 are code. */
export const vromHeader = struct(
  'vrom_header',
  {
    rom_signature: 'u16',
    rom_length: 'u8',
    rom_entry: 'u8[4]',
    rom_pad0: 'u8',
    vrom_signature: 'u32',
    api_version_min: 'u8',
    api_version_maj: 'u8',
    jump_slots: 'u8',
    reserved1: 'u8',
    virtual_top: 'u32',
    reserved2: 'u16',
    license_offs: 'u16',
    pci_header_offs: 'u16',
    pnp_header_offs: 'u16',
    rom_pad3: 'u32',
    reserved: 'u8[96]',
    vmi_init: 'u8[8]',
    get_reloc: 'u8[8]',
  },
  { size: 144, packed: true },
);

/** PCI Firmware Specification 3.0 5.1.2; asm/vmi.h, struct pci_header. */
export const pciHeader = struct(
  'pci_header',
  {
    sig: 'u8[4]',
    vendorID: 'u16',
    deviceID: 'u16',
    vpdData: 'u16',
    size: 'u16',
    revision: 'u8',
    class: 'u8',
    subclass: 'u8',
    interface: 'u8',
    chunks: 'u16',
    rom_version_min: 'u8',
    rom_version_maj: 'u8',
    codetype: 'u8',
    lastRom: 'u8',
    reserved: 'u16',
  },
  { size: 24, packed: true },
);

/** Plug and Play BIOS Specification 1.0A 3.2; Linux reads its first 18 bytes (asm/vmi.h, struct pnp_header). */
export const pnpHeader = struct(
  'pnp_header',
  {
    sig: 'u8[4]',
    rev: 'u8',
    size: 'u8',
    next: 'u16',
    res: 'u8',
    checksum: 'u8',
    devID: 'u32',
    manufacturer_offset: 'u16',
    product_offset: 'u16',
    device_type: 'u8[3]',
    rest: 'u8[11]',
  },
  { size: 32, packed: true },
);

/** asm/vmi.h, struct vmi_ap_state. */
export const vmiApState = struct(
  'vmi_ap_state',
  {
    cr0: 'u32',
    cr2: 'u32',
    cr3: 'u32',
    cr4: 'u32',
    efer: 'u64pair',
    eip: 'u32',
    eflags: 'u32',
    eax: 'u32',
    ebx: 'u32',
    ecx: 'u32',
    edx: 'u32',
    esp: 'u32',
    ebp: 'u32',
    esi: 'u32',
    edi: 'u32',
    cs: 'u16',
    ss: 'u16',
    ds: 'u16',
    es: 'u16',
    fs: 'u16',
    gs: 'u16',
    ldtr: 'u16',
    gdtr_limit: 'u16',
    gdtr_base: 'u32',
    idtr_base: 'u32',
    idtr_limit: 'u16',
  },
  { size: 92, abi: 'i386' },
);
