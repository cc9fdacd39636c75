// A kernel that Init moves to ring 1: what it sees of its tables, how events reach it, and what it may still execute.

import { describe, expect, it } from 'vitest';
import { type KernelOptions, runVmiKernel, vmiEntry } from './testing/kernel.ts';

const PF = 14;
const GP = 13;
const UD = 6;
const RELOAD = 'mov eax, 0x68\nmov ds, ax\n';
const USER_FRAME = 'push 0x7b\npush 0xc0070000\npush 0x202\npush 0x73\npush user\n';
/** ICW1 to ICW4, IRQ 0 at vector 0x20 and alone unmasked. */
const PIC = [0x11, 0x20, 4, 1, 0xfe]
  .map((value, n) => `mov al, ${value}\nout ${n === 0 ? 0x20 : 0x21}, al`)
  .join('\n');

const run = (text: string, options: KernelOptions = {}) =>
  runVmiKernel(`call {Init}\n${text}`, { version: '3.0-ring1', ...options });

describe('Init', () => {
  it('returns to ring 1: CS tells it, and the data segments are there', () => {
    const { word, platform } = run(`
      mov [report], eax
      mov eax, cs
      mov [report+4], eax
      mov eax, ss
      mov [report+8], eax
      mov eax, ds
      mov [report+12], eax`);
    expect([0, 1, 2, 3].map(word)).toEqual([0, 0x61, 0x69, 0x68]);
    expect(platform.cpu.state.get('cpl')).toBe(1);
  });

  it('makes segments of ring 0 in the table ring 1’s, and keeps all below the hypervisor’s addresses', () => {
    const { word } = run(`
      mov eax, [gdt+0x64]
      mov [report], eax
      mov eax, [gdt+0x70]
      mov [report+4], eax
      mov eax, [gdt+0x74]
      mov [report+8], eax
      mov eax, [gdt+0x84]
      mov [report+12], eax`);
    expect((word(0) >>> 13) & 3).toBe(1);
    const limit = (word(1) & 0xffff) | (word(2) & 0xf0000);
    expect([limit, (word(2) >>> 13) & 3]).toEqual([0xfbfff, 3]);
    expect((word(3) >>> 8) & 0x9f).toBe(0x8b); // The TSS is as it was.
  });

  it('an access above is #GP, one below its end is not', () => {
    const { word } = run(
      `
      mov dword ptr [report], 1
      mov eax, [0xfc000000]
      hlt
    fault:
      mov dword ptr [report+4], 1`,
      { traps: { [GP]: 'fault' } },
    );
    expect([word(0), word(1)]).toEqual([1, 1]);
  });

  it('descriptors that are written later obey, too', () => {
    const { ram } = run(`
      push 0x00cf9300
      mov eax, 0xc0300000
      mov edx, 0
      mov ecx, 0x0000ffff
      call {WriteGDTEntry}
      add esp, 4`);
    expect([ram.u32(0x300000), ram.u32(0x300004)]).toEqual([0xbfff, 0x00cfb300]);
  });
});

