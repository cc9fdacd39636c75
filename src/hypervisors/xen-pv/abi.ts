// Numbers and structures that only PV guests meet: memory management, traps, callbacks, segments, contexts.

import { xenStruct } from '../xen/abi/layout.ts';

/** Hypercalls (xen/include/public/xen.h, __HYPERVISOR_*). */
export const HYPERVISOR_iret = 23;
export const HYPERCALLS = 56;

/** mmu_update: the low bits of `ptr` (xen.h). */
export const MMU_NORMAL_PT_UPDATE = 0;
export const MMU_MACHPHYS_UPDATE = 1;
export const MMU_PT_UPDATE_PRESERVE_AD = 2;
export const MMU_PT_UPDATE_NO_TRANSLATE = 3;
export const MMU_UPDATE_BYTES = 16;
/** In `count`: the call goes on where it was (Xen's own, MMU_UPDATE_PREEMPTED). */
export const MMU_UPDATE_PREEMPTED = 0x8000_0000;

/** mmuext_op (xen.h). */
export const MMUEXT_PIN_L1_TABLE = 0;
export const MMUEXT_PIN_L2_TABLE = 1;
export const MMUEXT_PIN_L3_TABLE = 2;
export const MMUEXT_PIN_L4_TABLE = 3;
export const MMUEXT_UNPIN_TABLE = 4;
export const MMUEXT_NEW_BASEPTR = 5;
export const MMUEXT_TLB_FLUSH_LOCAL = 6;
export const MMUEXT_INVLPG_LOCAL = 7;
export const MMUEXT_TLB_FLUSH_MULTI = 8;
export const MMUEXT_INVLPG_MULTI = 9;
export const MMUEXT_TLB_FLUSH_ALL = 10;
export const MMUEXT_INVLPG_ALL = 11;
export const MMUEXT_FLUSH_CACHE = 12;
export const MMUEXT_SET_LDT = 13;
export const MMUEXT_NEW_USER_BASEPTR = 15;
export const MMUEXT_CLEAR_PAGE = 16;
export const MMUEXT_COPY_PAGE = 17;
export const MMUEXT_FLUSH_CACHE_GLOBAL = 18;
export const MMUEXT_MARK_SUPER = 19;
export const MMUEXT_UNMARK_SUPER = 20;

/** Debug registers with nothing asked for: the bits that are always 1. SDM 3B 18.2.3, 18.2.4. */
export const DR6_ALWAYS = 0xffff0ff0;
export const DR7_ALWAYS = 0x400;

/** update_va_mapping: what to flush, and where (xen.h). */
export const UVMF_TLB_FLUSH = 1;
export const UVMF_INVLPG = 2;
export const UVMF_FLUSHTYPE_MASK = 3;

/** trap_info (arch-x86/xen.h): DPL in bits 0 and 1, bit 2 masks events. */
export const TRAP_DPL = 3;
export const TRAP_MASKS_EVENTS = 4;
export const trapInfo = xenStruct(
  'struct trap_info',
  { vector: 'u8', flags: 'u8', cs: 'u16', address: 'handle' },
  { header: 'xen.h', size: [16, 8] },
);

/** callback_op (callback.h). */
export const CALLBACKOP_register = 0;
export const CALLBACKOP_unregister = 1;
export const CALLBACKTYPE_event = 0;
export const CALLBACKTYPE_failsafe = 1;
export const CALLBACKTYPE_syscall = 2;
export const CALLBACKTYPE_sysenter_deprecated = 3;
export const CALLBACKTYPE_nmi = 4;
export const CALLBACKTYPE_sysenter = 5;
export const CALLBACKTYPE_syscall32 = 7;
export const CALLBACKF_mask_events = 1;

/** set_segment_base (arch-x86/xen-x86_64.h). */
export const SEGBASE_FS = 0;
export const SEGBASE_GS_USER = 1;
export const SEGBASE_GS_KERNEL = 2;
export const SEGBASE_GS_USER_SEL = 3;

/** vm_assist, what PV guests alone are helped by (xen.h). */
export const VMASST_TYPE_4gb_segments = 0;
export const VMASST_TYPE_4gb_segments_notify = 1;
export const VMASST_TYPE_writable_pagetables = 2;
export const VMASST_TYPE_pae_extended_cr3 = 3;
export const VMASST_TYPE_architectural_iopl = 4;
export const VMASST_TYPE_m2p_strict = 32;

/** Flat selectors of Xen's own (arch-x86/xen-x86_64.h). */
export const FLAT_RING3_CS32 = 0xe023;
export const FLAT_RING3_DS = 0xe02b;
export const FLAT_RING3_CS64 = 0xe033;
/** And of 32-bit guests (arch-x86/xen-x86_32.h). */
export const FLAT_RING1_CS = 0xe019;
export const FLAT_RING1_DS = 0xe021;
export const FLAT_RING3_CS = 0xe02b;
export const FLAT_RING3_SS = 0xe033;

/** Where Xen's part of a 32-bit guest's address space begins (arch-x86/xen-x86_32.h). */
export const HYPERVISOR_VIRT_START_PAE = 0xf580_0000;
/** Pages and entries of the GDT that are the guest's; then comes Xen's (arch-x86/xen.h). */
export const FIRST_RESERVED_GDT_PAGE = 14;
export const FIRST_RESERVED_GDT_ENTRY = FIRST_RESERVED_GDT_PAGE * 512;

/** iret: `flags` (arch-x86/xen.h). */
export const VGCF_in_syscall = 1 << 8;

export const gdtEntryBytes = 8;
