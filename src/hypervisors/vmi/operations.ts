// Which operations VMI's calls serve, as Linux 2.6.32 uses them; all others are hardware's.

import { bug } from '../../base/errors.ts';
import type { OperationId } from '../../ops/index.ts';
import { hardwareEntryPoint } from '../hw/operations.ts';
import type { EntryPoint, Manifest } from '../manifest.ts';
import { entryName, VMI_CALLS } from './call.ts';

const rom = (name: string): EntryPoint => ({ name, by: 'rom', seen: 'exit' });

/** `SetPxE` and the like; both widths where kernels have both. */
const calls = (...names: readonly string[]): EntryPoint[] =>
  names.map((name) => {
    const call = VMI_CALLS.find((known) => known.name === name);
    return call ? rom(entryName(call)) : bug(`there is no VMI call ${name}`);
  });

const SET = calls('SetPxE', 'SetPxELong');
const UPDATE = calls('UpdatePxE', 'UpdatePxELong');
const LAZY = calls('SetLazyMode');
const ALARM = calls('SetAlarm', 'CancelAlarm');

/** arch/x86/kernel/vmi_32.c and vmiclock_32.c (2.6.32). */
const OPERATIONS: Partial<Record<OperationId, readonly EntryPoint[]>> = {
  'init.patch': [rom('VMI_GetRelocationInfo')],
  'init.arch_setup': [rom('VMI_Init')],
  'cpu.cpuid': calls('CPUID'),
  'cpu.clts': calls('CLTS'),
  'cpu.get_debugreg': calls('GetDR'),
  'cpu.set_debugreg': calls('SetDR'),
  'cpu.read_cr0': calls('GetCR0'),
  'cpu.write_cr0': calls('SetCR0'),
  'cpu.read_cr4': calls('GetCR4'),
  'cpu.write_cr4': calls('SetCR4'),
  'cpu.wbinvd': calls('WBINVD'),
  'cpu.read_tsc': calls('RDTSC'),
  'cpu.load_tr_desc': calls('SetTR'),
  'cpu.set_ldt': calls('WriteGDTEntry', 'SetLDT'),
  'cpu.load_gdt': calls('SetGDT'),
  'cpu.load_idt': calls('SetIDT'),
  'cpu.store_gdt': calls('GetGDT'),
  'cpu.store_idt': calls('GetIDT'),
  'cpu.store_tr': calls('GetTR'),
  'cpu.load_tls': calls('WriteGDTEntry'),
  'cpu.write_ldt_entry': calls('WriteLDTEntry'),
  'cpu.write_gdt_entry': calls('WriteGDTEntry'),
  'cpu.write_idt_entry': calls('WriteIDTEntry'),
  'cpu.load_sp0': calls('UpdateKernelStack'),
  'cpu.set_iopl_mask': calls('SetIOPLMask'),
  'cpu.io_delay': calls('IODelay'),
  'cpu.iret': calls('IRET'),
  'cpu.irq_enable_sysexit': calls('SYSEXIT'),
  'cpu.start_context_switch': LAZY,
  'cpu.end_context_switch': LAZY,
  'irq.save_fl': calls('GetInterruptMask'),
  'irq.restore_fl': calls('SetInterruptMask'),
  'irq.irq_disable': calls('DisableInterrupts'),
  'irq.irq_enable': calls('EnableInterrupts'),
  'irq.safe_halt': calls('Halt'),
  'mmu.read_cr2': calls('GetCR2'),
  'mmu.write_cr2': calls('SetCR2'),
  'mmu.read_cr3': calls('GetCR3'),
  'mmu.write_cr3': calls('SetCR3'),
  'mmu.flush_tlb_user': calls('FlushTLB'),
  'mmu.flush_tlb_kernel': calls('FlushTLB'),
  'mmu.flush_tlb_single': calls('InvalPage'),
  'mmu.set_pte': SET,
  'mmu.set_pte_at': SET,
  'mmu.set_pmd': SET,
  'mmu.set_pud': calls('SetPxELong'),
  'mmu.set_pte_atomic': calls('UpdatePxELong'),
  'mmu.pte_clear': calls('SetPxELong'),
  'mmu.pmd_clear': calls('SetPxELong'),
  'mmu.pte_update': UPDATE,
  'mmu.pte_update_defer': UPDATE,
  'mmu.alloc_pte': calls('AllocatePage'),
  'mmu.alloc_pmd': calls('AllocatePage'),
  'mmu.alloc_pmd_clone': calls('AllocatePage'),
  'mmu.release_pte': calls('ReleasePage'),
  'mmu.release_pmd': calls('ReleasePage'),
  'mmu.pgd_free': calls('ReleasePage'),
  'mmu.kmap_atomic_pte': calls('SetLinearMapping'),
  'mmu.lazy_mode.enter': LAZY,
  'mmu.lazy_mode.leave': LAZY,
  'apic.read': calls('APICRead'),
  'apic.write': calls('APICWrite'),
  'apic.startup_ipi_hook': calls('SetInitialAPState'),
  'apic.setup_boot_clock': ALARM,
  'apic.setup_secondary_clock': ALARM,
  'time.sched_clock': calls('GetCycleCounter'),
  'time.time_init': calls('GetCycleFrequency', 'SetAlarm', 'CancelAlarm'),
  'time.get_wallclock': calls('GetWallclockTime'),
  'hook.calibrate_tsc': calls('GetCycleFrequency'),
};

const USED: ReadonlySet<string> = new Set(
  Object.values(OPERATIONS).flatMap((entries) => entries.map(({ name }) => name)),
);

export const VMI_MANIFEST: Manifest = {
  operations: OPERATIONS,
  others: [
    ...VMI_CALLS.map(entryName)
      .filter((name) => !USED.has(name))
      .map(rom),
    { ...rom('VMI_SetCallbacks'), status: 'not modelled' },
  ],
  rest: hardwareEntryPoint,
};
