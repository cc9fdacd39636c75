// Operations by what users type.

import { describe, expect, it } from 'vitest';
import { chosenOperations, operationFacts, operationNamed, operationsLike } from './operations.ts';

function refusal(act: () => unknown) {
  try {
    act();
  } catch (error) {
    return error as { code: string; hint: string };
  }
  return null;
}

describe('an operation', () => {
  it('is found by its id, and known with its names, mechanism and references', () => {
    expect(operationFacts(operationNamed('mmu.write_cr3'))).toMatchObject({
      group: 'mmu',
      class: 'hardware',
      signature: '(root gpa)',
      native: 'MOV to CR3',
      lazy: 'cpu',
      linux: { '2.6.21': 'paravirt_ops.write_cr3', '6.1': 'pv_ops.mmu.write_cr3' },
      references: expect.arrayContaining(['SDM 3A 4.10.4.1']),
    });
  });

  it('that is misspelt is answered with the nearest', () => {
    expect(refusal(() => operationNamed('mmu.set_ptee'))?.hint).toContain("'mmu.set_pte'");
    expect(refusal(() => operationNamed('set_pte'))?.hint).toContain("'mmu.set_pte'");
    expect(refusal(() => operationNamed('zzz'))?.hint).toBe('see them all with: pvops ops');
  });

  it('can be named by patterns, in the order of the catalogue', () => {
    expect(operationsLike('mmu.write_*, irq.halt').map(({ id }) => id)).toEqual([
      'irq.halt',
      'mmu.write_cr2',
      'mmu.write_cr3',
    ]);
    expect(operationsLike('*').length).toBe(chosenOperations(null).length);
    expect(refusal(() => operationsLike('mmu.*,nothing.*'))?.code).toBe('ops/unknown-operation');
    expect(refusal(() => operationsLike('mmu.(a'))?.code).toBe('ops/unknown-operation');
  });

  it('by a pattern of a thousand stars is refused in no time', () => {
    expect(refusal(() => operationsLike(`${'*a'.repeat(1000)}!`))?.code).toBe(
      'ops/unknown-operation',
    );
  });
});

describe('a vocabulary', () => {
  it('is chosen by its version, and an unknown one is refused', () => {
    expect(chosenOperations('2.6.32')).toHaveLength(104);
    expect(refusal(() => chosenOperations('2.4'))?.hint).toContain('2.6.32');
  });
});
