// What a kernel of 2.6.32 does on its way up, step by step and in its order, as small programs (docs/hypervisors/lguest.md).

import { describe, expect, test } from 'vitest';
import { LHCALL } from './abi.ts';
import { PAGE_OFFSET } from './first-tables.ts';
import { firstTables, guest, MEMORY, runLguest } from './testing/lguest-guest.ts';

const { init, store, keep, keepAt, call, gate, off, page, field, print } = guest;
const high = (gpa: number) => PAGE_OFFSET + gpa;
/** The fixmap lies under what the host keeps at the top. */
const FIXMAP = { plain: 0xffbff000, pae: 0xffdff000 } as const;
const TIMER = 32;

describe.each([{ pae: false }, { pae: true }])('with tables, PAE $pae,', ({ pae }) => {
  const tables = firstTables(pae);
  const entryBytes = pae ? 8 : 4;
  const perTable = 4096 / entryBytes;
  const fixmap = FIXMAP[pae ? 'pae' : 'plain'];
  const slot = (va: number) => page(16) + ((va >>> 12) % perTable) * entryBytes;
  /** early_ioremap_init: a table for the early fixmap, put into the launcher's directory through the linear map. */
  const earlyIoremap = `
    mov eax, [${field('pgdir')}]; ${keep('eax')}
    ${store(high(tables.directoryAt(fixmap)), page(16) | 0x67)}
    ${pae ? call('SET_PMD', tables.directoryAt(fixmap) & ~0xfff, (fixmap >>> 21) & 511) : call('SET_PGD', tables.top, fixmap >>> 22)}`;

  test("early_ioremap_init installs a table in the launcher's directory, and the early fixmap reads what it maps", () => {
    const { results, why } = runLguest(
      `${init}; jmp high; high: ${earlyIoremap}
       ${store(high(slot(fixmap)), 0xf0000 | 0x163)}; ${call('SET_PTE', tables.top, fixmap, 0, 0)}; ${keepAt(fixmap)}
       ${store(high(slot(fixmap)), page(1) | 0x163)}; ${call('SET_PTE', tables.top, fixmap, 0, 0)}; ${keepAt(fixmap)}
       ${store(high(slot(fixmap)), 0)}; ${call('SET_PTE', tables.top, fixmap, 0, 0)}; ${gate(14, 'gone')}; mov eax, [${fixmap}]
       ${keep('0xbad')}; gone: ${keepAt(field('cr2'))}; ${off}`,
      {
        pae,
        poke: [
          [0xf0000, [0x5f, 0x44, 0x4d, 0x49]],
          [page(1), [1, 0, 0, 0]],
        ],
      },
    );
    expect(why).toContain('Power down');
    expect(results).toEqual([tables.top, 0x494d445f, 1, fixmap]);
  });

  test('the kernel builds its own tables in silence, then switches to them and has everything forgotten', () => {
    const [top, directory, table] = [page(8), page(9), page(10)];
    // The first 4 MiB (2 MiB) at PAGE_OFFSET, by tables that the host does not know yet.
    const built = [
      `mov edi, ${high(table)}; mov eax, 0x63; mov ecx, ${perTable}`,
      `fill: mov [edi], eax; add edi, ${entryBytes}; add eax, 4096; dec ecx; jnz fill`,
      ...(pae
        ? [
            store(high(directory), table | 0x67),
            // Where its data, its stack and its results lie.
            `mov eax, [${high(tables.directoryAt(0x200000))}]; mov [${high(directory + 8)}], eax`,
            call('SET_PMD', directory, 0),
            store(high(top + 24), directory | 1),
            call('SET_PGD', top, 3),
          ]
        : [store(high(top + 4 * 768), table | 0x67), call('SET_PGD', top, 768)]),
    ];
    const { results, why } = runLguest(
      `${init}; lea eax, [high]; add eax, ${PAGE_OFFSET}; jmp eax
       high: add ebp, ${PAGE_OFFSET}; ${built.join('\n')}; ${gate(14, 'fault')}
       mov dword ptr [${high(field('pgdir'))}], ${top}; ${call('NEW_PGTABLE', top)}; ${call('FLUSH_TLB', 1)}
       mov eax, [${high(page(1))}]; ${keep('eax')}; mov eax, [${page(1)}]; ${keep('0xbad')}
       fault: mov eax, [${high(field('cr2'))}]; ${keep('eax')}
       ${call('SHUTDOWN', page(2), 1)}`.replaceAll(
        'lea ecx, [fault]',
        `lea ecx, [fault]; add ecx, ${PAGE_OFFSET}`,
      ),
      {
        pae,
        poke: [
          [page(1), [7, 0, 0, 0]],
          [page(2), Array.from('Power down\0', (c) => c.charCodeAt(0))],
        ],
      },
    );
    expect(why).toContain('Power down');
    expect(results).toEqual([7, page(1)]);
  });

  test('a write to a page of the kernel that is read-only faults: test_wp_bit', () => {
    const { results } = runLguest(
      `${init}; ${earlyIoremap}; ${gate(14, 'fault')}; ${store(high(slot(fixmap)), page(1) | 0x161)}
       ${call('SET_PTE', tables.top, fixmap, page(1) | 0x161, 0)}; mov al, [${fixmap}]; mov [${fixmap}], al; ${keep('0xbad')}
       fault: pop eax; ${keep('eax')}; ${keepAt(field('cr2'))}; ${off}`,
      { pae },
    );
    expect(results.slice(1)).toEqual([3, fixmap]);
  });
});

