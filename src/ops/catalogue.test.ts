// The catalogue against the structures that it was read from: how many slots each version has, and that all is said of each.

import { describe, expect, it } from 'vitest';
import {
  findOperation,
  groupOf,
  LINUX_VERSIONS,
  type LinuxVersion,
  linuxName,
  OPERATIONS,
  type Operation,
  referencesOf,
  signatureOf,
  slotName,
  vocabulary,
} from './index.ts';

function perGroup(version: LinuxVersion, keep: (op: Operation) => boolean = () => true) {
  const counts: Record<string, number> = {};
  for (const op of vocabulary(version).filter(keep)) {
    const structure = (slotName(op, version) ?? '')
      .replace(/\.[^.]+$/, '')
      .replace('.lazy_mode', '');
    counts[structure] = (counts[structure] ?? 0) + 1;
  }
  return counts;
}
const lacks =
  (...needs: readonly unknown[]) =>
  ({ linux }: Operation) =>
    !needs.includes(linux?.needs);

describe('the vocabularies', () => {
  it('have as many slots as the structures have pointers, in any configuration', () => {
    expect(perGroup('2.6.21')).toEqual({ paravirt_ops: 76 });
    expect(perGroup('2.6.22')).toEqual({ paravirt_ops: 88 });
    expect(perGroup('2.6.32')).toEqual({
      pv_init_ops: 1,
      pv_time_ops: 2,
      pv_cpu_ops: 43,
      pv_irq_ops: 7,
      pv_apic_ops: 1,
      pv_mmu_ops: 44,
      pv_lock_ops: 6,
    });
    expect(perGroup('6.1')).toEqual({
      'pv_ops.cpu': 30,
      'pv_ops.irq': 5,
      'pv_ops.mmu': 44,
      'pv_ops.lock': 5,
    });
    expect(LINUX_VERSIONS.map((version) => vocabulary(version).length)).toEqual([76, 88, 104, 84]);
  });

  it('of 2.6.21 has the members of that structure, in the order of the header', () => {
    const members = [
      'patch arch_setup memory_setup init_IRQ banner get_wallclock set_wallclock time_init cpuid',
      'get_debugreg set_debugreg clts read_cr0 write_cr0 read_cr2 write_cr2 read_cr3 write_cr3',
      'read_cr4_safe read_cr4 write_cr4 save_fl restore_fl irq_disable irq_enable safe_halt halt wbinvd',
      'read_msr write_msr read_tsc read_pmc get_scheduled_cycles get_cpu_khz load_tr_desc load_gdt',
      'load_idt store_gdt store_idt set_ldt store_tr load_tls write_ldt_entry write_gdt_entry',
      'write_idt_entry load_esp0 set_iopl_mask io_delay apic_write apic_write_atomic apic_read',
      'setup_boot_clock setup_secondary_clock flush_tlb_user flush_tlb_kernel flush_tlb_single',
      'map_pt_hook alloc_pt alloc_pd alloc_pd_clone release_pt release_pd set_pte set_pte_at set_pmd',
      'pte_update pte_update_defer set_pte_atomic set_pte_present set_pud pte_clear pmd_clear',
      'set_lazy_mode irq_enable_sysexit iret startup_ipi_hook',
    ].flatMap((line) => line.split(' '));
    const named = vocabulary('2.6.21').map((op) => slotName(op, '2.6.21')?.split('.')[1]);
    expect(named.sort()).toEqual(members.sort());
  });

  it('of 2.6.32 shrink to what each configuration has', () => {
    const count = (keep: (op: Operation) => boolean) => vocabulary('2.6.32').filter(keep).length;
    expect(count(lacks('x86-64', 'pae', '3 levels', '4 levels'))).toBe(91);
    expect(count(lacks('x86-64', '4 levels'))).toBe(97);
    expect(count(lacks('pae', 'highpte'))).toBe(100);
  });

  it('of 6.1 shrinks to 13 slots without Xen PV', () => {
    expect(perGroup('6.1', ({ linux }) => linux?.withoutXxl === true)).toEqual({
      'pv_ops.cpu': 1,
      'pv_ops.mmu': 7,
      'pv_ops.lock': 5,
    });
  });

  it('never give two operations one name', () => {
    for (const version of LINUX_VERSIONS) {
      const names = OPERATIONS.map((op) => linuxName(op, version)).filter((name) => name !== null);
      expect(new Set(names).size, version).toBe(names.length);
    }
  });

  it('follow renames', () => {
    const names = (id: string) =>
      LINUX_VERSIONS.map((version) => linuxName(findOperation(id)!, version));
    expect(names('cpu.load_sp0')).toEqual([
      'paravirt_ops.load_esp0',
      'paravirt_ops.load_esp0',
      'pv_cpu_ops.load_sp0',
      'pv_ops.cpu.load_sp0',
    ]);
    expect(names('mmu.lazy_mode.enter').slice(2)).toEqual([
      'pv_mmu_ops.lazy_mode.enter',
      'pv_ops.mmu.lazy_mode.enter',
    ]);
    expect(names('time.get_wallclock')[2]).toBe('x86_platform.get_wallclock');
  });
});

