// Calls one by one: what each does, what ends the guest, and the asynchronous ring.

import { describe, expect, test } from 'vitest';
import { LHCALL } from './abi.ts';
import { LGUEST_CALLS } from './calls.ts';
import { firstTables, guest, MEMORY, runLguest } from './testing/lguest-guest.ts';

const { init, store, keepAt, keep, call, gate, off, page, field, print } = guest;

test('every number of the header has its call', () => {
  expect([...LGUEST_CALLS.keys()].toSorted((a, b) => a - b)).toEqual(Object.values(LHCALL));
});

describe('the guest is ended, with a sentence that names the reason, by', () => {
  test.each([
    ['a call before LGUEST_INIT', call('FLUSH_TLB', 1), 'hypercall 5 before INIT'],
    ['a second LGUEST_INIT', `${init}; ${init}`, 'already have lguest_data'],
    ['LGUEST_INIT beyond memory', call('LGUEST_INIT', MEMORY + 0x100000 - 4), 'bad guest page'],
    ['a number that is no call', `${init}; ${call(3)}`, 'Bad hypercall 3'],
    ['a number beyond all', `${init}; ${call(99)}`, 'Bad hypercall 99'],
    [
      'a gate beyond the table',
      `${init}; ${call('LOAD_IDT_ENTRY', 256, 0, 0x8e00)}`,
      'Setting idt entry 256',
    ],
    [
      'a gate of another type',
      `${init}; ${call('LOAD_IDT_ENTRY', 5, 0, 0x8500)}`,
      'bad IDT type 5',
    ],
    [
      'a descriptor beyond the table',
      `${init}; ${call('LOAD_GDT_ENTRY', 32, 0, 0)}`,
      'too many gdt entries 32',
    ],
    [
      'a stack of another ring',
      `${init}; ${call('SET_STACK', 0x68, page(1), 1)}`,
      'bad stack segment 104',
    ],
    [
      'a stack of three pages',
      `${init}; ${call('SET_STACK', 0x69, page(4), 3)}`,
      'bad stack pages 3',
    ],
    [
      'a stack that is not mapped',
      `${init}; ${call('SET_STACK', 0x69, 0xa0000000, 1)}`,
      'bad stack page 0x9fffffff',
    ],
    ['text beyond memory', `${init}; ${call('NOTIFY', 0x40000000)}`, 'Bad NOTIFY 0x40000000'],
    [
      'TLS descriptors beyond memory',
      `${init}; ${call('LOAD_TLS', 0x7ffffff8)}`,
      'bad read address',
    ],
    [
      'a top-level table beyond memory',
      `${init}; ${call('NEW_PGTABLE', 0x50000000)}; nop`,
      'bad read address',
    ],
  ])('%s', (_, program, why) => {
    const run = runLguest(`${program}; ${keep('1')}`, { budget: 1000 });
    expect(run.stop).toBe('ended');
    expect(run.why).toContain('lguest has ended its guest');
    expect(run.why).toContain(why);
    expect(run.results).toEqual([]);
  });

  test.each([
    ['a system call vector of its own', { syscall_vec: 0x81 }, 'bad syscall vector 0x81'],
    [
      'a kernel that begins where the host does',
      { kernel_address: 0xffc00000 },
      'bad kernel address',
    ],
  ])('%s', (_, data, why) => {
    expect(runLguest(init, { data, budget: 100 }).why).toContain(why);
  });
});

test.each([
  [2, false],
  [8, false],
  [15, false],
  [0x1f, false],
  [5, true],
])('a gate for vector %i is taken: %s', (vector, taken) => {
  const { why } = runLguest(`
    ${init}; ${call('LOAD_IDT_ENTRY', vector, 0, 0x8500)}; ${call('FLUSH_ASYNC')}; ${off}`);
  expect(why).toContain(taken ? 'bad IDT type' : 'Power down');
});

test('LGUEST_INIT tells the guest what it has to know', () => {
  const fields = ['reserve_mem', 'tsc_khz', 'pgdir', 'irq_pending'] as const;
  const told = (pae: boolean) =>
    runLguest(`${init}; ${fields.map((name) => keepAt(field(name))).join(';')}; ${off}`, { pae })
      .results;
  expect(told(false)).toEqual([4 << 20, 1_000_000, firstTables(false).top, 0]);
  expect(told(true)).toEqual([2 << 20, 1_000_000, firstTables(true).top, 0]);
});

