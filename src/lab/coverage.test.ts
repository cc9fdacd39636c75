// Coverage of the operations by interfaces, and what is made of it.

import { describe, expect, it } from 'vitest';
import { findInterface, type Manifest } from '../hypervisors/index.ts';
import { OPERATIONS } from '../ops/index.ts';
import { abilities, abilityText, changesBetween, commonGround, coverageOf } from './coverage.ts';
import { operationNamed } from './operations.ts';
import { RECORDED } from './recorded/seen.gen.ts';

const rowOf = (on: string, id: string) =>
  coverageOf(findInterface(on)).rows.find((row) => row.id === id)!;

describe('the coverage of an interface', () => {
  it('has a row for every operation', () => {
    for (const on of ['native', 'kvm', 'kvm@2.6.32']) {
      expect(coverageOf(findInterface(on)).rows.map(({ id }) => id)).toEqual(
        OPERATIONS.map(({ id }) => id),
      );
    }
  });

  it('on bare hardware is hardware, or nothing where nobody is to be told', () => {
    expect(rowOf('native', 'mmu.write_cr3')).toMatchObject({
      served: 'hardware',
      entryPoints: [{ name: 'MOV to CR3', by: 'instruction' }],
    });
    expect(rowOf('native', 'mmu.alloc_pte').served).toBe('nothing');
    expect(rowOf('native', 'cpu.io_delay').entryPoints[0]?.seen).toBe('exit');
  });

  it('follows the version', () => {
    expect(rowOf('kvm@2.6.32', 'mmu.set_pte')).toMatchObject({ served: 'own' });
    expect(rowOf('kvm@6.1', 'mmu.set_pte')).toMatchObject({ served: 'hardware' });
    expect(rowOf('kvm@6.1', 'lock.kick').entryPoints[0]?.name).toBe('KVM_HC_KICK_CPU');
    expect(rowOf('kvm@2.6.32', 'lock.kick').served).toBe('nothing');
  });

  it('tells what is not modelled from what serves in its place', () => {
    const row = rowOf('kvm', 'mmu.flush_tlb_others');
    expect(row.served).toBe('hardware');
    expect(row.entryPoints.map(({ status }) => status)).toEqual(['not modelled', undefined]);
  });

  it('lists the entry points that serve no operation', () => {
    const others = coverageOf(findInterface('kvm')).others.map(({ name }) => name);
    expect(others).toContain('KVM_HC_CLOCK_PAIRING');
    expect(coverageOf(findInterface('kvm@2.6.32')).others.map(({ name }) => name)).not.toContain(
      'KVM_HC_CLOCK_PAIRING',
    );
  });

  it('cannot be written for an operation that does not exist', () => {
    const manifest: Manifest = {
      operations: {
        // @ts-expect-error A misspelt id does not compile.
        'mmu.set_ptee': [],
      },
      others: [],
      rest: () => null,
    };
    expect(Object.keys(manifest.operations)).toHaveLength(1);
  });
});

describe('two coverages', () => {
  it('differ where versions gained or lost entry points, and nowhere else', () => {
    const older = coverageOf(findInterface('kvm@2.6.32'));
    const newer = coverageOf(findInterface('kvm@6.1'));
    const changed = changesBetween(older, newer).map(({ id }) => id);
    expect(changed).toContain('mmu.set_pte');
    expect(changed).toContain('lock.kick');
    expect(changed).not.toContain('cpu.io_delay');
    expect(changesBetween(older, older)).toEqual([]);
  });
});

describe('all interfaces together', () => {
  it('share what each of them does, and add up to what one ABI would have', () => {
    const { interfaces, shared, superset, entryPoints } = commonGround();
    expect(interfaces).toContain('native');
    expect(shared).toContain('time.sched_clock');
    expect(shared).not.toContain('mmu.alloc_pte');
    const clock = superset.find(({ id }) => id === 'time.sched_clock');
    expect(clock?.by['kvm@6.1']).toContain('MSR_KVM_SYSTEM_TIME_NEW');
    expect(entryPoints).toBeGreaterThan(10);
  });

  it('answer for one operation, each in each version', () => {
    const answers = new Map(
      abilities(operationNamed('mmu.set_pte')).map((a) => [a.interface, abilityText(a.row)]),
    );
    expect(answers.get('kvm@2.6.32')).toBe('yes: KVM_HC_MMU_OP.WRITE_PTE');
    expect(answers.get('kvm@6.1')).toBe('as hardware does: a store');
    expect(answers.get('native')).toBe('as hardware does: a store');
    const can = (id: string, on: string) => {
      const found = abilities(operationNamed(id)).find((ability) => ability.interface === on);
      return found && abilityText(found.row);
    };
    expect(can('cpu.wbinvd', 'xen-pv@4.17')).toBe('by emulation: WBINVD');
    expect(can('apic.icr_write', 'xen-pv@4.17')).toBe('no');
    expect(can('time.set_wallclock', 'xen-pv@4.17')).toBe('no: platform_op (refused)');
  });
});

describe('what kernels were seen to ask for', () => {
  it('is of interfaces and operations that there are, and stands in the coverage', () => {
    const ids = new Set<string>(OPERATIONS.map(({ id }) => id));
    for (const [on, operations] of Object.entries(RECORDED)) {
      expect(coverageOf(findInterface(on)).interface).toBe(on);
      expect(Object.keys(operations).filter((id) => !ids.has(id))).toEqual([]);
    }
    const row = coverageOf(findInterface('native')).rows.find(({ id }) => id === 'mmu.write_cr3');
    expect(row?.seenIn).toContain('debian:12/686');
  });
});
