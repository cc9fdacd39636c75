// Which operations lguest's calls and its data area serve; what is left to hardware is what ring 1 can do.

import type { Operation, OperationId } from '../../ops/index.ts';
import type { EntryPoint, Manifest } from '../manifest.ts';
import { LGUEST_CALLS } from './calls.ts';

const call = (...names: readonly string[]): EntryPoint[] =>
  names.map((name) => ({ name: `LHCALL_${name}`, by: 'hypercall', seen: 'exit' }));
const shared = (field: string): EntryPoint[] => [
  { name: `lguest_data.${field}`, by: 'shared', seen: 'unseen' },
];
const own = (name: string): EntryPoint[] => [{ name, by: 'code', seen: 'unseen' }];
const nothing: EntryPoint[] = [{ name: 'no-op', by: 'nothing', seen: 'unseen' }];
const skipped = (name: string): EntryPoint[] => [{ name, by: 'instruction', seen: 'exit' }];
/** The bus of lguest and the text console share one call. */
const NOTIFY = call('NOTIFY');
const SET_PTE = call('SET_PTE');
const FLUSH = call('FLUSH_TLB');
const BATCH = call('FLUSH_ASYNC');
const SHUTDOWN = call('SHUTDOWN');

/** arch/x86/lguest/boot.c (2.6.32), lguest_init: what it puts into the structures, and what it leaves. */
const OPERATIONS: Manifest['operations'] = {
  'init.memory_setup': own('the one entry of the launcher, as "LGUEST"'),
  'init.init_IRQ': call('LOAD_IDT_ENTRY'),
  'init.patch': own('irq_disable and save_fl in place'),
  'time.get_wallclock': shared('time'),
  'time.time_init': call('SET_CLOCKEVENT'),
  'time.get_tsc_khz': shared('tsc_khz'),
  'hook.calibrate_tsc': shared('tsc_khz'),
  'apic.setup_boot_clock': call('SET_CLOCKEVENT'),
  'apic.read': nothing,
  'apic.write': nothing,
  'cpu.clts': call('TS'),
  'cpu.read_cr0': own('a copy in memory'),
  'cpu.write_cr0': call('TS'),
  'cpu.read_cr4': own('0'),
  'cpu.write_cr4': nothing,
  'cpu.load_tr_desc': nothing,
  'cpu.load_gdt': call('LOAD_GDT_ENTRY'),
  'cpu.load_idt': call('LOAD_IDT_ENTRY'),
  'cpu.set_ldt': nothing,
  'cpu.load_tls': call('LOAD_TLS'),
  'cpu.write_gdt_entry': call('LOAD_GDT_ENTRY'),
  'cpu.write_idt_entry': call('LOAD_IDT_ENTRY'),
  'cpu.load_sp0': call('SET_STACK'),
  'cpu.wbinvd': nothing,
  'cpu.set_debugreg': nothing,
  'cpu.io_delay': skipped('OUT to port 0x80, stepped over'),
  'cpu.cpuid': own('CPUID, masked in the guest'),
  'cpu.iret': own('IRET, behind a store to lguest_data.irq_enabled'),
  'cpu.end_context_switch': BATCH,
  'irq.save_fl': shared('irq_enabled'),
  'irq.restore_fl': [...shared('irq_enabled'), ...call('SEND_INTERRUPTS')],
  'irq.irq_disable': shared('irq_enabled'),
  'irq.irq_enable': [...shared('irq_enabled'), ...call('SEND_INTERRUPTS')],
  'irq.safe_halt': call('HALT'),
  'mmu.read_cr2': shared('cr2'),
  'mmu.read_cr3': shared('pgdir'),
  'mmu.write_cr3': call('NEW_PGTABLE'),
  'mmu.flush_tlb_user': FLUSH,
  'mmu.flush_tlb_kernel': FLUSH,
  'mmu.flush_tlb_single': SET_PTE,
  'mmu.lazy_mode.leave': BATCH,
  'mmu.lazy_mode.flush': BATCH,
  'mmu.set_pte': FLUSH,
  'mmu.set_pte_at': SET_PTE,
  'mmu.set_pte_atomic': FLUSH,
  'mmu.pte_clear': SET_PTE,
  'mmu.pte_update': SET_PTE,
  'mmu.pte_update_defer': SET_PTE,
  'mmu.set_pmd': call('SET_PGD', 'SET_PMD'),
  'mmu.pmd_clear': call('SET_PMD'),
  'mmu.set_pud': call('SET_PGD'),
  'machine.restart': SHUTDOWN,
  'machine.power_off': SHUTDOWN,
  'machine.emergency_restart': SHUTDOWN,
  'machine.crash_shutdown': SHUTDOWN,
};

const USED: ReadonlySet<string> = new Set(
  Object.values(OPERATIONS).flatMap((entries) => entries.map(({ name }) => name)),
);

/** In ring 1 these do what they always do. */
const UNPRIVILEGED: ReadonlySet<OperationId> = new Set([
  ...(['cpu.read_tsc', 'cpu.store_gdt', 'cpu.store_idt', 'cpu.store_tr'] as const),
  ...(['time.sched_clock', 'time.get_scheduled_cycles'] as const),
]);

/** What is only memory, or nothing at all, needs no hypervisor, and tables are the guest's memory too. */
function rest(op: Operation): EntryPoint | null {
  const { by, what } = op.native;
  const free = by === 'nothing' || by === 'code' || by === 'memory';
  if (!free && !UNPRIVILEGED.has(op.id as OperationId)) return null;
  return { name: what, by, seen: 'unseen' };
}

export const LGUEST_MANIFEST: Manifest = {
  operations: OPERATIONS,
  others: [
    ...NOTIFY,
    ...[...LGUEST_CALLS.values()]
      .map(({ name }) => name)
      .filter((name) => !USED.has(name) && name !== 'LHCALL_NOTIFY')
      .map((name): EntryPoint => ({ name, by: 'hypercall', seen: 'exit' })),
  ],
  rest,
};
