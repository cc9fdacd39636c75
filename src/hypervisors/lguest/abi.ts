// lguest's numbers and structures, as Linux 2.6.31 and 2.6.32 have them: calls, the data area, the places of things.

import { struct } from '../../base/struct.ts';

/** arch/x86/include/asm/lguest_hcall.h (2.6.32). The call is VMCALL, or INT 0x1f, in ring 1; the number is in EAX. */
export const LHCALL = {
  FLUSH_ASYNC: 0,
  LGUEST_INIT: 1,
  SHUTDOWN: 2,
  NEW_PGTABLE: 4,
  FLUSH_TLB: 5,
  LOAD_IDT_ENTRY: 6,
  SET_STACK: 7,
  TS: 8,
  SET_CLOCKEVENT: 9,
  HALT: 10,
  SET_PMD: 13,
  SET_PTE: 14,
  SET_PGD: 15,
  LOAD_TLS: 16,
  NOTIFY: 17,
  LOAD_GDT_ENTRY: 18,
  SEND_INTERRUPTS: 19,
} as const;
export const LHCALL_RING_SIZE = 64;
export const LGUEST_TRAP_ENTRY = 0x1f;

/** arch/x86/include/asm/bootparam.h (2.6.32): hardware_subarch of a guest of lguest. */
export const X86_SUBARCH_LGUEST = 1;

/** Guest kernels run in ring 1 (arch/x86/include/asm/lguest.h, GUEST_PL). */
export const GUEST_PL = 1;
/** What a host of either kind of kernel keeps at the top of its address space (asm/lguest.h, SWITCHER_ADDR). */
export const SWITCHER_ADDR = { pae: 0xffe00000, plain: 0xffc00000 } as const;

/** include/linux/lguest.h, struct hcall_args: the number, then EBX, ECX, EDX and ESI. */
export const hcallArgs = struct(
  'hcall_args',
  { arg0: 'u32', arg1: 'u32', arg2: 'u32', arg3: 'u32', arg4: 'u32' },
  { size: 20, abi: 'i386' },
);

/** include/linux/lguest.h, struct lguest_data (2.6.32). The ring of `hcalls` holds 64 `hcall_args`. */
export const lguestData = struct(
  'lguest_data',
  {
    irq_enabled: 'u32',
    blocked_interrupts: 'u32',
    cr2: 'u32',
    time_sec: 's32',
    time_nsec: 's32',
    irq_pending: 'u32',
    hcall_status: 'u8[64]',
    hcalls: 'u32[320]',
    reserve_mem: 'u32',
    tsc_khz: 'u32',
    pgdir: 'u32',
    noirq_start: 'u32',
    noirq_end: 'u32',
    kernel_address: 'u32',
    syscall_vec: 'u32',
  },
  { size: 1396, abi: 'i386' },
);
