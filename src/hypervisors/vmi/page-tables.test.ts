// Page tables as 2.6.32 changes them, with and without PAE, at once and in lazy modes.

import { describe, expect, it } from 'vitest';
import { runVmiKernel, SPARE_AT } from './testing/kernel.ts';

const PF = 14;
const SPARE = 0xc0300000;
/** Makes the spare page the page table of 0x10000000, with no entry. */
const TABLE = {
  plain: `mov dword ptr [0xc0020100], ${SPARE_AT + 0x67}\n`,
  pae: `mov dword ptr [0xc0020400], ${SPARE_AT + 0x67}\nmov dword ptr [0xc0020404], 0\n`,
};
/** vmi_set_pte_at: entry 1 of the table maps frame 0x400; flags: a page table of the current address space. */
const setPte = (pae: boolean, value: number): string =>
  pae
    ? `push 0x10001011\nmov eax, ${value}\nmov edx, 0\nmov ecx, ${SPARE + 8}\ncall {SetPxELong}\nadd esp, 4\n`
    : `mov eax, ${value}\nmov edx, ${SPARE + 4}\nmov ecx, 0x10001011\ncall {SetPxE}\n`;
const MAPPED = 0x400067;

describe.each([
  ['without PAE', false],
  ['with PAE', true],
] as const)('%s', (_, pae) => {
  const start = `${pae ? TABLE.pae : TABLE.plain}mov dword ptr [0xc0400000], 0x600d\nmov ebx, 0x11\n`;
  const entry = SPARE_AT + (pae ? 8 : 4);
  const FAULT = {
    pae,
    traps: { [PF]: 'fault' },
  };
  const COUNT = `
    fault:
      inc dword ptr [report+60]
      mov eax, [esp+4]
      mov [report+56], eax
      mov eax, again
      mov [esp+4], eax
      add esp, 4
      iretd`;

  it('SetPxE and SetPxELong store the entry, which the next access finds', () => {
    const { word, ram, gpr } = runVmiKernel(
      `${start}${setPte(pae, MAPPED)}mov eax, [0x10001000]\nmov [report], eax\nmov [report+4], ebx`,
      { pae },
    );
    expect([word(0), word(1), ram.u32(entry) & 0xfffff000]).toEqual([0x600d, 0x11, 0x400000]);
    expect(gpr(4)).toBe(0xc0080000);
  });

  it('in lazy MMU mode nothing shows before the mode ends', () => {
    const { word } = runVmiKernel(
      `${start}
      mov eax, 1
      call {SetLazyMode}
      ${setPte(pae, MAPPED)}
      mov eax, [${SPARE + (pae ? 8 : 4)}]
      mov [report], eax
      mov eax, 0
      call {SetLazyMode}
      mov eax, [${SPARE + (pae ? 8 : 4)}]
      mov [report+4], eax`,
      { pae },
    );
    expect([word(0), word(1)]).toEqual([0, MAPPED]);
  });

  it('a page fault settles what waits, and the guest does not hear of it', () => {
    const { word } = runVmiKernel(
      `${start}
      mov eax, 1
      call {SetLazyMode}
      ${setPte(pae, MAPPED)}
      mov eax, [0x10001000]
      mov [report], eax
    again:
      mov eax, 0
      call {SetLazyMode}
      hlt
      ${COUNT}`,
      FAULT,
    );
    expect([word(0), word(15)]).toEqual([0x600d, 0]);
  });

  it('a page fault that nothing waits for is the guest’s, with its error code and CR2', () => {
    const { word, platform } = runVmiKernel(
      `${start}
      mov eax, [0x10001000]
    again:
      hlt
      ${COUNT}`,
      FAULT,
    );
    expect(word(15)).toBe(1);
    expect(platform.cpu.state.getVa('cr2')).toBe(0x10001000);
  });

  it.each([
    ['InvalPage', 'mov eax, 0x10001000'],
    ['FlushTLB', 'mov eax, 1'],
    ['FlushTLB', 'mov eax, 3'],
    ['AllocatePage', 'mov eax, 0x300\nmov edx, 0x41\nmov ecx, 0\npush 0\npush 0'],
    ['ReleasePage', 'mov eax, 0x300\nmov edx, 0x41'],
    ['GetCR3', ''],
    ['Halt', ''],
  ])('%s settles what waits (%s)', (name, args) => {
    // An alarm ends the halt.
    const arm =
      'mov eax, 0\nmov edx, 50000\nmov ecx, 0\npush 0\npush 0\ncall {SetAlarm}\nadd esp, 8\n';
    const unmask =
      'mov al, 0x11\nout 0x20, al\nmov al, 0x20\nout 0x21, al\nmov al, 4\nout 0x21, al\nmov al, 1\nout 0x21, al\nmov al, 0xfe\nout 0x21, al\n';
    const { word } = runVmiKernel(
      `${start}
      ${name === 'Halt' ? unmask + arm : ''}
      mov eax, 1
      call {SetLazyMode}
      ${setPte(pae, MAPPED)}
      ${args}
      call {${name}}
      mov eax, [${SPARE + (pae ? 8 : 4)}]
      mov [report], eax
      hlt
    tick:
      iretd`,
      { pae, traps: { 32: 'tick' } },
    );
    expect(word(0)).toBe(MAPPED);
  });

  it('InvalPage drops one translation, FlushTLB 1 those that are not global, FlushTLB 3 all', () => {
    const touch = (n: number) => `mov eax, [0x10001000]\nmov [report+${4 * n}], eax\n`;
    const global = MAPPED + 0x100;
    const other = 0x500067;
    const { word } = runVmiKernel(
      `${start}mov dword ptr [0xc0500000], 0x2222
      ${setPte(pae, global)}${touch(0)}
      ${setPte(pae, other)}${touch(1)}
      mov eax, 1
      call {FlushTLB}
      ${touch(2)}
      mov eax, 3
      call {FlushTLB}
      ${touch(3)}
      ${setPte(pae, MAPPED)}${touch(4)}
      mov eax, 0x10001000
      call {InvalPage}
      ${touch(5)}
      ${setPte(pae, other)}
      mov eax, 1
      call {FlushTLB}
      ${touch(6)}`,
      { pae },
    );
    expect([0, 1, 2, 3, 4, 5, 6].map(word)).toEqual([
      ...[0x600d, 0x600d, 0x600d, 0x2222, 0x2222, 0x600d, 0x2222],
    ]);
  });

  it('UpdatePxE and UpdatePxELong follow a store of the guest’s own, and change nothing', () => {
    const at = SPARE + (pae ? 8 : 4);
    const { word, ram } = runVmiKernel(
      `${start}
      mov dword ptr [${at}], ${MAPPED}
      mov eax, ${at}
      mov edx, 0x10001031
      call {${pae ? 'UpdatePxELong' : 'UpdatePxE'}}
      mov eax, [0x10001000]
      mov [report], eax`,
      { pae },
    );
    expect([word(0), ram.u32(entry) & 0xfff]).toEqual([0x600d, MAPPED & 0xfff]);
  });

  it('AllocatePage keeps what is in the page, also with ZEROED and CLONE', () => {
    const { ram } = runVmiKernel(
      `
      mov dword ptr [${SPARE}], 0x1234
      push 256
      push 768
      mov eax, 0x300
      mov edx, ${pae ? 0x72 : 0x62}
      mov ecx, 0x20
      call {AllocatePage}
      add esp, 8
      mov eax, 0x300
      mov edx, 0x42
      call {ReleasePage}`,
      { pae },
    );
    expect(ram.u32(SPARE_AT)).toBe(0x1234);
  });

  it('in lazy CPU mode CR3 and descriptors wait, and page tables do not', () => {
    const { word } = runVmiKernel(
      `${start}
      mov eax, 2
      call {SetLazyMode}
      ${setPte(pae, MAPPED)}
      mov eax, [${SPARE + (pae ? 8 : 4)}]
      mov [report], eax
      push 0x2222
      mov eax, ${SPARE + 0x100}
      mov edx, 0
      mov ecx, 0x1111
      call {WriteGDTEntry}
      add esp, 4
      mov eax, [${SPARE + 0x100}]
      mov [report+4], eax
      mov eax, cr3
      call {SetCR3}
      mov eax, 0
      call {SetLazyMode}
      mov eax, [${SPARE + 0x100}]
      mov [report+8], eax
      mov eax, [${SPARE + 0x104}]
      mov [report+12], eax`,
      { pae },
    );
    expect([0, 1, 2, 3].map(word)).toEqual([MAPPED, 0, 0x1111, 0x2222]);
  });

  it('a store to where nothing is mapped is a page fault, lazy or not', () => {
    const bad = pae
      ? 'push 0\nmov ecx, 0x70000000\nmov eax, 1\ncall {SetPxELong}\n'
      : 'mov edx, 0x70000000\nmov eax, 1\ncall {SetPxE}\n';
    const { word } = runVmiKernel(
      `
      mov eax, 1
      call {SetLazyMode}
      ${bad}
    again:
      hlt
      ${COUNT}`,
      FAULT,
    );
    expect(word(15)).toBe(1);
  });
});

it('a deferred switch of CR3 is done in order with what waits before it', () => {
  const { platform, word } = runVmiKernel(`
      mov esi, 0xc0020000
      mov edi, 0xc0300000
      mov ecx, 1024
      rep movsd
      mov eax, 2
      call {SetLazyMode}
      mov eax, 0x300000
      call {SetCR3}
      mov eax, cr3
      mov [report], eax
      mov eax, 0
      call {SetLazyMode}
      call {GetCR3}
      mov [report+4], eax`);
  expect([word(0), word(1)]).toEqual([0x20000, 0x300000]);
  expect(platform.cpu.state.getVa('cr3')).toBe(0x300000);
});

it('more than 64 that wait are settled', () => {
  const { ram } = runVmiKernel(`
      mov eax, 1
      call {SetLazyMode}
      mov esi, ${SPARE}
    next:
      mov eax, 1
      mov edx, esi
      mov ecx, 1
      call {SetPxE}
      add esi, 4
      cmp esi, ${SPARE + 65 * 4}
      jb next`);
  expect([ram.u32(SPARE_AT), ram.u32(SPARE_AT + 63 * 4), ram.u32(SPARE_AT + 64 * 4)]).toEqual([
    1, 1, 0,
  ]);
});
