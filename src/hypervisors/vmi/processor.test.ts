// Registers, descriptor tables, flags and the ways out of the kernel, called as 2.6.32 calls them.

import { describe, expect, it } from 'vitest';
import { type KernelOptions, runVmiKernel, vmiEntry } from './testing/kernel.ts';

const PF = 14;
const GP = 13;
const IF = 0x200;

/** EBX, ESI, EDI and EBP hold these before; whoever changes one is found. */
const MARKS = 'mov ebx, 0x11\nmov esi, 0x44\nmov edi, 0x55\nmov ebp, 0x66\n';

function run(text: string, options?: KernelOptions) {
  const made = runVmiKernel(MARKS + text, options);
  return { ...made, state: made.platform.cpu.state, kept: [3, 6, 7, 5].map(made.gpr) };
}

const KEPT = [0x11, 0x44, 0x55, 0x66];

describe('control registers', () => {
  it('are written by SetCR0, SetCR2, SetCR3, SetCR4 and read by GetCR0, GetCR2, GetCR3, GetCR4', () => {
    const { word, kept, state } = run(`
      call {GetCR0}
      mov [report], eax
      or eax, 8
      call {SetCR0}
      call {GetCR0}
      mov [report+4], eax
      call {CLTS}
      call {GetCR0}
      mov [report+8], eax
      mov eax, 0xabcdef00
      call {SetCR2}
      call {GetCR2}
      mov [report+12], eax
      call {GetCR3}
      mov [report+16], eax
      call {SetCR3}
      call {GetCR4}
      mov [report+20], eax
      and eax, 0xffffff7f
      call {SetCR4}
      call {WBINVD}`);
    expect((word(0) | 8) >>> 0).toBe(word(1));
    expect(word(2)).toBe(word(0));
    expect([word(3), word(4), word(5)]).toEqual([0xabcdef00, 0x20000, 0x90]);
    expect([state.get('cr4'), kept]).toEqual([0x10, KEPT]);
  });

  it('SetCR3 drops translations that are not global, at once', () => {
    const { word } = run(`
      mov eax, [0x400000]
      mov dword ptr [0xc0020004], 0x800087
      mov eax, [0x400000]
      mov [report], eax
      mov dword ptr [0x800000], 0x1234
      mov eax, cr3
      call {SetCR3}
      mov eax, [0x400000]
      mov [report+4], eax`);
    expect([word(0), word(1)]).toEqual([0, 0x1234]);
  });

  it('SetCR0 that asks for paging without protection is the #GP of the instruction, in the ROM', () => {
    const { word } = run(
      `
      mov eax, 0x80000000
      call {SetCR0}
      hlt
    fault:
      mov eax, [esp+4]
      mov [report], eax`,
      { traps: { [GP]: 'fault' } },
    );
    expect(word(0)).toBe(Number(vmiEntry('SetCR0')));
  });

  it('SetDR and GetDR move debug registers', () => {
    const { word, state } = run(`
      mov eax, 3
      mov edx, 0x12345678
      call {SetDR}
      mov eax, 3
      call {GetDR}
      mov [report], eax
      mov eax, 7
      call {GetDR}
      mov [report+4], eax`);
    expect([word(0), word(1), state.getVa('dr3')]).toEqual([0x12345678, 0x400, 0x12345678]);
  });
});

