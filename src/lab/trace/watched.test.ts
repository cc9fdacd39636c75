// Page-table stores of guests on hardware paging: seen while a frame is a table, and only when they are asked for.

import { describe, expect, it } from 'vitest';
import { findInterface } from '../../hypervisors/index.ts';
import { runKernel } from '../run.ts';
import { CLI_LOOP, KeepingConsole, printing, stillHost, tinySpec } from '../testing/tiny-kernel.ts';
import { type TraceEvent, Tracer } from './tracer.ts';

const word = (value: number) => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
/** mov dword [address], value */
const store = (address: number, value: number) => [0xc7, 0x05, ...word(address), ...word(value)];
/** The table at `at` maps the first 4 MiB to themselves: entries of 4 bytes, or of 8 for the first 2. */
const identity = (at: number, entryBytes: 4 | 8) => [
  ...[0xbf, ...word(at)], // mov edi, at
  ...[0xb8, ...word(3)], // mov eax, 3
  ...[0xb9, ...word(4096 / entryBytes)], // mov ecx, entries
  ...[0x89, 0x07, 0x05, ...word(0x1000)], // mov [edi], eax; add eax, 4096
  ...[0x83, 0xc7, entryBytes, 0x49, 0x75, 0xf3], // add edi, entryBytes; dec ecx; jnz
];
const loadCr3 = (root: number) => [0xb8, ...word(root), 0x0f, 0x22, 0xd8];
const PAE = [0x0f, 0x20, 0xe0, 0x83, 0xc8, 0x20, 0x0f, 0x22, 0xe0]; // mov eax, cr4; or eax, 32; mov cr4, eax
const PAGING = [0x0f, 0x20, 0xc0, 0x0d, ...word(0x80000000), 0x0f, 0x22, 0xc0];
const END = [...printing('INIT-UP\n'), ...CLI_LOOP];

async function watched(code: readonly number[], operations: readonly string[] | null) {
  const spec = tinySpec([...code, ...END], { on: findInterface('native') });
  const events: TraceEvent[] = [];
  const tracer = new Tracer(spec.on.interface.ops, '', {
    operations: operations && (new Set(operations) as never),
    onEvent: (event) => events.push(event),
  });
  const result = await runKernel(stillHost, new KeepingConsole(), spec, { tracer });
  const plain = await runKernel(stillHost, new KeepingConsole(), spec);
  expect(result.verdict).toBe('up');
  expect(result.stateHash).toBe(plain.stateHash);
  return events
    .filter(({ entryPoint }) => entryPoint.startsWith('store to'))
    .map(({ operations: [id], args }) => [id, args.entry, args.value]);
}
const STORES = ['mmu.set_pte', 'mmu.pte_clear', 'mmu.set_pmd', 'mmu.pmd_clear', 'mmu.set_pud'];

describe('stores to page tables', () => {
  const tables = [...identity(0x3000, 4), ...store(0x2000, 0x3003), ...loadCr3(0x2000), ...PAGING];
  const changes = [
    ...store(0x3ffc, 0x5003),
    ...store(0x2004, 0x4003),
    ...store(0x4000, 0x6003),
    ...store(0x2004, 0),
    ...store(0x4000, 0x7003), // No table any more.
    ...store(0x3ffc, 0),
  ];

  it('are operations from the moment at which the frame becomes a table, until it is none', async () => {
    expect(await watched([...tables, ...changes], STORES)).toEqual([
      ['mmu.set_pte', 0x3ffc, '0x5003'],
      ['mmu.set_pmd', 0x2004, '0x4003'],
      ['mmu.set_pte', 0x4000, '0x6003'],
      ['mmu.pmd_clear', 0x2004, '0x0'],
      ['mmu.pte_clear', 0x3ffc, '0x0'],
    ]);
  });

  it('of 64-bit entries in two halves are one operation each, by the half that has the present bit', async () => {
    const code = [
      ...[...identity(0x3000, 8), ...store(0x2000, 0x3003), ...store(0x5020, 0x2001)],
      ...[...PAE, ...loadCr3(0x5020), ...PAGING],
      ...[...store(0x3ffc, 0), ...store(0x3ff8, 0x9003), ...store(0x2008, 0x4003)],
      ...store(0x5000, 0x4001), // Not of the four entries that CR3 names.
    ];
    expect(await watched(code, STORES)).toEqual([
      ['mmu.set_pte', 0x3ff8, '0x9003'],
      ['mmu.set_pmd', 0x2008, '0x4003'],
    ]);
  });

  it('are not looked for by who did not ask', async () => {
    expect(await watched([...tables, ...changes], ['cpu.cpuid'])).toEqual([]);
    expect(await watched([...tables, ...changes], null)).toEqual([]);
  });

  it('of a root that is loaded anew go on to be seen', async () => {
    const second = [...store(0x6000, 0x3003), ...loadCr3(0x6000), ...loadCr3(0x2000)];
    const code = [...tables, ...second, ...store(0x6004, 0x4003), ...store(0x4000, 0x8003)];
    expect(await watched(code, STORES)).toEqual([
      ['mmu.set_pmd', 0x6004, '0x4003'],
      ['mmu.set_pte', 0x4000, '0x8003'],
    ]);
  });
});
