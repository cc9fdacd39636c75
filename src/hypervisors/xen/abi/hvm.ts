// What PVH guests have beside: HVM parameters, hvm_op, CPUID leaves.

import { xenStruct } from './layout.ts';

/** xen/include/public/hvm/hvm_op.h */
export const HVMOP_set_param = 0;
export const HVMOP_get_param = 1;
export const HVMOP_set_pci_intx_level = 2;
export const HVMOP_set_isa_irq_level = 3;
export const HVMOP_set_pci_link_route = 4;
export const HVMOP_flush_tlbs = 5;
export const HVMOP_pagetable_dying = 9;
export const HVMOP_get_time = 10;
export const HVMOP_xentrace = 11;
export const HVMOP_set_mem_access = 12;
export const HVMOP_get_mem_access = 13;
export const HVMOP_get_mem_type = 15;
export const HVMOP_set_evtchn_upcall_vector = 23;
export const HVMOP_guest_request_vm_event = 24;
export const HVMOP_altp2m = 25;

/** xen/include/public/hvm/params.h */
export const HVM_PARAM_CALLBACK_IRQ = 0;
export const HVM_PARAM_STORE_PFN = 1;
export const HVM_PARAM_STORE_EVTCHN = 2;
export const HVM_PARAM_VM86_TSS = 15;
export const HVM_PARAM_CONSOLE_PFN = 17;
export const HVM_PARAM_CONSOLE_EVTCHN = 18;
export const HVM_PARAM_ACPI_IOPORTS_LOCATION = 19;
export const HVM_PARAM_VM_GENERATION_ID_ADDR = 34;
export const HVM_PARAM_ALTP2M = 35;
export const HVM_PARAM_X87_FIP_WIDTH = 36;
export const HVM_PARAM_VM86_TSS_SIZED = 37;
export const HVM_NR_PARAMS = 39;
/** How events are announced: the top byte of HVM_PARAM_CALLBACK_IRQ. */
export const HVM_PARAM_CALLBACK_TYPE_GSI = 0;
export const HVM_PARAM_CALLBACK_TYPE_PCI_INTX = 1;
export const HVM_PARAM_CALLBACK_TYPE_VECTOR = 2;

export const hvmParam = xenStruct(
  'struct xen_hvm_param',
  { domid: 'u16', pad: 'u16', index: 'u32', value: 'u64pair' },
  { header: 'hvm/hvm_op.h', size: [16, 16] },
);
export const hvmEvtchnUpcallVector = xenStruct(
  'struct xen_hvm_evtchn_upcall_vector',
  { vcpu: 'u32', vector: 'u8' },
  { header: 'hvm/hvm_op.h', size: [8, 8] },
);
export const hvmGetTime = xenStruct(
  'struct xen_hvm_get_time',
  { now: 'u64' },
  { header: 'hvm/hvm_op.h', size: [8, 8] },
);
export const hvmGetMemType = xenStruct(
  'struct xen_hvm_get_mem_type',
  { domid: 'u16', mem_type: 'u16', pad: 'u16[2]', pfn: 'u64' },
  { header: 'hvm/hvm_op.h', size: [16, 16] },
);
export const HVMMEM_ram_rw = 0;
export const HVMMEM_mmio_dm = 2;

/** Leaves from 0x40000000 on (xen/include/public/arch-x86/cpuid.h): "XenVMMXenVMM" in EBX, ECX, EDX. */
export const XEN_CPUID_FIRST_LEAF = 0x40000000;
export const XEN_CPUID_SIGNATURE = [0x566e6558, 0x65584d4d, 0x4d4d566e] as const;
export const XEN_CPUID_MAX_NUM_LEAVES = 5;
export const XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD = 1 << 0;
export const XEN_HVM_CPUID_IOMMU_MAPPINGS = 1 << 2;
export const XEN_HVM_CPUID_VCPU_ID_PRESENT = 1 << 3;
export const XEN_HVM_CPUID_DOMID_PRESENT = 1 << 4;
export const XEN_HVM_CPUID_UPCALL_VECTOR = 1 << 6;
/** The MSR that fills a hypercall page: the value is the page's address, its low bits the page's number. */
export const XEN_HYPERCALL_MSR = 0x40000000;

/** struct xen_hvm_pagetable_dying is a domain and a 64-bit address. */
export const HVM_PAGETABLE_DYING_BYTES = 16;
/** struct xen_hvm_xentrace: two numbers of 16 bits, and as many of these bytes as the second says. */
export const XENTRACE_EXTRA_BYTES = 28;
/** Bits of an event that are not its class (trace.h, TRC_SUBCLS_SHIFT). */
export const XENTRACE_EVENTS = 1 << 12;