describe('the processor', () => {
  it('is asked by CPUID, which changes four registers and no other', () => {
    const { gpr, kept } = run('mov eax, 1\nmov ecx, 0\ncall {CPUID}\nmov [report], ebx');
    expect(kept.slice(1)).toEqual(KEPT.slice(1));
    expect(gpr(0)).not.toBe(1);
    expect(gpr(3)).not.toBe(0x11);
  });

  it('gives MSRs by RDMSR and takes them by WRMSR; one that is not there is #GP', () => {
    const { word, state } = run(
      `
      mov ecx, 0x174
      mov eax, 0x60
      mov edx, 0
      call {WRMSR}
      mov ecx, 0x174
      call {RDMSR}
      mov [report], eax
      mov [report+4], edx
      mov ecx, 0x12345
      call {RDMSR}
      hlt
    fault:
      mov dword ptr [report+8], 1`,
      { traps: { [GP]: 'fault' } },
    );
    expect([word(0), word(1), word(2), state.get('sysenterCs')]).toEqual([0x60, 0, 1, 0x60]);
  });

  it('RDTSC goes on, RDPMC is #GP', () => {
    const { word } = run(
      `
      call {RDTSC}
      mov [report], eax
      call {RDTSC}
      mov [report+4], eax
      mov [report+8], edx
      mov ecx, 0
      call {RDPMC}
      hlt
    fault:
      mov dword ptr [report+12], 1`,
      { traps: { [GP]: 'fault' } },
    );
    expect(word(1) - word(0)).toBe(4); // The trap, its return, a store, the call.
    expect([word(2), word(3)]).toEqual([0, 1]);
  });
});

describe('descriptor tables', () => {
  it('GetGDT, GetIDT, GetTR and GetLDT say what is loaded', () => {
    const { word, state } = run(`
      mov eax, report
      call {GetGDT}
      mov eax, report
      add eax, 8
      call {GetIDT}
      call {GetTR}
      mov [report+16], eax
      call {GetLDT}
      mov [report+20], eax`);
    expect(word(0) & 0xffff).toBe(0xff);
    expect((word(0) >>> 16) + (word(1) & 0xffff) * 65536).toBe(state.getVa('gdtrBase'));
    expect(word(2) & 0xffff).toBe(0x7ff);
    expect((word(2) >>> 16) + (word(3) & 0xffff) * 65536).toBe(state.getVa('idtrBase'));
    expect([word(4), word(5)]).toEqual([0x80, 0]);
  });

  it('SetGDT and SetIDT load the registers, and segment registers follow the new table', () => {
    const { state } = run(`
      mov esi, gdt
      mov edi, 0xc0300000
      mov ecx, 64
      rep movsd
      mov dword ptr [0xc0300068], 0x1000ffff
      mov word ptr [0xc0300200], 0xff
      mov dword ptr [0xc0300202], 0xc0300000
      mov eax, 0xc0300200
      call {SetGDT}
      mov word ptr es:[0xc02ff200], 0x3ff
      mov eax, 0xc0300208
      mov word ptr [0xc02ff208], 0x3ff
      mov dword ptr [0xc02ff20a], 0xc0301000
      mov eax, 0xc02ff208
      call {SetIDT}`);
    expect([state.getVa('gdtrBase'), state.get('gdtrLimit')]).toEqual([0xc0300000, 0xff]);
    expect(state.segBase(3)).toBe(0x1000); // DS: its new descriptor has a base.
  });

  it('WriteGDTEntry, WriteLDTEntry and WriteIDTEntry store two words at base + 8 * index', () => {
    const { ram, kept } = run(
      ['WriteGDTEntry', 'WriteLDTEntry', 'WriteIDTEntry']
        .map(
          (name, n) => `
      push 0x2222000${n}
      mov eax, 0xc0300000
      mov edx, ${5 + n}
      mov ecx, 0x1111000${n}
      call {${name}}
      add esp, 4`,
        )
        .join('\n'),
    );
    for (let n = 0; n < 3; n++) {
      expect(ram.u32(0x300028 + 8 * n)).toBe(0x11110000 + n);
      expect(ram.u32(0x30002c + 8 * n)).toBe(0x22220000 + n);
    }
    expect(kept).toEqual(KEPT);
  });

  it('SetLDT loads what WriteGDTEntry has put into entry 17, and 0 takes it away', () => {
    const { word, state } = run(`
      push 0x00008230
      mov eax, gdt
      mov edx, 17
      mov ecx, 0x00000027
      call {WriteGDTEntry}
      add esp, 4
      mov eax, 0x88
      call {SetLDT}
      call {GetLDT}
      mov [report], eax
      mov eax, 0
      call {SetLDT}
      call {GetLDT}
      mov [report+4], eax`);
    expect([word(0), word(1), state.seg(6, 16)]).toEqual([0x88, 0, 0]);
  });

  it('SetTR loads the task register, and a busy TSS is #GP', () => {
    const { word } = run(
      `
      mov byte ptr [gdt+0x85], 0x89
      mov eax, 0x80
      call {SetTR}
      mov eax, 0
      mov al, [gdt+0x85]
      mov [report], eax
      mov eax, 0x80
      call {SetTR}
      hlt
    fault:
      mov eax, [esp]
      mov [report+4], eax`,
      { traps: { [GP]: 'fault' } },
    );
    expect([word(0), word(1)]).toEqual([0x8b, 0x80]);
  });

  it('a pointer that is not mapped is a page fault of the guest, in the ROM', () => {
    const { word, state } = run(
      `
      mov eax, 0x70000000
      call {SetGDT}
      hlt
    fault:
      mov eax, [esp]
      mov [report], eax
      mov eax, [esp+4]
      mov [report+4], eax`,
      { traps: { [PF]: 'fault' } },
    );
    expect([word(0), word(1)]).toEqual([0, Number(vmiEntry('SetGDT'))]);
    expect(state.getVa('cr2')).toBe(0x70000000);
  });
});

