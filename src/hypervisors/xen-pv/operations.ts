// Which operations Xen's calls, shared memory and emulated instructions serve for a PV guest; hardware serves none.

import type { Operation, OperationId } from '../../ops/index.ts';
import type { EntryPoint, Manifest } from '../manifest.ts';
import { callEntryPoint, familyOperations, otherCalls } from '../xen/operations.ts';
import { PV_CALLS } from './calls.ts';
import { TABLE_STORE as TABLE_STORE_NAME } from './table-writes.ts';

const calls = (...names: readonly string[]): EntryPoint[] =>
  names.map((name) => callEntryPoint(PV_CALLS, name));
const shared = (name: string): EntryPoint[] => [{ name, by: 'shared', seen: 'unseen' }];
/** The instruction faults, and Xen does what it would have done. */
const emulated = (name: string): EntryPoint[] => [{ name, by: 'instruction', seen: 'exit' }];
const own = (name: string): EntryPoint[] => [{ name, by: 'code', seen: 'unseen' }];
const xenstore = (name: string): EntryPoint[] => [
  { name: `xenstore ${name}`, by: 'event', seen: 'unseen', status: 'not modelled' },
];
const nothing: EntryPoint[] = [{ name: 'no-op', by: 'nothing', seen: 'unseen' }];

const TIME = shared('vcpu_info.time');
const TIMER = calls('vcpu_op.VCPUOP_set_singleshot_timer', 'set_timer_op');
const MASK = shared('vcpu_info.evtchn_upcall_mask');
/** A call that does nothing, on the way back from which Xen delivers what is pending. */
const UNMASK = [...MASK, ...calls('xen_version.XENVER_version')];
const SEND = calls('event_channel_op.EVTCHNOP_send');
const DOWN = calls('vcpu_op.VCPUOP_down');
const MMU_UPDATE = calls('mmu_update.MMU_NORMAL_PT_UPDATE');
const MAP = calls('update_va_mapping');
const PIN = calls('mmuext_op.MMUEXT_PIN_L4_TABLE', 'mmuext_op.MMUEXT_PIN_L3_TABLE');
const UNPIN = calls('mmuext_op.MMUEXT_UNPIN_TABLE');
/** A store to a read-only table faults, is checked, and is done for the guest. */
const TABLE_STORE = emulated(TABLE_STORE_NAME);
const TO_PFN = shared('machine_to_phys_mapping');
const TO_MFN = own('phys_to_machine_mapping');

