// What vmi_activate of 2.6.32 does, line by line: Init, the ring, the queries in their order, the patch sites, the linear mapping.

import { describe, expect, it } from 'vitest';
import { VMI_CALLS } from './call.ts';
import { CALLS_END } from './rom/layout.ts';
import { runVmiKernel, vmiEntry } from './testing/kernel.ts';

/** In the order of activation (vmi.md 5), for a PAE kernel with SMP and a local APIC. */
const QUERIES = [
  ...['CPUID', 'CLTS', 'GetDR', 'SetDR', 'GetCR0', 'GetCR2', 'GetCR3', 'GetCR4', 'SetCR0'],
  ...['SetCR2', 'SetCR3', 'SetCR4', 'GetInterruptMask', 'SetInterruptMask', 'DisableInterrupts'],
  ...[
    'EnableInterrupts',
    'WBINVD',
    'RDTSC',
    'SetTR',
    'SetLDT',
    'SetGDT',
    'SetIDT',
    'GetGDT',
    'GetIDT',
  ],
  ...[
    'GetTR',
    'WriteLDTEntry',
    'WriteGDTEntry',
    'WriteIDTEntry',
    'UpdateKernelStack',
    'SetIOPLMask',
  ],
  ...[
    'IODelay',
    'SetLazyMode',
    'SetLazyMode',
    'SetLazyMode',
    'SetLazyMode',
    'FlushTLB',
    'FlushTLB',
  ],
  ...[
    'InvalPage',
    'SetPxELong',
    'UpdatePxELong',
    'AllocatePage',
    'ReleasePage',
    'SetLinearMapping',
  ],
  ...['SetInitialAPState', 'APICRead', 'APICWrite', 'GetCycleFrequency', 'GetCycleCounter'],
  ...[
    'GetWallclockTime',
    'WallclockUpdated',
    'SetAlarm',
    'CancelAlarm',
    'Halt',
    'SetPxE',
    'UpdatePxE',
  ],
] as const;
const numberOf = (name: string) => VMI_CALLS.find((call) => call.name === name)!.number;
const query = (number: number, n: number) => `
  mov eax, ${number}
  call {GetRelocationInfo}
  mov [report+${8 * n}], eax
  mov [report+${8 * n + 4}], edx`;

describe('activation', () => {
  it('is 0 from Init, in ring 0, with IF as it was and every register but EAX kept', () => {
    const { word, platform, gpr } = runVmiKernel(`
      cli
      mov ebx, 0x11
      mov ecx, 0x22
      mov edx, 0x33
      mov esi, 0x44
      mov edi, 0x55
      mov ebp, 0x66
      mov eax, 0xdead
      call {Init}
      mov [report], eax
      mov eax, cs
      mov [report+4], eax
      pushfd
      pop eax
      mov [report+8], eax`);
    expect([word(0), word(1) & 3, word(2) & 0x200]).toEqual([0, 0, 0]);
    expect([3, 1, 2, 6, 7, 5].map(gpr)).toEqual([0x11, 0x22, 0x33, 0x44, 0x55, 0x66]);
    expect(platform.cpu.state.get('cpl')).toBe(0);
  });

  it('answers each query with CALL_REL and an entry in the ROM as the guest sees it', () => {
    const { word } = runVmiKernel(QUERIES.map((name, n) => query(numberOf(name), n)).join('\n'));
    QUERIES.forEach((name, n) => {
      expect([name, word(2 * n), word(2 * n + 1)]).toEqual([name, Number(vmiEntry(name)), 1]);
    });
  });

  it('has every call of API 3.0 but SetCallbacks', () => {
    const numbers = VMI_CALLS.map(({ number }) => number);
    const all = Array.from({ length: CALLS_END }, (_, n) => n).filter((n) => n !== 72);
    expect(numbers).toEqual(all);
  });

  it('leaves native what it does not have: NONE for SetCallbacks and for numbers that are none', () => {
    const unknown = [72, 74, 75, 1000, 0x7fffffff, 0xffffffff];
    const { word } = runVmiKernel(unknown.map(query).join('\n'));
    expect(unknown.flatMap((_, n) => [word(2 * n), word(2 * n + 1)])).toEqual(
      unknown.flatMap(() => [0, 0]),
    );
  });

  it('keeps EBX, ESI, EDI, EBP and ECX over a query', () => {
    const { gpr } = runVmiKernel(`
      mov ebx, 1
      mov esi, 2
      mov edi, 3
      mov ebp, 4
      mov ecx, 5
      mov eax, 33
      call {GetRelocationInfo}`);
    expect([3, 6, 7, 5, 1].map(gpr)).toEqual([1, 2, 3, 4, 5]);
  });

  it('takes entries from wherever the ROM is mapped', () => {
    const { word } = runVmiKernel('mov eax, 17\ncall 0xd0088\nmov [report], eax');
    expect(word(0)).toBe(Number(vmiEntry('SetCR3')) - 0xc0000000);
  });

  it('keeps the linear mapping that follows', () => {
    const { platform } = runVmiKernel(`
      push 0
      mov eax, 0
      mov edx, 0xc0000000
      mov ecx, 0x34000
      call {SetLinearMapping}
      mov eax, 4
      call {SetLinearMapping}
      add esp, 4`);
    const { linearMaps } = platform.snapshots.save().slots.vmi as { linearMaps: number[][] };
    expect(linearMaps).toEqual([
      [0xc0000000, 0x34000, 0],
      [0, 0, 0],
      [0, 0, 0],
      [0, 0, 0],
    ]);
  });
});

describe('a ROM that is to be without a call', () => {
  const lacks = (name: string) => name === 'VMI_SetCR3' || name === 'VMI_Init';

  it('answers NONE for it and has no code there; others are as they were', () => {
    const { word } = runVmiKernel(
      `${query(17, 0)}${query(15, 1)}
      mov eax, cr3
      call {SetCR3}
      hlt
    undefined:
      mov dword ptr [report+16], 6`,
      { lacks, traps: { 6: 'undefined' } },
    );
    expect([0, 1, 2, 3, 4].map(word)).toEqual([0, 0, Number(vmiEntry('SetCR0')), 1, 6]);
  });

  it('says -1 if that is Init, and the guest stays native', () => {
    const { word, platform } = runVmiKernel('call {Init}\nmov [report], eax', {
      lacks,
      version: '3.0-ring1',
    });
    expect([word(0) >>> 0, platform.cpu.state.get('cpl')]).toEqual([0xffffffff, 0]);
  });
});

describe('a VMCALL that is no call', () => {
  const UD = 6;
  it.each([
    ['elsewhere in the kernel', 'vmcall'],
    ['at the number without a call', `call ${Number(vmiEntry('WallclockUpdated')) + 32}`],
  ])('is #UD %s', (_, text) => {
    const { word } = runVmiKernel(`${text}\nhlt\nundefined:\nmov dword ptr [report], 6`, {
      traps: { [UD]: 'undefined' },
    });
    expect(word(0)).toBe(6);
  });

  it('is #UD in ring 3, even in the ROM', () => {
    const { word } = runVmiKernel(
      `
      push 0x7b
      push 0xc0070000
      push 0x2
      push 0x73
      push user
      iretd
    user:
      call {GetCR0}
      hlt
    undefined:
      mov eax, 0x68
      mov ds, ax
      mov eax, [esp]
      mov [report], eax
      mov eax, [esp+4]
      mov [report+4], eax`,
      { traps: { [UD]: 'undefined' } },
    );
    expect([word(0), word(1)]).toEqual([Number(vmiEntry('GetCR0')), 0x73]);
  });
});
