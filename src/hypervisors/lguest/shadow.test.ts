// The shadow: what a guest has not reported does not count, what it has reported does, and what no guest may have ends it.

import { describe, expect, test } from 'vitest';
import { SWITCHER_ADDR } from './abi.ts';
import { PAGE_OFFSET } from './first-tables.ts';
import { firstTables, guest, MEMORY, runLguest } from './testing/lguest-guest.ts';

const { init, store, keepAt, call, gate, off, page, keep, field } = guest;
const X = page(0);
const Y = page(1);
/** Another directory entry than that of stack and results, with either kind of tables. */
const FAR = PAGE_OFFSET + 0x600000;
const MARKS: readonly [number, number][] = [
  [X, 0x1111],
  [Y, 0x2222],
];
const poke = MARKS.map(
  ([at, value]) => [at, [value & 0xff, value >> 8, 0, 0]] as [number, number[]],
);
const kinds = [
  { pae: false, tables: firstTables(false) },
  { pae: true, tables: firstTables(true) },
];

describe.each(kinds)('with tables, PAE $pae,', ({ pae, tables }) => {
  const { top, pteAt, directoryAt } = tables;
  const run = (program: string) => runLguest(`${init}; ${program}; ${off}`, { pae, poke });
  const remap = store(pteAt(X), Y | 7);

  test('an entry that was changed and not reported keeps its old translation', () => {
    const { results, why } = run(`${keepAt(X)}; ${remap}; ${keepAt(X)}`);
    expect(why).toContain('Power down');
    expect(results).toEqual([0x1111, 0x1111]);
  });

  test.each([
    ['SET_PTE of its address space', call('SET_PTE', top, X, 0, 0)],
    ['SET_PTE with the new entry', call('SET_PTE', top, X, Y | 0x27, 0)],
    ['FLUSH_TLB of user pages', call('FLUSH_TLB', 0)],
    ['FLUSH_TLB of everything', call('FLUSH_TLB', 1)],
    ['SET_PGD', call('SET_PGD', top, 0)],
  ])('the new translation counts after %s', (_, report) => {
    const { results, why } = run(`${keepAt(X)}; ${remap}; ${report}; ${keepAt(X)}`);
    expect(why).toContain('Power down');
    expect(results).toEqual([0x1111, 0x2222]);
  });

  test.each([
    ['NEW_PGTABLE', call('NEW_PGTABLE', top)],
    ['SET_PTE of an unknown address space', call('SET_PTE', top + 0x20, X, 0, 0)],
    ['SET_PTE of another page', call('SET_PTE', top, Y, 0, 0)],
    ['SET_PGD of an unknown table', call('SET_PGD', 0x5000, 0)],
    ['SET_PGD of another entry', call('SET_PGD', top, 1)],
    ['FLUSH_ASYNC', call('FLUSH_ASYNC')],
  ])('%s is no report of it', (_, other) => {
    const { results, why } = run(`${keepAt(X)}; ${remap}; ${other}; ${keepAt(X)}`);
    expect(why).toContain('Power down');
    expect(results).toEqual([0x1111, 0x1111]);
  });

  test('a kernel address is reported for every address space at once', () => {
    const high = PAGE_OFFSET + X;
    const report = call('SET_PTE', 0x7000, high, 0, 0);
    const { results } = run(`${keepAt(high)}; ${remap}; ${report}; ${keepAt(high)}; ${keepAt(X)}`);
    expect(results).toEqual([0x1111, 0x2222, 0x2222]);
  });

  test('an entry that becomes present needs no report', () => {
    const cleared = `${store(pteAt(X), 0)}; ${call('FLUSH_TLB', 1)}; ${remap}`;
    expect(run(`${cleared}; ${keepAt(X)}`).results).toEqual([0x2222]);
  });

  test('a read sets the accessed bit in the guest, the first write the dirty bit', () => {
    const fresh = `${store(pteAt(X), X | 7)}; ${call('SET_PTE', top, X, 0, 0)}`;
    const { results } = run(
      `${fresh}; mov eax, [${X}]; ${keepAt(pteAt(X))}; ${store(X, 5)}; ${keepAt(pteAt(X))}`,
    );
    expect(results).toEqual([X | 0x27, X | 0x67]);
  });

  test('the write bit binds ring 1, and the guest hears of the fault with its address in cr2', () => {
    const { results } = run(`
      ${gate(14, 'fault')}; ${store(pteAt(X), X | 5)}; ${call('SET_PTE', top, X, 0, 0)}
      mov eax, [${X}]; ${store(X, 1)}; ${keep('0xbad')}
      fault: pop eax; mov [ebp], eax; add ebp, 4; ${keepAt(field('cr2'))}`);
    expect(results).toEqual([3, X]);
  });

  test('a page that is not present is a fault of the guest', () => {
    const { results } = run(`
      ${gate(14, 'fault')}; mov eax, [${MEMORY + 0x100000}]; ${keep('0xbad')}
      fault: pop eax; mov [ebp], eax; add ebp, 4; ${keepAt(field('cr2'))}`);
    expect(results).toEqual([0, MEMORY + 0x100000]);
  });

  test('a frame beyond the device pages ends the guest', () => {
    const { why } = run(
      `${store(pteAt(X), (MEMORY + 0x100000) | 7)}; ${call('FLUSH_TLB', 1)}; ${keepAt(X)}`,
    );
    expect(why).toContain('bad page table entry 0x1100007');
    expect(
      run(`${store(pteAt(X), MEMORY | 7)}; ${call('FLUSH_TLB', 1)}; ${keepAt(X)}`).why,
    ).toContain('Power down');
  });

  test('a large page ends the guest, in a directory and in a leaf', () => {
    const leaf = run(`${store(pteAt(X), X | 0x87)}; ${call('FLUSH_TLB', 1)}; ${keepAt(X)}`);
    expect(leaf.why).toContain('bad page table entry');
    const upper = run(`${store(directoryAt(X), 0x87)}; ${call('FLUSH_TLB', 1)}; ${keepAt(X)}`);
    expect(upper.why).toMatch(/bad (top|middle)-level page table entry 0x87/);
  });

  test('a directory that forbids writing binds, too', () => {
    const { results } = run(
      `
      ${gate(14, 'fault')}; and dword ptr [${directoryAt(FAR)}], 0xfffffffd
      ${call('FLUSH_TLB', 1)}; mov eax, [${FAR}]; ${store(FAR, 1)}; ${keep('0xbad')}
      fault: pop eax; mov [ebp], eax; add ebp, 4`,
    );
    expect(results).toEqual([3]);
  });

  test('an upper entry that allows more than before, unreported, faults without end: the guest is ended', () => {
    const { why } = run(`
      and dword ptr [${directoryAt(FAR)}], 0xfffffffd; ${call('FLUSH_TLB', 1)}
      mov eax, [${FAR}]; or dword ptr [${directoryAt(FAR)}], 2; ${store(FAR, 1)}`);
    expect(why).toContain('page fault without end');
  });

  test("the top of the address space is the host's: faults are the guest's until its own tables map it", () => {
    const top0 = SWITCHER_ADDR[pae ? 'pae' : 'plain'];
    const faults = run(
      `${gate(14, 'fault')}; mov eax, [${top0}]; ${keep('0xbad')}; fault: ${keep('1')}`,
    );
    expect(faults.results).toEqual([1]);
    const mapped = run(`${store(directoryAt(top0), X | 7)}; mov eax, [${top0 + 0x3000}]`);
    expect(mapped.why).toContain('attempt to access switcher pages');
  });

  test('the guest reads the table of descriptors there, and cannot write it', () => {
    const at = SWITCHER_ADDR[pae ? 'pae' : 'plain'] + 0x1000 + 12 * 8;
    const { results } = run(`
      ${gate(14, 'fault')}; ${keepAt(at + 4)}; ${store(at, 0)}; ${keep('0xbad')}; fault: ${keep('1')}`);
    expect(results).toEqual([0x00cfbb00, 1]);
  });

  test('what an address space had when it was left still counts when it comes back', () => {
    // A copy of the top-level table is another address space.
    const copy = page(8);
    const words = pae ? 8 : 1024;
    const copyTop = `mov esi, ${top}; mov edi, ${copy}; mov ecx, ${words}; cld; rep movsd`;
    const { results } = run(`
      ${copyTop}; ${keepAt(X)}; ${call('NEW_PGTABLE', copy)}; ${remap}; ${keepAt(X)}
      ${call('NEW_PGTABLE', top)}; ${keepAt(X)}`);
    expect(results).toEqual([0x1111, 0x2222, 0x1111]);
  });

  test('four address spaces are kept, and a fifth takes the place of one', () => {
    const words = pae ? 8 : 1024;
    const spaces = [8, 9, 10, 11, 12, 13].map((n) => page(n));
    const make = spaces.map(
      (at) => `mov esi, ${top}; mov edi, ${at}; mov ecx, ${words}; cld; rep movsd`,
    );
    const visit = (at: number) => `${call('NEW_PGTABLE', at)}; ${keepAt(X)}`;
    const { results, why } = run(
      `${make.join(';')}; ${keepAt(X)}; ${spaces.map(visit).join(';')}; ${remap}; ${[top, ...spaces].map(visit).join(';')}`,
    );
    expect(why).toContain('Power down');
    const after = results.slice(7);
    expect(after.filter((word) => word === 0x1111).length).toBeGreaterThan(0);
    expect(after.filter((word) => word === 0x2222).length).toBeGreaterThanOrEqual(3);
  });
});

