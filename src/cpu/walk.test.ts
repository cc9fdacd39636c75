// Page walks in every paging mode: addresses, error codes, accessed and dirty flags.

import { describe, expect, it } from 'vitest';
import {
  CR0_WP,
  CR4_PGE,
  CR4_SMAP,
  CR4_SMEP,
  EFER_LMA,
  EFER_LME,
  EFLAGS_AC,
} from './control-bits.ts';
import {
  A,
  D,
  enablePaging,
  entryAt,
  entryOf,
  map,
  P,
  type Paging,
  PS,
  U,
  W,
  XD,
} from './testing/page-tables.ts';
import { type SmallMachine, smallMachine } from './testing/small-machine.ts';

const MODES: readonly Paging[] = ['32-bit', 'pae', '4-level'];
const VA = 0x402000;
const FRAME = 0x30000n;

type Access = 'read' | 'write' | 'fetch';

function machine(paging: Paging, leaf: bigint, cpl = 0): SmallMachine {
  const m = smallMachine();
  enablePaging(m, paging);
  map(m, paging, VA, leaf);
  m.state.set('cpl', cpl);
  m.cx.modeChanged();
  return m;
}

/** The guest-physical address, or the fault. */
function access(m: SmallMachine, kind: Access, va = VA): number | string {
  if (kind === 'fetch') {
    const gpa = m.mmu.fetch(va);
    return gpa < 0 ? m.fault() : gpa;
  }
  const at = kind === 'read' ? m.mmu.loadSlow(va, 1, 0) : m.mmu.rmwSlow(va, 1, 0);
  return at === 0 ? m.fault() : at - m.layout.ramBase;
}

describe.each(MODES)('%s paging', (paging) => {
  it('finds the frame and the byte in it', () => {
    const m = machine(paging, FRAME | P | W);
    expect(access(m, 'read', VA + 0x123)).toBe(0x30123);
    expect(access(m, 'fetch', VA + 0x124)).toBe(0x30124);
  });

  it('sets accessed flags on a read and the dirty flag on a write only', () => {
    const m = machine(paging, FRAME | P | W);
    const depth = paging === '32-bit' ? 1 : paging === 'pae' ? 2 : 3;
    const leaf = entryAt(paging, VA, depth);
    access(m, 'read');
    expect(entryOf(m, paging, leaf)).toBe(FRAME | P | W | A);
    expect(entryOf(m, paging, entryAt(paging, VA, depth - 1)) & (A | D)).toBe(A);
    access(m, 'write');
    expect(entryOf(m, paging, leaf)).toBe(FRAME | P | W | A | D);
  });

  it('leaves the entries alone when the access is refused', () => {
    const m = machine(paging, FRAME | P, 3);
    expect(access(m, 'read')).toBe('#14(5)');
    const depth = paging === '32-bit' ? 1 : paging === 'pae' ? 2 : 3;
    expect(entryOf(m, paging, entryAt(paging, VA, depth))).toBe(FRAME | P);
  });

  it.each([
    ['read', 0, 0n, '#14(0)'],
    ['write', 0, 0n, '#14(2)'],
    ['read', 3, 0n, '#14(4)'],
    ['write', 3, 0n, '#14(6)'],
    ['write', 0, P, '#14(3)'],
    ['write', 3, P | U, '#14(7)'],
    ['read', 3, P | W, '#14(5)'],
    ['write', 3, P | W, '#14(7)'],
  ] as const)('a %s at CPL %i of an entry %i raises %s', (kind, cpl, rights, fault) => {
    const m = machine(paging, FRAME | rights, cpl);
    expect(access(m, kind)).toBe(fault);
    expect(m.state.getVa('faultAddress')).toBe(VA);
  });

  it('lets ring 0 write read-only pages when WP is clear', () => {
    const m = machine(paging, FRAME | P);
    m.state.set('cr0', m.state.get('cr0') & ~CR0_WP);
    expect(access(m, 'write')).toBe(0x30000);
  });

  it('keeps ring 0 from user pages under SMAP unless AC is set', () => {
    const m = machine(paging, FRAME | P | W | U);
    m.state.set('cr4', m.state.get('cr4') | CR4_SMAP);
    m.cx.modeChanged();
    expect(access(m, 'read')).toBe('#14(1)');
    expect(access(m, 'write')).toBe('#14(3)');
    m.state.set('eflags', 2 | EFLAGS_AC);
    m.cx.modeChanged();
    expect(access(m, 'read')).toBe(0x30000);
  });

  it('obeys SMAP for system accesses even with AC', () => {
    const m = machine(paging, FRAME | P | W | U);
    m.state.set('cr4', m.state.get('cr4') | CR4_SMAP);
    m.state.set('eflags', 2 | EFLAGS_AC);
    m.cx.modeChanged();
    expect(m.mmu.read(VA, 8, 'system')).toBe(false);
    expect(m.fault()).toBe('#14(1)');
    expect(m.mmu.read(VA, 8, 'current')).toBe(true);
  });

  it('keeps ring 0 from running user pages under SMEP', () => {
    const m = machine(paging, FRAME | P | U);
    m.state.set('cr4', m.state.get('cr4') | CR4_SMEP);
    expect(access(m, 'fetch')).toBe('#14(17)');
  });
});