test('switch_to_new_gdt loads all 32 descriptors, and FS and GS with RPL 0 reach through them', () => {
  const entries = Array.from({ length: 32 }, (_, n) => {
    if (n === 27)
      return call('LOAD_GDT_ENTRY', n, (page(3) << 16) | 0xffff, 0x00cf9200 | (page(3) >>> 16));
    if (n === 28)
      return call('LOAD_GDT_ENTRY', n, (page(4) << 16) | 0x18, 0x00409000 | (page(4) >>> 16));
    if (n === 12) return call('LOAD_GDT_ENTRY', n, 0xffff, 0x00cf9a00);
    if (n === 13) return call('LOAD_GDT_ENTRY', n, 0xffff, 0x00cf9200);
    return call('LOAD_GDT_ENTRY', n, 0, 0);
  });
  const { results, why } = runLguest(
    `${init}; ${entries.join(';')}; mov eax, 0xd8; mov fs, ax; mov eax, 0xe0; mov gs, ax
     mov ebx, fs:[0]; ${keep('ebx')}; mov ebx, gs:[0x14]; ${keep('ebx')}; ${off}`,
    {
      poke: [
        [page(3), [9, 0, 0, 0]],
        [page(4) + 0x14, [8, 0, 0, 0]],
      ],
    },
  );
  expect(why).toContain('Power down');
  expect(results).toEqual([9, 8]);
});

test("trap_init and init_IRQ load every gate, the double fault's task gate among them", () => {
  const { results, why, seen } = runLguest(`
    ${init}; ${call('LOAD_IDT_ENTRY', 8, 0x00f80000, 0x00008500)}
    xor ebx, ebx
    next: lea ecx, [handler]; mov edx, ecx; and ecx, 0xffff; or ecx, 0x600000; and edx, 0xffff0000; or edx, 0x8e00
    cmp ebx, 8; je skip; cmp ebx, 0x80; jne make; or edx, 0xef00
    make: mov eax, ${LHCALL.LOAD_IDT_ENTRY}; vmcall
    skip: inc ebx; cmp ebx, 256; jne next
    int 0x80
    handler: ${keep('0x80')}; ${off}`);
  expect(why).toContain('Power down');
  expect(seen.filter(([name]) => name === 'LHCALL_LOAD_IDT_ENTRY').length).toBe(256);
  expect(results).toEqual([0x80]);
});

test('time_init arms the clock before it unmasks line 0; the tick comes once interrupts are on', () => {
  const { results } = runLguest(`
    ${init}; ${gate(TIMER, 'tick')}; ${call('SET_CLOCKEVENT', 0)}; ${call('SET_CLOCKEVENT', 4_000_000)}
    mov eax, [${field('blocked_interrupts')}]; ${keep('eax')}; and dword ptr [${field('blocked_interrupts')}], 0xfffffffe
    ${store(field('irq_enabled'), 0x200)}; ${call('HALT')}; ${keep('2')}; ${off}
    tick: ${keep('1')}; mov eax, [esp+8]; mov [${field('irq_enabled')}], eax; iretd`);
  expect(results).toEqual([1, 1, 2]);
});

test('the early console prints lines sixteen characters at a time', () => {
  const { output } = runLguest(
    `${init}; ${print('a')}; ${print('b')}; ${print('c')}; ${off}; a: "Reserving virtua"; b: "l address space "; c: "above 0xffc00000"`,
  );
  expect(output).toBe('Reserving virtual address space above 0xffc00000');
});