describe('the interrupt flag', () => {
  it('is set, cleared and read, and nothing but flags and the answer changes', () => {
    const { word, kept, gpr } = run(`
      mov eax, 0x77
      mov ecx, 0x22
      mov edx, 0x33
      call {EnableInterrupts}
      mov [report], eax
      call {GetInterruptMask}
      mov [report+4], eax
      mov eax, 0x77
      call {DisableInterrupts}
      mov [report+8], eax
      call {GetInterruptMask}
      mov [report+12], eax
      mov eax, 0xffffffff
      call {SetInterruptMask}
      mov [report+16], eax
      call {GetInterruptMask}
      mov [report+20], eax
      pushfd
      pop eax
      mov [report+24], eax
      mov eax, 0xfffffdff
      call {SetInterruptMask}
      call {GetInterruptMask}
      mov [report+28], eax`);
    const words = [0, 1, 2, 3, 4, 5, 7].map(word);
    expect(words).toEqual([0x77, IF, 0x77, 0, 0xffffffff, IF, 0]);
    expect(word(6) & 0x7f00 & ~IF).toBe(0); // No other bit of the mask has become a flag.
    expect([gpr(1), gpr(2), kept]).toEqual([0x22, 0x33, KEPT]);
  });

  it('works with DS and ES null, as at the sites of assembler', () => {
    const { state } = run(
      'mov eax, 0\nmov ds, ax\nmov es, ax\ncall {EnableInterrupts}\ncall {DisableInterrupts}',
    );
    expect(state.get('eflags') & IF).toBe(0);
  });

  it('SetIOPLMask sets the I/O privilege level and no other flag', () => {
    const { state } = run('mov eax, 0xffffffff\ncall {SetIOPLMask}');
    expect(state.get('eflags') & 0x7700).toBe(0x3000);
  });

  it('Shutdown is the end of the machine, and Reboot a reset', () => {
    expect(run('call {Shutdown}').stop).toEqual({ kind: 'off', why: 'VMI_Shutdown' });
    expect(run('mov eax, 1\ncall {Reboot}').stop).toMatchObject({ kind: 'reset' });
  });
});