describe('tables with 64-bit entries', () => {
  it.each(['pae', '4-level'] as const)('%s: refuses to run pages with XD', (paging) => {
    const m = machine(paging, FRAME | P | XD);
    expect(access(m, 'read')).toBe(0x30000);
    expect(access(m, 'fetch')).toBe('#14(17)');
  });

  it.each(['pae', '4-level'] as const)('%s: XD is reserved without NXE', (paging) => {
    const m = machine(paging, FRAME | P | XD);
    m.state.set('efer', paging === 'pae' ? 0 : EFER_LME | EFER_LMA);
    expect(access(m, 'read')).toBe('#14(9)');
  });

  it.each(['pae', '4-level'] as const)('%s: addresses above 40 bits are reserved', (paging) => {
    const m = machine(paging, FRAME | P | (1n << 40n), 3);
    expect(access(m, 'write')).toBe('#14(15)');
  });

  it.each(['pae', '4-level'] as const)('%s: maps 2 MiB at once, bits 13..20 reserved', (paging) => {
    const m = smallMachine(4 << 20);
    enablePaging(m, paging);
    const depth = paging === 'pae' ? 1 : 2;
    map(m, paging, VA, 0x200000n | P | PS, depth);
    expect(access(m, 'read', VA + 0x456)).toBe(0x202456);
    m.mmu.flushAll();
    map(m, paging, VA, 0x202000n | P | PS, depth);
    expect(access(m, 'read')).toBe('#14(9)');
  });

  it('maps 1 GiB at once in 4-level tables only', () => {
    const m = smallMachine();
    enablePaging(m, '4-level');
    map(m, '4-level', VA, P | PS, 1);
    expect(access(m, 'read', 0x23456)).toBe(0x23456);
    map(m, '4-level', VA, P | PS | 0x2000n, 1);
    m.mmu.flushAll();
    expect(access(m, 'read')).toBe('#14(9)');
  });

  it('refuses a large page in the root of 4-level tables', () => {
    const m = smallMachine();
    enablePaging(m, '4-level');
    map(m, '4-level', VA, P | PS, 0);
    expect(access(m, 'read')).toBe('#14(9)');
  });

  it('reserves most bits of a PAE page-directory pointer', () => {
    const m = machine('pae', FRAME | P);
    m.write64(entryAt('pae', VA, 0), 0x11000n | P | W);
    expect(access(m, 'read')).toBe('#14(9)');
  });

  it('reaches the upper half of the address space', () => {
    const m = smallMachine();
    enablePaging(m, '4-level');
    map(m, '4-level', -0x7ffff000, FRAME | P | W);
    expect(access(m, 'write', -0x7ffff000 + 8)).toBe(0x30008);
  });

  it.each([
    [2 ** 47, 1],
    [2 ** 47 - 4, 8],
    [-(2 ** 47) - 8, 8],
  ])('an access to the non-canonical %d raises #GP, or #SS for the stack', (va, bytes) => {
    const m = smallMachine();
    enablePaging(m, '4-level');
    expect(m.mmu.loadSlow(va, bytes, 0)).toBe(0);
    expect(m.fault()).toBe('#13(0)');
    m.mmu.storeSlow(va, bytes, 1);
    expect(m.fault()).toBe('#12(0)');
  });
});

describe('32-bit tables', () => {
  it('map 4 MiB at once, with PSE only, and bit 21 reserved', () => {
    const m = smallMachine(8 << 20);
    enablePaging(m, '32-bit');
    map(m, '32-bit', VA, 0x400000n | P | PS, 0);
    expect(access(m, 'read', VA + 0x100000)).toBe(0x502000);
    m.mmu.flushAll();
    map(m, '32-bit', VA, 0x600000n | P | PS, 0);
    expect(access(m, 'read')).toBe('#14(9)');
  });

  it('never report an instruction fetch, since they cannot refuse one', () => {
    const m = machine('32-bit', 0n);
    expect(access(m, 'fetch')).toBe('#14(0)');
  });
});

describe('without paging', () => {
  it('linear addresses are physical', () => {
    const m = smallMachine();
    expect(access(m, 'write', 0x1234)).toBe(0x1234);
  });
});

describe('global pages', () => {
  it('stay through a flush of the others, only with PGE', () => {
    for (const [pge, stays] of [
      [CR4_PGE, true],
      [0, false],
    ] as const) {
      const m = machine('4-level', FRAME | P | 0x100n);
      m.state.set('cr4', m.state.get('cr4') | pge);
      access(m, 'read');
      m.write64(entryAt('4-level', VA, 3), 0n);
      m.mmu.flushNonGlobal();
      expect(access(m, 'read') === 0x30000).toBe(stays);
    }
  });
});