describe('the asynchronous ring', () => {
  const slot = (n: number) => field('hcalls') + 20 * n;
  const put = (n: number, number: number, ...args: number[]) =>
    [
      ...[number, ...args].map((word, m) => store(slot(n) + 4 * m, word)),
      `mov byte ptr [${field('hcall_status') + n}], 0`,
    ].join('; ');
  const textAt = (n: number) => page(n);
  const poke = [
    [page(0), [0x61, 0]],
    [page(1), [0x62, 0]],
    [page(2), [0x63, 0]],
  ] as [number, number[]][];

  test('is emptied in order before the call that is made directly', () => {
    const run = runLguest(
      `
      ${init}; ${put(0, LHCALL.NOTIFY, textAt(0))}; ${put(1, LHCALL.NOTIFY, textAt(1))}; ${call('NOTIFY', textAt(2))}
      ${keepAt(field('hcall_status'))}; ${off}`,
      { poke },
    );
    expect(run.output).toBe('abc');
    expect(run.results).toEqual([0xffffffff]);
  });

  test('goes on where it was, round its end', () => {
    const rounds = Array.from(
      { length: 66 },
      (_, n) => `${put(n % 64, LHCALL.NOTIFY, textAt(n % 3))}; ${call('FLUSH_ASYNC')}`,
    );
    expect(runLguest(`${init}; ${rounds.join(';')}; ${off}`, { poke }).output).toBe(
      'abc'.repeat(22),
    );
  });

  test('waits for a call: neither a trap nor an interrupt empties it', () => {
    const run = runLguest(
      `
      ${init}; ${gate(6, 'handler')}; ${put(0, LHCALL.NOTIFY, textAt(0))}; ud2
      handler: ${keepAt(field('hcall_status'))}; ${call('NOTIFY', textAt(1))}; ${off}`,
      { poke },
    );
    expect(run.results).toEqual([0xffffff00]);
    expect(run.output).toBe('ab');
  });

  test('of calls that end the guest stops there', () => {
    const run = runLguest(
      `${init}; ${put(0, 77)}; ${put(1, LHCALL.NOTIFY, textAt(1))}; ${call('NOTIFY', textAt(2))}`,
      { poke },
    );
    expect(run.why).toContain('Bad hypercall 77');
    expect(run.output).toBe('');
  });
});

describe('descriptors', () => {
  test("of ring 0 become ring 1's and accessed", () => {
    const { results } = runLguest(`
      ${init}; ${call('LOAD_GDT_ENTRY', 28, 0x12340fff, 0x00409200)}; mov eax, 0xe0; mov gs, ax
      lar ecx, ax; ${keep('ecx')}; lsl ecx, ax; ${keep('ecx')}; ${off}`);
    expect(results).toEqual([0x40b300, 0xfff]);
  });

  test('of threads are copied to entries 6 to 8, and reach through their base', () => {
    const { results } = runLguest(`
      ${init}; ${store(page(0), (page(1) << 16) | 0xffff)}; ${store(page(0) + 4, 0x00cff200 | (page(1) >>> 16))}
      ${store(page(1), 0x777)}; ${call('LOAD_TLS', page(0), 0)}; mov eax, 0x33; mov gs, ax; mov ebx, gs:[0]
      ${keep('ebx')}; ${off}`);
    expect(results).toEqual([0x777]);
  });

  test.each([
    ['a call gate', 0xec00],
    ['a task state segment', 0x8900],
    ['a task gate', 0xe500],
    ['an LDT', 0x8200],
  ])('that are %s lead nowhere', (_, hi) => {
    const { results } = runLguest(`
      ${init}; ${gate(13, 'handler')}; ${call('LOAD_GDT_ENTRY', 20, 0x600000, hi)}; bytes 9a 00 00 00 00 a1 00
      ${keep('0xbad')}; handler: pop eax; ${keep('eax')}; mov eax, cs; ${keep('eax')}; ${off}`);
    expect(results).toEqual([0xa0, 0x61]);
  });

  test("of the host are not the guest's to change", () => {
    const { results } = runLguest(`
      ${init}; ${[10, 11, 16, 31].map((n) => call('LOAD_GDT_ENTRY', n, 0xffff, 0x00cf9300)).join(';')}
      ${[10, 11, 16, 31].map((n) => `xor ecx, ecx; mov eax, ${n * 8}; lar ecx, ax; ${keep('ecx')}`).join(';')}; ${off}`);
    expect(results).toEqual([0, 0, 0, 0]);
  });

  test('of the kernel that it has spoilt end the guest at the next trap', () => {
    const { why } = runLguest(
      `${init}; ${gate(6, 'handler')}; ${call('LOAD_GDT_ENTRY', 12, 0, 0)}; ud2; handler: ${off}`,
    );
    expect(why).toContain('bad code segment 0x61');
  });
});

describe('SHUTDOWN', () => {
  const end = (text: string, how: number) =>
    runLguest(
      `${init}; lea ebx, [text]; mov ecx, ${how}; mov eax, ${LHCALL.SHUTDOWN}; vmcall; text: "${text}"`,
    );
  test('with the text of power-off switches the machine off', () => {
    expect(end('Power down', 1)).toMatchObject({ stop: 'off' });
  });
  test('with another text is a panic of the guest, in its own words', () => {
    expect(end('VFS: Unable to mount root fs', 1)).toMatchObject({
      stop: 'crashed',
      why: 'the guest says CRASH: VFS: Unable to mount root fs',
    });
  });
  test('for a restart resets the machine, with no reason at all, too', () => {
    expect(end('again', 2)).toMatchObject({ stop: 'reset' });
    const none = runLguest(`${init}; ${call('SHUTDOWN', 0x40000000, 2)}`);
    expect(none.stop).toBe('reset');
  });
});

test('a trace has the calls with their arguments', () => {
  const { seen } = runLguest(
    `${init}; ${call('SET_PTE', 0x1000, 0xc0000000, 7)}; ${print('text')}; ${off}; text: "x"`,
  );
  expect(seen[0]?.[0]).toBe('LHCALL_LGUEST_INIT');
  expect(seen[1]).toEqual([
    'LHCALL_SET_PTE',
    { top: 0x1000, va: 0xc0000000, lo: 7, hi: expect.any(Number) },
  ]);
  expect(seen[2]?.[0]).toBe('LHCALL_NOTIFY');
});