describe('IRET', () => {
  const USER = 'push 0x7b\npush 0xc0070000\npush 0x202\npush 0x73\npush user\n';
  const RELOAD = 'mov eax, 0x68\nmov ds, ax\n';

  it('returns within the kernel, and restores IF and flags', () => {
    const { word } = run(`
      cli
      push 0x2d7
      mov eax, cs
      push eax
      push back
      call {IRET}
    back:
      pushfd
      pop eax
      mov [report], eax
      mov [report+4], esp`);
    expect([word(0), word(1)]).toEqual([0x2d7, 0xc0080000]);
  });

  it('returns to ring 3, whose interrupt comes back with its frame', () => {
    const { word, platform } = run(
      `
      ${USER}
      call {IRET}
    user:
      int 0x80
    system:
      ${RELOAD}
      mov eax, [esp+4]
      mov [report], eax
      mov eax, [esp+12]
      mov [report+4], eax`,
      { traps: { 128: 'system' } },
    );
    expect([word(0), word(1)]).toEqual([0x73, 0xc0070000]);
    expect(platform.cpu.state.get('cpl')).toBe(0);
  });

  it.each([
    ['a bad code segment', 'mov dword ptr [esp+4], 0x3b\n', 0x38],
    ['a bad stack segment', 'mov dword ptr [esp+16], 0x3b\n', 0x38],
  ])('%s is #GP at the site, with the stack that the site had', (_, spoil, error) => {
    const { word, state } = run(
      `
      ${USER}
      ${spoil}
      mov [report], esp
    irq_return:
      call {IRET}
    user:
      hlt
    fault:
      mov eax, [esp]
      mov [report+4], eax
      mov eax, [esp+4]
      mov [report+8], eax
      lea eax, [esp+16]
      mov [report+12], eax
      mov eax, irq_return
      mov [report+16], eax`,
      { traps: { [GP]: 'fault' } },
    );
    expect([word(1), word(2), word(3)]).toEqual([error, word(4), word(0)]);
    expect(state.get('cpl')).toBe(0);
  });

  it('a frame whose code segment is not present is #NP at the site', () => {
    const { word } = run(
      `
      ${USER}
      mov byte ptr [gdt+0x75], 0x7b
    irq_return:
      call {IRET}
    user:
      hlt
    fault:
      mov eax, [esp]
      mov [report], eax
      mov eax, irq_return
      sub eax, [esp+4]
      mov [report+4], eax`,
      { traps: { 11: 'fault' } },
    );
    expect([word(0), word(1)]).toEqual([0x70, 0]);
  });

  it('to virtual-8086 mode restores VM, and its fault comes back', () => {
    const { word } = run(
      `
      push 0
      push 0
      push 0
      push 0
      push 0
      push 0x1000
      push 0x20202
      push 0
      push 0x2000
      mov byte ptr [0x2000], 0xf4
      call {IRET}
    fault:
      ${RELOAD}
      mov eax, [esp+12]
      mov [report], eax`,
      { traps: { [GP]: 'fault' } },
    );
    expect(word(0) & 0x20200).toBe(0x20200);
  });
});

describe('SYSEXIT', () => {
  const SETUP = 'mov ecx, 0x174\nmov eax, 0x60\nmov edx, 0\nwrmsr\n';

  it('leaves for ring 3 at EDX with the stack in ECX, and IF set', () => {
    const { word } = run(
      `
      ${SETUP}
      cli
      mov edx, user
      mov ecx, 0xc0070000
      call {SYSEXIT}
      hlt
    user:
      int 0x80
    system:
      mov eax, 0x68
      mov ds, ax
      mov eax, [esp+8]
      mov [report], eax
      mov eax, [esp+12]
      mov [report+4], eax
      mov eax, [esp+4]
      mov [report+8], eax`,
      { traps: { 128: 'system' } },
    );
    expect([word(0) & IF, word(1), word(2)]).toEqual([IF, 0xc0070000, 0x73]);
  });

  it('is #GP and leaves IF alone when SYSENTER_CS is 0', () => {
    const { word } = run(
      `
      cli
      call {SYSEXIT}
      hlt
    fault:
      mov eax, [esp+12]
      mov [report], eax
      mov dword ptr [report+4], 1`,
      { traps: { [GP]: 'fault' } },
    );
    expect([word(0) & IF, word(1)]).toEqual([0, 1]);
  });

  it('UpdateKernelStack leaves the stack to the TSS, which the guest has written', () => {
    const { word } = run(
      `
      mov dword ptr [tss+4], 0xc0084000
      mov eax, 0x68
      mov edx, 0xc0084000
      call {UpdateKernelStack}
      push 0x7b
      push 0xc0070000
      push 0x202
      push 0x73
      push user
      call {IRET}
    user:
      int 0x80
    system:
      mov eax, 0x68
      mov ds, ax
      mov [report], esp`,
      { traps: { 128: 'system' } },
    );
    expect(word(0)).toBe(0xc0084000 - 20);
  });
});