describe('events', () => {
  it('come from ring 3 on the stack that the TSS has for ring 0, which stays as it was', () => {
    const { word, platform } = run(
      `
      mov dword ptr [tss+12], 0x1234
      mov dword ptr [tss+16], 0x60
      ${USER_FRAME}
      call {IRET}
    user:
      int 0x80
    system:
      ${RELOAD}
      mov [report], esp
      mov eax, [esp+4]
      mov [report+4], eax
      mov eax, [esp+16]
      mov [report+8], eax
      mov eax, cs
      mov [report+12], eax
      mov eax, [tss+12]
      mov [report+16], eax
      mov eax, [tss+16]
      mov [report+20], eax`,
      { traps: { 128: 'system' } },
    );
    expect([0, 1, 2, 3, 4, 5].map(word)).toEqual([
      ...[0xc0088000 - 20, 0x73, 0x7b, 0x61, 0x1234, 0x60],
    ]);
    expect(platform.cpu.state.get('cpl')).toBe(1);
  });

  it('a page fault of ring 3 has its error code and address', () => {
    const { word } = run(
      `
      ${USER_FRAME}
      call {IRET}
    user:
      mov eax, 0x7b
      mov ds, ax
      mov eax, [0x70000000]
    fault:
      ${RELOAD}
      mov eax, [esp]
      mov [report], eax
      call {GetCR2}
      mov [report+4], eax`,
      { traps: { [PF]: 'fault' } },
    );
    expect([word(0), word(1)]).toEqual([4, 0x70000000]);
  });

  it('an interrupt wakes a halted kernel, by the call and by the instruction', () => {
    const alarm = `
      mov eax, 0
      call {GetCycleCounter}
      push 0
      push 0
      mov ecx, edx
      lea edx, [eax+5000]
      mov eax, 0
      call {SetAlarm}
      add esp, 8`;
    const { word, stop } = run(
      `${PIC}
      ${alarm}
      call {Halt}
      ${alarm}
      sti
      hlt
      mov dword ptr [report+4], 7
      cli
      hlt
    tick:
      inc dword ptr [report]
      push eax
      mov al, 0x20
      out 0x20, al
      pop eax
      call {IRET}`,
      { traps: { 32: 'tick' } },
    );
    expect([word(0), word(1), stop.kind]).toEqual([2, 7, 'dead']);
  });

  it('a fault of IRET is the site’s', () => {
    const { word } = run(
      `
      ${USER_FRAME}
      mov dword ptr [esp+4], 0x3b
      mov [report], esp
    irq_return:
      call {IRET}
    user:
      hlt
    fault:
      mov eax, [esp]
      mov [report+4], eax
      mov eax, irq_return
      sub eax, [esp+4]
      mov [report+8], eax
      lea eax, [esp+16]
      mov [report+12], eax`,
      { traps: { [GP]: 'fault' } },
    );
    expect([word(1), word(2), word(3)]).toEqual([0x38, 0, word(0)]);
  });

  it('INT n in the kernel takes the gates of ring 0, and one that is not there is #GP', () => {
    const { word } = run(
      `
      mov byte ptr [idt+0x285], 0x8e
      int 0x50
    after:
      int 0x51
      hlt
    taken:
      inc dword ptr [report]
      call {IRET}
    fault:
      mov eax, [esp]
      mov [report+4], eax`,
      { traps: { [GP]: 'fault', 80: 'taken' } },
    );
    expect([word(0), word(1)]).toEqual([1, 0x51 * 8 + 2]);
  });

  it('INT n by a gate of a kernel’s from ring 3 is #GP with the vector', () => {
    const { word } = run(
      `
      mov byte ptr [idt+0x289], 0
      mov word ptr [idt+0x284], 0x8e00
      ${USER_FRAME}
      call {IRET}
    user:
      int 0x50
    refused:
      hlt
    fault:
      ${RELOAD}
      mov eax, [esp]
      mov [report], eax
      mov eax, user
      sub eax, [esp+4]
      mov [report+4], eax`,
      { traps: { [GP]: 'fault', 80: 'refused' } },
    );
    expect([word(0), word(1)]).toEqual([0x50 * 8 + 2, 0]);
  });

  it('SYSENTER comes to ring 1, and SYSEXIT goes back', () => {
    const { word } = run(
      `
      mov ecx, 0x174
      mov eax, 0x60
      mov edx, 0
      wrmsr
      mov ecx, 0x175
      mov eax, 0xc0084000
      wrmsr
      mov ecx, 0x176
      mov eax, entered
      wrmsr
      mov edx, user
      mov ecx, 0xc0070000
      call {SYSEXIT}
    user:
      sysenter
    entered:
      mov eax, 0x7b
      mov ds, ax
      mov eax, cs
      mov [report], eax
      mov [report+4], esp
      mov eax, ss
      mov [report+8], eax`,
    );
    expect([word(0), word(1), word(2)]).toEqual([0x61, 0xc0084000, 0x69]);
  });
});