test('SET_PMD is a call of PAE kernels, and forgets everything', () => {
  const { top, pteAt } = firstTables(true);
  const report = call('SET_PMD', top, 0);
  const changed = `${init}; ${keepAt(X)}; ${store(pteAt(X), Y | 7)}; ${report}; ${keepAt(X)}; ${off}`;
  expect(runLguest(changed, { pae: true, poke }).results).toEqual([0x1111, 0x2222]);
  expect(runLguest(`${init}; ${report}`).why).toContain('Bad hypercall 13');
});

test('entries beyond 4 GiB end a PAE guest', () => {
  const { pteAt } = firstTables(true);
  const { why } = runLguest(
    `${init}; ${store(pteAt(X) + 4, 1)}; ${call('FLUSH_TLB', 1)}; ${keepAt(X)}`,
    { pae: true },
  );
  expect(why).toContain('bad page table entry 0x1002');
});

test.each(['interpreter', 'jit'] as const)('the %s sees the stale translation, too', (engine) => {
  const { pteAt, top } = firstTables(false);
  const { results } = runLguest(
    `${init}; ${keepAt(X)}; ${store(pteAt(X), Y | 7)}; ${keepAt(X)}; ${call('SET_PTE', top, X, 0)}; ${keepAt(X)}; ${off}`,
    { poke, engine },
  );
  expect(results).toEqual([0x1111, 0x1111, 0x2222]);
});