const OPERATIONS: Manifest['operations'] = {
  ...familyOperations(PV_CALLS),
  'init.memory_setup': calls('memory_op.XENMEM_memory_map'),
  'init.init_IRQ': calls('event_channel_op.EVTCHNOP_bind_virq', 'set_callbacks'),
  'time.sched_clock': TIME,
  'time.steal_clock': calls('vcpu_op.VCPUOP_register_runstate_memory_area'),
  'time.get_wallclock': shared('shared_info.wc'),
  'time.set_wallclock': calls('platform_op'),
  'time.time_init': TIMER,
  'hook.calibrate_tsc': TIME,
  'hook.get_nmi_reason': shared('shared_info.arch.nmi_reason'),
  'apic.setup_boot_clock': TIMER,
  'apic.setup_secondary_clock': TIMER,
  'cpu.get_debugreg': calls('get_debugreg'),
  'cpu.set_debugreg': calls('set_debugreg'),
  'cpu.clts': calls('fpu_taskswitch'),
  'cpu.read_cr0': emulated('MOV from CR0'),
  'cpu.write_cr0': [...calls('fpu_taskswitch'), ...emulated('MOV to CR0')],
  'cpu.read_cr4': emulated('MOV from CR4'),
  'cpu.read_cr4_safe': emulated('MOV from CR4'),
  'cpu.write_cr4': emulated('MOV to CR4'),
  'cpu.load_tr_desc': nothing,
  'cpu.load_gdt': calls('set_gdt'),
  'cpu.load_idt': calls('set_trap_table'),
  'cpu.set_ldt': calls('mmuext_op.MMUEXT_SET_LDT'),
  'cpu.store_tr': nothing,
  'cpu.load_tls': calls('update_descriptor'),
  'cpu.load_gs_index': calls('set_segment_base'),
  'cpu.write_ldt_entry': calls('update_descriptor'),
  'cpu.write_gdt_entry': calls('update_descriptor'),
  'cpu.write_idt_entry': calls('set_trap_table'),
  'cpu.alloc_ldt': MAP,
  'cpu.free_ldt': MAP,
  'cpu.load_sp0': calls('stack_switch'),
  'cpu.set_iopl_mask': calls('physdev_op.PHYSDEVOP_set_iopl'),
  'cpu.invalidate_io_bitmap': calls('physdev_op.PHYSDEVOP_set_iobitmap'),
  'cpu.update_io_bitmap': calls('physdev_op.PHYSDEVOP_set_iobitmap'),
  'cpu.wbinvd': emulated('WBINVD'),
  'cpu.io_delay': nothing,
  'cpu.cpuid': emulated('CPUID behind XEN_EMULATE_PREFIX'),
  'cpu.read_msr': emulated('RDMSR'),
  'cpu.read_msr_safe': emulated('RDMSR'),
  'cpu.write_msr': [...calls('set_segment_base'), ...emulated('WRMSR')],
  'cpu.write_msr_safe': [...calls('set_segment_base'), ...emulated('WRMSR')],
  'cpu.irq_enable_sysexit': calls('iret'),
  'cpu.usergs_sysret64': calls('iret'),
  'cpu.usergs_sysret32': calls('iret'),
  'cpu.iret': calls('iret'),
  'cpu.swapgs': nothing,
  'cpu.end_context_switch': calls('multicall'),
  'irq.save_fl': MASK,
  'irq.restore_fl': UNMASK,
  'irq.irq_disable': MASK,
  'irq.irq_enable': UNMASK,
  'irq.safe_halt': calls('sched_op.SCHEDOP_block'),
  'irq.halt': [...calls('sched_op.SCHEDOP_block'), ...DOWN],
  'irq.adjust_exception_frame': own('POP RCX; POP R11'),
  'mmu.read_cr2': shared('vcpu_info.arch.cr2'),
  'mmu.write_cr2': shared('vcpu_info.arch.cr2'),
  'mmu.read_cr3': own('a copy in memory'),
  'mmu.write_cr3': calls('mmuext_op.MMUEXT_NEW_BASEPTR', 'mmuext_op.MMUEXT_NEW_USER_BASEPTR'),
  'mmu.flush_tlb_user': calls('mmuext_op.MMUEXT_TLB_FLUSH_LOCAL'),
  'mmu.flush_tlb_kernel': calls('mmuext_op.MMUEXT_TLB_FLUSH_LOCAL'),
  'mmu.flush_tlb_single': calls('mmuext_op.MMUEXT_INVLPG_LOCAL'),
  'mmu.flush_tlb_others': calls(
    'mmuext_op.MMUEXT_TLB_FLUSH_MULTI',
    'mmuext_op.MMUEXT_INVLPG_MULTI',
  ),
  'mmu.lazy_mode.leave': calls('multicall'),
  'mmu.lazy_mode.flush': calls('multicall'),
  'mmu.activate_mm': PIN,
  'mmu.dup_mmap': PIN,
  'mmu.exit_mmap': UNPIN,
  'mmu.alloc_pte': [...MAP, ...calls('mmuext_op.MMUEXT_PIN_L1_TABLE')],
  'mmu.alloc_pmd': MAP,
  'mmu.alloc_pud': MAP,
  'mmu.release_pte': [...UNPIN, ...MAP],
  'mmu.release_pmd': MAP,
  'mmu.release_pud': MAP,
  'mmu.set_pte': [...TABLE_STORE, ...MMU_UPDATE],
  'mmu.set_pte_at': [...MAP, ...TABLE_STORE],
  'mmu.set_pte_atomic': TABLE_STORE,
  'mmu.set_pte_present': TABLE_STORE,
  'mmu.pte_clear': TABLE_STORE,
  'mmu.set_pmd': MMU_UPDATE,
  'mmu.pmd_clear': MMU_UPDATE,
  'mmu.set_pud': MMU_UPDATE,
  'mmu.set_p4d': MMU_UPDATE,
  'mmu.set_pgd': MMU_UPDATE,
  'mmu.ptep_modify_prot_start': own('a load'),
  'mmu.ptep_modify_prot_commit': calls('mmu_update.MMU_PT_UPDATE_PRESERVE_AD'),
  'mmu.pte_val': TO_PFN,
  'mmu.pmd_val': TO_PFN,
  'mmu.pud_val': TO_PFN,
  'mmu.p4d_val': TO_PFN,
  'mmu.pgd_val': TO_PFN,
  'mmu.make_pte': TO_MFN,
  'mmu.make_pmd': TO_MFN,
  'mmu.make_pud': TO_MFN,
  'mmu.make_p4d': TO_MFN,
  'mmu.make_pgd': TO_MFN,
  'mmu.set_fixmap': MAP,
  'mmu.kmap_atomic_pte': MAP,
  'lock.spin_lock': calls('sched_op.SCHEDOP_poll'),
  'lock.spin_lock_flags': calls('sched_op.SCHEDOP_poll'),
  'lock.spin_unlock': SEND,
  'lock.wait': calls('sched_op.SCHEDOP_poll'),
  'lock.vcpu_is_preempted': shared('vcpu_runstate_info.state'),
  'smp.smp_prepare_boot_cpu': calls('vcpu_op.VCPUOP_register_vcpu_info'),
  'smp.smp_prepare_cpus': calls('event_channel_op.EVTCHNOP_bind_ipi'),
  'smp.smp_cpus_done': nothing,
  'smp.stop_other_cpus': DOWN,
  'smp.cpu_up': calls('vcpu_op.VCPUOP_initialise', 'vcpu_op.VCPUOP_up', 'sched_op.SCHEDOP_yield'),
  'smp.cpu_disable': DOWN,
  'smp.cpu_die': calls('vcpu_op.VCPUOP_is_up'),
  'smp.play_dead': DOWN,
  'request.power_off': xenstore('control/shutdown'),
  'request.reboot': xenstore('control/shutdown'),
  'request.suspend': xenstore('control/shutdown'),
  'request.sysrq': xenstore('control/sysrq'),
  'request.nmi': calls('nmi_op.XENNMI_register_callback'),
  'request.balloon': xenstore('memory/target'),
  'request.cpu_hotplug': xenstore('cpu/availability'),
  'request.memory_hotplug': xenstore('memory/target'),
  'request.device_hotplug': xenstore('device'),
};

const USED: ReadonlySet<string> = new Set(
  Object.values(OPERATIONS).flatMap((entries) => entries.map(({ name }) => name)),
);

/** In ring 3 these do what they always do. */
const UNPRIVILEGED: ReadonlySet<OperationId> = new Set([
  ...(['cpu.read_tsc', 'cpu.read_tscp', 'cpu.store_gdt', 'cpu.store_idt'] as const),
  ...(['time.get_scheduled_cycles', 'hook.save_sched_clock_state'] as const),
  'hook.restore_sched_clock_state' as const,
]);

/** What is only memory, or nothing at all, needs no hypervisor; what needs hardware finds none. */
function rest(op: Operation): EntryPoint | null {
  const { by, what } = op.native;
  const free = by === 'nothing' || by === 'code' || (by === 'memory' && op.class !== 'page tables');
  if (!free && !UNPRIVILEGED.has(op.id as OperationId)) return null;
  return { name: what, by, seen: 'unseen' };
}

export const XEN_PV_MANIFEST: Manifest = {
  operations: OPERATIONS,
  others: otherCalls(PV_CALLS, USED, ['pv64', 'pv32']),
  rest,
};