describe('a context switch', () => {
  const { top } = firstTables(false);
  const second = page(8);
  const copyTop = `mov esi, ${top}; mov edi, ${second}; mov ecx, 1024; cld; rep movsd`;
  const put = (n: number, number: number, ...args: number[]) =>
    [
      ...[number, ...args].map((word, m) => store(field('hcalls') + 20 * n + 4 * m, word)),
      `mov byte ptr [${field('hcall_status') + n}], 0`,
    ].join('; ');

  test('queues LOAD_TLS, SET_STACK, NEW_PGTABLE and TS in the ring, and FLUSH_ASYNC does them', () => {
    const { results, cpu } = runLguest(`
      ${init}; ${copyTop}; ${store(page(0), 0xffff)}; ${store(page(0) + 4, 0x00cff200)}
      ${put(0, LHCALL.SET_STACK, 0x69, high(page(4)), 2)}; ${put(1, LHCALL.NEW_PGTABLE, second)}
      ${put(2, LHCALL.LOAD_TLS, page(0), 0)}; ${put(3, LHCALL.TS, 8)}
      xor eax, eax; lar ebx, ax; ${call('FLUSH_ASYNC')}; mov eax, 0x33; lar ebx, ax; ${keep('ebx')}; ${off}`);
    expect(results).toEqual([0xc0f300]);
    expect(cpu.state.get('cr0') & 8).toBe(8);
  });
});

describe('/init in ring 3', () => {
  const world = `
    ${call('LOAD_GDT_ENTRY', 14, 0xffff, 0x00cffa00)}; ${call('LOAD_GDT_ENTRY', 15, 0xffff, 0x00cff200)}
    ${call('SET_STACK', 0x69, high(page(2)), 2)}; ${gate(14, 'fault')}; ${gate(0x80, 'system', 0xf, 3)}`;
  const enter = `push 0x7b; push ${page(5)}; push 0x202; push 0x73; lea eax, [user]; push eax; iretd`;
  const { pteAt, top } = firstTables(false);

  test('faults in the pages that it touches, and the kernel maps them and goes back to the instruction', () => {
    const { results, why } = runLguest(`
      ${init}; ${world}; ${store(pteAt(page(6)), 0)}; ${call('SET_PTE', top, page(6), 0)}; ${enter}
      user: mov edx, 0x7b; mov ds, dx; mov edi, 5; mov [${page(6)}], edi; mov eax, 1; int 0x80
      fault: pop eax; ${keep('eax')}; ${keepAt(field('cr2'))}; ${store(pteAt(page(6)), page(6) | 0x67)}
      ${call('SET_PTE', top, page(6), page(6) | 0x67)}; iretd
      system: ${keep('eax')}; ${keepAt(page(6))}; ${off}`);
    expect(why).toContain('Power down');
    expect(results).toEqual([6, page(6), 1, 5]);
  });

  test('has a page of its own after a fork: the first write to a page that was made read-only faults with P and W', () => {
    const { results, ram } = runLguest(`
      ${init}; ${world}; ${store(page(6), 1)}; ${store(pteAt(page(6)), page(6) | 0x65)}
      ${call('SET_PTE', top, page(6), page(6) | 0x65)}; ${enter}
      user: mov edx, 0x7b; mov ds, dx; mov ecx, [${page(6)}]; mov dword ptr [${page(6)}], 2; int 0x80
      fault: pop eax; ${keep('eax')}; ${store(pteAt(page(6)), page(7) | 0x67)}; ${call('SET_PTE', top, page(6), page(7) | 0x67)}
      iretd
      system: mov ecx, [${page(6)}]; ${keep('ecx')}; ${off}`);
    expect(results).toEqual([7, 2]);
    expect([ram.u32(page(6)), ram.u32(page(7))]).toEqual([1, 2]);
  });

  test('cannot touch what the kernel keeps from it, or what nobody maps', () => {
    const { results } = runLguest(`
      ${init}; ${world}; ${store(pteAt(page(6)), page(6) | 0x63)}; ${call('SET_PTE', top, page(6), page(6) | 0x63)}; ${enter}
      user: mov edx, 0x7b; mov ds, dx; mov ecx, [${page(6)}]
      fault: pop eax; ${keep('eax')}; ${off}
      system: ${keep('0xbad')}`);
    expect(results).toEqual([5]);
  });
});

test('RAM ends at the device page, which the kernel finds at max_pfn', () => {
  const { ram } = runLguest(`${init}; ${off}`);
  expect(ram.u8(MEMORY)).toBe(3);
});
