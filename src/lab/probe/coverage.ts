// Which probes ask about which operation on which interface, and why none does where none does.

import { INTERFACES } from '../../hypervisors/index.ts';
import { bindingIn, GUEST_CALLS, groupOf, OPERATIONS, type Operation } from '../../ops/index.ts';
import { operationsOf, PROBES, type Probe, skipReason } from '../../probe/index.ts';

/** What no probe of a kernel with one vCPU and no drivers asks, by group or by operation. */
const UNASKED: Readonly<Record<string, string>> = {
  hook: "a step of Linux's own set-up",
  request: 'asked of the guest, not by it',
  smp: 'the kernel has one vCPU',
  lock: 'the kernel has one vCPU, so nobody waits',
  machine: 'ends the kernel: every run shows it',
  init: "a step of Linux's own set-up",
  'time.get_scheduled_cycles': 'gone since 2.6.22: time.sched_clock',
  'time.get_tsc_khz': 'gone since 2.6.32: hook.calibrate_tsc',
  'time.set_wallclock': "the kernel keeps its hands off the host's date",
  'time.time_init': 'apic.setup_boot_clock does it here',
  'cpu.read_cr4_safe': 'cpu.read_cr4, on processors that have it',
  'cpu.read_msr_safe': 'as cpu.read_msr, which never faults here',
  'cpu.write_msr_safe': 'as cpu.write_msr, which never faults here',
  'cpu.rdmsr_regs': 'for MSRs with a password, which the processor does not have',
  'cpu.wrmsr_regs': 'for MSRs with a password, which the processor does not have',
  'cpu.invalidate_io_bitmap': 'the kernel gives no ports to ring 3',
  'cpu.update_io_bitmap': 'the kernel gives no ports to ring 3',
  'mmu.alloc_pmd_clone': 'gone since 2.6.32: mmu.pgd_alloc of a filled table',
  'mmu.map_pt_hook': 'gone since 2.6.22',
  'mmu.set_pte_present': 'gone since 2.6.32: mmu.set_pte',
  'mmu.pte_update_defer': 'gone since 6.1, and a no-op wherever pte_update is',
  'mmu.flush_tlb_others': 'the kernel has one vCPU',
  'mmu.kmap_atomic_pte': 'the kernel has no high memory',
  'mmu.set_fixmap': 'the kernel has no fixed slots: mmu.set_pte_at',
  'mmu.tlb_remove_table': 'frees pages in batches, after mmu.release_pte',
  'mmu.notify_page_enc_status_changed': 'no memory is encrypted',
  'mmu.dup_mmap': 'the kernel has one address space at a time',
  'irq.halt': 'with interrupts off it ends the kernel: every run shows it',
  'mmu.lazy_mode.flush': 'lazy_mode.leave and enter',
  'mmu.set_lazy_mode': 'mmu.lazy_mode.enter and leave took its place',
};

export interface ProbeCoverage {
  readonly operation: string;
  /** By interface and bits: ids of probes, or a reason. */
  readonly on: readonly { readonly probes: readonly string[]; readonly reason: string }[];
}

export interface CoverageColumn {
  readonly id: string;
  readonly bits: 32 | 64;
}

export function probeColumns(): CoverageColumn[] {
  return INTERFACES.flatMap(({ id, guest }) => (guest?.bits ?? []).map((bits) => ({ id, bits })));
}

export function probeCoverage(): ProbeCoverage[] {
  return OPERATIONS.map((op) => ({
    operation: op.id,
    on: probeColumns().map((column) => coverageOf(op, column)),
  }));
}

function coverageOf(op: Operation, { id, bits }: CoverageColumn): ProbeCoverage['on'][number] {
  const guest = INTERFACES.find((one) => one.id === id)?.guest;
  const about = PROBES.filter((probe) => asksAbout(probe, op, bits));
  if (!guest) return { probes: [], reason: 'no guest side' };
  const cannot = bindingIn(guest, bits).cannot[op.id as keyof typeof guest.cannot];
  if (cannot !== undefined) return { probes: [], reason: cannot };
  const runs = about.filter((probe) => skipReason(probe, guest, bits) === null);
  if (runs.length > 0) return { probes: runs.map((probe) => probe.id), reason: '' };
  const skipped = about.map((probe) => skipReason(probe, guest, bits));
  return { probes: [], reason: skipped[0] ?? unasked(op, bits) };
}

/** What it is about, or uses on the way. */
function asksAbout(probe: Probe, op: Operation, bits: 32 | 64): boolean {
  if ((probe.about as readonly string[]).includes(op.id)) return true;
  const runsAnywhere = INTERFACES.some(
    ({ guest }) => guest?.bits.includes(bits) && skipReason(probe, guest, bits) === null,
  );
  return runsAnywhere && (operationsOf(probe, bits) as readonly string[]).includes(op.id);
}

function unasked(op: Operation, bits: 32 | 64): string {
  const known = UNASKED[op.id] ?? UNASKED[groupOf(op)];
  if (known !== undefined) return known;
  const { linux } = op;
  if (bits === 32 && (linux?.needs === 'x86-64' || linux?.needs === '4 levels'))
    return 'for 64 bits only';
  if (bits === 32 && /^mmu\.(alloc|release)_pud$/.test(op.id))
    return 'the third level of PAE is its top: mmu.pgd_alloc and pgd_free';
  if (/^mmu\.(make|.*_val$)/.test(op.id))
    return 'as mmu.make_pte and pte_val: entries of all levels are alike';
  if (/p4d$/.test(op.id)) return 'the kernel has four levels at most';
  if (op.id.startsWith('apic.')) return 'the kernel has one vCPU: no inter-processor interrupts';
  return op.id in GUEST_CALLS ? 'not asked yet' : 'the kernel does not have it';
}