describe('the kernel', () => {
  it('may still execute what VMI leaves native: MSRs, control registers, ports, CLTS, LGDT', () => {
    const { word, platform } = run(`
      mov ecx, 0x174
      mov eax, 0x55
      mov edx, 0
      wrmsr
      rdmsr
      mov [report], eax
      mov eax, cr4
      mov [report+4], eax
      mov eax, cr3
      mov cr3, eax
      clts
      lgdt [gdtr]
      in al, 0x21
      smsw ax
      mov edx, 0
      str dx
      mov [report+8], edx
      cli
      pushfd
      pop eax
      mov [report+12], eax
      sti
      pushfd
      pop eax
      mov [report+16], eax
      invlpg [report]
      wbinvd`);
    expect([word(0), word(1), word(2)]).toEqual([0x55, 0x90, 0x80]);
    expect([word(3) & 0x200, word(4) & 0x200]).toEqual([0, 0x200]);
    expect(platform.cpu.state.get('cpl')).toBe(1);
  });

  it('gets #GP for a bad MSR, at the instruction', () => {
    const { word } = run(
      `
      mov ecx, 0x12345
    here:
      rdmsr
      hlt
    fault:
      mov eax, here
      sub eax, [esp+4]
      mov [report], eax
      mov dword ptr [report+4], 1`,
      { traps: { [GP]: 'fault' } },
    );
    expect([word(0), word(1)]).toEqual([0, 1]);
  });

  it('has its page tables deferred and settled as in ring 0', () => {
    const { word } = run(`
      mov dword ptr [0xc0020100], 0x300067
      mov dword ptr [0xc0400000], 0x600d
      mov eax, 1
      call {SetLazyMode}
      mov eax, 0x400067
      mov edx, 0xc0300004
      mov ecx, 1
      call {SetPxE}
      mov eax, [0x10001000]
      mov [report], eax`);
    expect(word(0)).toBe(0x600d);
  });

  it('is stepped at each instruction while page-table updates wait, too', () => {
    const { word } = run(
      `
      mov eax, 1
      call {SetLazyMode}
      mov eax, 0x400067
      mov edx, 0xc0300004
      mov ecx, 1
      call {SetPxE}
      pushfd
      or dword ptr [esp], 0x100
      popfd
      nop
    here:
      nop
      hlt
    debug:
      mov eax, here
      sub eax, [esp]
      mov [report], eax
      mov dword ptr [report+4], 1`,
      { traps: { 1: 'debug' } },
    );
    expect([word(0), word(1)]).toEqual([0, 1]);
  });

  it('ring 3 may call nothing: #UD', () => {
    const { word } = run(
      `
      ${USER_FRAME}
      call {IRET}
    user:
      call {GetCR0}
    undefined:
      ${RELOAD}
      mov eax, [esp]
      mov [report], eax`,
      { traps: { [UD]: 'undefined' } },
    );
    expect(word(0)).toBe(Number(vmiEntry('GetCR0')));
  });

  it('keeps ports for itself, whatever IOPL it gives its task', () => {
    const { word, platform } = run(
      `
      mov eax, 0
      call {SetIOPLMask}
      out 0x80, al
      ${USER_FRAME}
      call {IRET}
    user:
      out 0x80, al
    fault:
      ${RELOAD}
      mov dword ptr [report], 1`,
      { traps: { [GP]: 'fault' } },
    );
    expect(word(0)).toBe(1);
    expect(platform.cpu.state.get('eflags') & 0x3000).toBe(0x1000);
  });
});

it.each(['interpreter', 'jit'] as const)('the %s agrees with the reference', (engine) => {
  const text = `
      mov ebx, 300
    again:
      push after
      pop edx
      mov ecx, 0x174
      rdmsr
      call {DisableInterrupts}
      call {EnableInterrupts}
      pushfd
      push 0x61
      push after
      call {IRET}
    after:
      int 0x80
      dec ebx
      jne again
      call {RDTSC}
      mov [report+4], eax
      cli
      hlt
    system:
      inc dword ptr [report]
      call {IRET}`;
  const words = (options: KernelOptions) => {
    const { word } = run(text, { traps: { 128: 'system' }, ...options });
    return [word(0), word(1)];
  };
  const expected = words({});
  expect(expected[0]).toBe(300);
  expect(words({ engine })).toEqual(expected);
});