describe('the tables outside the structure', () => {
  const hooks = (version: LinuxVersion, structure: string) =>
    OPERATIONS.filter(({ hooks: found }) => found?.[version]?.startsWith(structure)).length;

  it('are whole for 2.6.32', () => {
    expect(hooks('2.6.32', 'smp_ops.')).toBe(11);
    expect(hooks('2.6.32', 'machine_ops.')).toBe(6);
    expect(hooks('2.6.32', 'apic->')).toBe(6);
    expect(hooks('2.6.32', 'x86_init.')).toBe(21);
    expect(hooks('2.6.32', 'x86_cpuinit.')).toBe(1);
    expect(hooks('2.6.32', 'x86_platform.')).toBe(3);
  });

  it('have twelve calls of smp_ops in 6.1', () => {
    expect(hooks('6.1', 'smp_ops.')).toBe(12);
  });
});

describe('every operation', () => {
  it('has an id of its own, in lower-case words behind its group', () => {
    expect(new Set(OPERATIONS.map(({ id }) => id)).size).toBe(OPERATIONS.length);
    for (const { id } of OPERATIONS) expect(id).toMatch(/^[a-z]+(\.[a-z][A-Za-z0-9_]+)+$/);
  });

  it('names a document, says what it does in a sentence, and how it is done natively', () => {
    for (const op of OPERATIONS) {
      expect(referencesOf(op), op.id).not.toEqual([]);
      expect(op.does, op.id).toMatch(/^[A-Z].*[^.]\.$/);
      expect(op.native.what, op.id).not.toBe('');
      if (['instruction', 'msr', 'cpuid', 'device'].includes(op.native.by)) {
        expect(op.native.ref, op.id).toMatch(/\w/);
      }
    }
  });

  it('is in a vocabulary, a table of hooks or the requests, as its group says', () => {
    for (const op of OPERATIONS) {
      const inLinux = LINUX_VERSIONS.some((version) => linuxName(op, version));
      expect(inLinux, op.id).toBe(groupOf(op) !== 'request');
    }
  });

  it('that is gone says what took its place only if something of the catalogue or of Linux did', () => {
    for (const { id, replacedBy } of OPERATIONS) {
      const [, named] = /^([a-z]+\.[a-z_0-9.]+)/.exec(replacedBy ?? '') ?? [];
      if (named) expect(findOperation(named), `${id}: ${named}`).not.toBeNull();
    }
  });

  it('has a signature with units', () => {
    expect(signatureOf(findOperation('mmu.write_cr3')!)).toBe('(root gpa)');
    expect(signatureOf(findOperation('cpu.read_msr')!)).toBe('(msr index) → value');
    expect(signatureOf(findOperation('lock.spin_lock')!)).toBe('(lock)');
  });
});
