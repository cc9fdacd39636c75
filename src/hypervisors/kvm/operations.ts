// Which operations KVM's leaves, MSRs and calls serve, by version; all others are hardware's.

import { hardwareEntryPoint } from '../hw/operations.ts';
import type { EntryPoint, Manifest } from '../manifest.ts';

const OLD = ['2.6.32'];
const NEW = ['6.1'];

const msr = (name: string, versions?: readonly string[]): EntryPoint => ({
  name,
  by: 'msr',
  seen: 'exit',
  ...(versions && { versions }),
});
const call = (name: string, versions: readonly string[]): EntryPoint => ({
  name,
  by: 'hypercall',
  seen: 'exit',
  versions,
});
const shared = (name: string, versions: readonly string[]): EntryPoint => ({
  name,
  by: 'shared',
  seen: 'unseen',
  versions,
});
const unmodelled = (entry: EntryPoint): EntryPoint => ({ ...entry, status: 'not modelled' });

const SYSTEM_TIME = [msr('MSR_KVM_SYSTEM_TIME_NEW', NEW), msr('MSR_KVM_SYSTEM_TIME')];
const WALL_CLOCK = [msr('MSR_KVM_WALL_CLOCK_NEW', NEW), msr('MSR_KVM_WALL_CLOCK')];
const STEAL_TIME = msr('MSR_KVM_STEAL_TIME', NEW);
const WRITE_PTE = [call('KVM_HC_MMU_OP.WRITE_PTE', OLD)];
const RELEASE_PT = [call('KVM_HC_MMU_OP.RELEASE_PT', OLD)];
/** Feature bit 9 is not offered: it only matters when a vCPU can lose its host CPU. */
const PV_TLB_FLUSH = [unmodelled(shared('KVM_VCPU_FLUSH_TLB', NEW))];

export const KVM_MANIFEST: Manifest = {
  operations: {
    'time.sched_clock': SYSTEM_TIME,
    'time.steal_clock': [STEAL_TIME],
    'time.get_wallclock': WALL_CLOCK,
    'hook.calibrate_tsc': SYSTEM_TIME,
    'hook.early_percpu_clock_init': SYSTEM_TIME,
    'hook.restore_sched_clock_state': SYSTEM_TIME,
    'cpu.io_delay': [{ name: 'KVM_FEATURE_NOP_IO_DELAY', by: 'cpuid', seen: 'exit' }],
    'apic.eoi_write': [msr('MSR_KVM_PV_EOI_EN', NEW)],
    'mmu.set_pte': WRITE_PTE,
    'mmu.set_pte_at': WRITE_PTE,
    'mmu.set_pte_atomic': WRITE_PTE,
    'mmu.pte_clear': WRITE_PTE,
    'mmu.set_pmd': WRITE_PTE,
    'mmu.pmd_clear': WRITE_PTE,
    'mmu.set_pud': WRITE_PTE,
    'mmu.set_pgd': WRITE_PTE,
    'mmu.release_pte': RELEASE_PT,
    'mmu.release_pmd': RELEASE_PT,
    'mmu.release_pud': RELEASE_PT,
    'mmu.flush_tlb_user': [call('KVM_HC_MMU_OP.FLUSH_TLB', OLD)],
    'mmu.lazy_mode.leave': [call('KVM_HC_MMU_OP', OLD)],
    'mmu.flush_tlb_others': PV_TLB_FLUSH,
    'mmu.tlb_remove_table': PV_TLB_FLUSH,
    'mmu.notify_page_enc_status_changed': [unmodelled(call('KVM_HC_MAP_GPA_RANGE', NEW))],
    'lock.wait': [{ name: 'HLT', by: 'instruction', seen: 'exit', versions: NEW }],
    'lock.kick': [call('KVM_HC_KICK_CPU', NEW)],
    'lock.vcpu_is_preempted': [shared('kvm_steal_time.preempted', NEW)],
    'smp.smp_prepare_boot_cpu': [STEAL_TIME, ...SYSTEM_TIME],
    'smp.send_call_func_ipi': [call('KVM_HC_SEND_IPI', NEW), call('KVM_HC_SCHED_YIELD', NEW)],
    'machine.shutdown': SYSTEM_TIME,
    'machine.crash_shutdown': SYSTEM_TIME,
    'request.clock_jump': [unmodelled(shared('pvclock_vcpu_time_info.flags', NEW))],
  },
  others: [
    { name: 'KVM_CPUID_SIGNATURE', by: 'cpuid', seen: 'exit' },
    { name: 'KVM_CPUID_FEATURES', by: 'cpuid', seen: 'exit' },
    { name: 'KVM_HC_VAPIC_POLL_IRQ', by: 'hypercall', seen: 'exit' },
    call('KVM_HC_CLOCK_PAIRING', NEW),
    msr('MSR_KVM_POLL_CONTROL', NEW),
    unmodelled(msr('MSR_KVM_ASYNC_PF_EN', NEW)),
    unmodelled(msr('MSR_KVM_ASYNC_PF_INT', NEW)),
    unmodelled(msr('MSR_KVM_ASYNC_PF_ACK', NEW)),
  ],
  rest: hardwareEntryPoint,
};
