// The start of day of a PVH guest, and the machine that it finds: registers, start info, tables, leaves, MSRs, ports, local APIC.

import * as f from '../forms.ts';
import * as at from '../layout.ts';
import { hex, programs } from '../program.ts';
import * as h from '../pvh-forms.ts';
import type { PvhParts, PvhProgram } from '../pvh-program.ts';

const START = 'xen/include/public/arch-x86/hvm/start_info.h';
const CPUID = 'xen/include/public/arch-x86/cpuid.h';
const MSR = 'xen/arch/x86/msr.c';
const HVM = 'xen/arch/x86/hvm/hvm.c';
const ACPI = 'ACPI 6.4 5.2';
const APIC = 'SDM 3A 11';
const row = f.row<PvhParts>;

const start = programs('start', [
  row('RFLAGS', START, (p) => h.keep32(p, at.ENTERED)),
  row('CR0', START, (p) => h.keep32(p, at.ENTERED + 8)),
  row('CR4', START, (p) => h.keep32(p, at.ENTERED + 12)),
  row('EFER', START, (p) => h.keep32(p, at.ENTERED + 16)),
  row('magic and version', START, (p) => h.startField(p, 0)),
  row('flags and modules', START, (p) => f.lines(h.startField(p, 8), h.startField(p, 16))),
  row('the command line', START, (p) =>
    f.lines(
      h.startAddress(24),
      'mov rax, [rax]; mov rcx, 0xffffffffffff; and rax, rcx',
      p.keep('rax'),
    ),
  ),
  row('entries of the memory map', START, (p) => h.startField(p, 48)),
  ...[0, 1, 2, 3].map((n) =>
    row(`entry ${n} of the memory map`, START, (p) =>
      f.lines(
        h.startAddress(40),
        `mov rbx, rax; mov rax, [rbx + ${n * 24}]`,
        p.keep('rax'),
        `mov rax, [rbx + ${n * 24 + 8}]`,
        p.keep('rax'),
        `mov rax, [rbx + ${n * 24 + 16}]`,
        p.keep('rax'),
      ),
    ),
  ),
  row('the memory map by a call is that of the start info', START, (p) =>
    f.lines(
      f.words(p, 8, p.page(1)),
      p.call(f.CALL.memory_op, 9, p.page(0)),
      h.startField(p, 48, 4),
      h.keep32(p, p.page(0)),
      h.startAddress(40),
      `mov rdx, ${hex(p.page(1))}; mov rbx, [rax]; sub rbx, [rdx]; mov r8, [rax + 8]; sub r8, [rdx + 8]; or rbx, r8
      mov r8d, [rax + 16]; sub r8d, [rdx + 16]; or rbx, r8`,
      p.keep('rbx'),
    ),
  ),
]);

/** RAX: the ACPI table of this signature; 0: there is none. */
const table = (p: PvhParts, signature: string): string => {
  const [next, found] = [p.label(`next_${signature}`), p.label(`found_${signature}`)];
  const word = Buffer.from(signature).readUInt32LE();
  return `${h.startAddress(32)}; mov rax, [rax + 24]; call address_of; mov rbx, rax; mov esi, [rbx + 4]; sub esi, 36; shr esi, 3
    add rbx, 36
    ${next}:
    xor eax, eax; test esi, esi; je ${found}
    mov rax, [rbx]; call address_of; add rbx, 8; dec esi; cmp dword ptr [rax], ${word}; jne ${next}
    ${found}:
    mov r12, rax`;
};
const sum = (p: PvhParts, count: string): string => {
  const again = p.label('sum');
  return `xor eax, eax; mov ecx, ${count}
    ${again}:
    add al, [r12]; inc r12; dec ecx; jne ${again}
    ${p.keep('rax')}`;
};

const acpi = programs('acpi', [
  row('RSDP: signature and revision', ACPI, (p) =>
    f.lines(
      h.startAddress(32),
      'mov rbx, rax; mov rax, [rbx]',
      p.keep('rax'),
      'movzx eax, byte ptr [rbx + 15]',
      p.keep('rax'),
    ),
  ),
  row('RSDP: its sums', ACPI, (p) =>
    f.lines(
      h.startAddress(32),
      'mov r12, rax; push rax',
      sum(p, '20'),
      'pop r12; push r12; mov edx, [r12 + 20]',
      p.keep('rdx'),
    ),
  ),
  row('XSDT: how many tables', ACPI, (p) =>
    f.lines(
      h.startAddress(32),
      'mov rax, [rax + 24]; call address_of; mov eax, [rax + 4]; sub eax, 36; shr eax, 3',
      p.keep('rax'),
    ),
  ),
  ...['FACP', 'APIC', 'DSDT', 'SSDT', 'HPET', 'WAET', 'TPM2'].map((signature) =>
    row(`${signature} is listed`, ACPI, (p) =>
      f.lines(table(p, signature), 'xor eax, eax; test r12, r12; setne al', p.keep('rax')),
    ),
  ),
  row('FADT: revision, SCI, boot flags, flags', ACPI, (p) =>
    f.lines(
      table(p, 'FACP'),
      'movzx eax, byte ptr [r12 + 8]',
      p.keep('rax'),
      'movzx eax, word ptr [r12 + 46]',
      p.keep('rax'),
      'movzx eax, word ptr [r12 + 109]',
      p.keep('rax'),
      'mov eax, [r12 + 112]',
      p.keep('rax'),
    ),
  ),
  row('FADT: blocks of ports', ACPI, (p) =>
    f.lines(
      table(p, 'FACP'),
      ...[56, 64, 76, 80].flatMap((n) => [`mov eax, [r12 + ${n}]`, p.keep('rax')]),
    ),
  ),
  row('FADT: its sum', ACPI, (p) => f.lines(table(p, 'FACP'), 'mov edx, [r12 + 4]', sum(p, 'edx'))),
  row('MADT: local APICs', ACPI, (p) =>
    f.lines(
      table(p, 'APIC'),
      'mov eax, [r12 + 36]',
      p.keep('rax'),
      'mov eax, [r12 + 40]',
      p.keep('rax'),
      'mov eax, [r12 + 44]',
      p.keep('rax'),
      'mov eax, [r12 + 48]',
      p.keep('rax'),
    ),
  ),
]);

const cpuid = (leaf: number, sub = 0): string => `mov eax, ${leaf}; mov ecx, ${sub}; cpuid`;
const masked = (
  p: PvhParts,
  ...parts: readonly (readonly [register: string, mask: number])[]
): string =>
  f.lines(
    ...parts.flatMap(([register, mask]) => [
      `and ${register}, ${mask}; mov eax, ${register}`,
      p.keep('rax'),
    ]),
  );
const ALL = 0xffffffff;

const leaves = programs('cpuid', [
  row('0x40000000: the highest leaf and the signature', CPUID, (p) =>
    f.lines(
      'mov r8, r15',
      cpuid(0x4000_0000),
      p.keep('rax'),
      p.keep('rbx'),
      p.keep('rcx'),
      p.keep('rdx'),
    ),
  ),
  row('0x40000001: the version', CPUID, (p) =>
    f.lines(cpuid(0x4000_0001), p.keep('rax'), p.keep('rbx'), p.keep('rcx'), p.keep('rdx')),
  ),
  row('0x40000002: pages, MSR, features', CPUID, (p) =>
    f.lines(cpuid(0x4000_0002), p.keep('rax'), p.keep('rbx'), p.keep('rcx'), p.keep('rdx')),
  ),
  row('0x40000003: the way of the TSC', CPUID, (p) =>
    f.lines(cpuid(0x4000_0003), p.keep('rax'), p.keep('rbx'), p.keep('rdx')),
  ),
  row('0x40000003, 3: no such part', CPUID, (p) =>
    f.lines(cpuid(0x4000_0003, 3), p.keep('rax'), p.keep('rbx'), p.keep('rcx'), p.keep('rdx')),
  ),
  row('0x40000004: features, vCPU', CPUID, (p) =>
    f.lines(cpuid(0x4000_0004), p.keep('rax'), p.keep('rbx'), p.keep('rdx')),
  ),
  row('0x40000004, 1: no such part', CPUID, (p) =>
    f.lines(cpuid(0x4000_0004, 1), p.keep('rax'), p.keep('rbx'), p.keep('rcx'), p.keep('rdx')),
  ),
  ...[0x4000_0005, 0x4000_0006, 0x4000_00ff, 0x4000_0100, 0x4001_0000].map((leaf) =>
    row(`${hex(leaf)}: beyond`, CPUID, (p) =>
      f.lines(cpuid(leaf), p.keep('rax'), p.keep('rbx'), p.keep('rcx'), p.keep('rdx')),
    ),
  ),
  row('1: hypervisor and MONITOR, APIC and MTRR', CPUID, (p) =>
    f.lines(cpuid(1), masked(p, ['ecx', 0x8000_0008], ['edx', 0x1200])),
  ),
  row('1: x2APIC and the deadline timer', CPUID, (p) =>
    f.lines(cpuid(1), masked(p, ['ecx', 0x0120_0000])),
  ),
  row('0x80000001: SVM and NX', CPUID, (p) =>
    f.lines(cpuid(0x8000_0001), masked(p, ['ecx', 4], ['edx', 0x10_0000])),
  ),
  row('0x80000007: a TSC that never changes its rate', CPUID, (p) =>
    f.lines(cpuid(0x8000_0007), masked(p, ['edx', 0x100])),
  ),
]);

const rdmsr = (p: PvhParts, msr: number): string =>
  f.lines(
    p.attempt(`xor edi, edi; mov ecx, ${msr}; rdmsr; shl rdx, 32; or rax, rdx; mov rdi, rax`),
    p.keep('rdi'),
  );
const wrmsr = (p: PvhParts, msr: number, value: bigint): string =>
  p.attempt(`mov ecx, ${msr}; mov eax, ${value & BigInt(ALL)}; mov edx, ${value >> 32n}; wrmsr`);

const msrs = programs('msr', [
  ...(
    [
      ['the hypercall page', 0x4000_0000],
      ['the one behind the hypercall page', 0x4000_0001],
      ['APIC base', 0x1b],
      ['PAT', 0x277],
      ['MTRRcap', 0xfe],
      ['MTRRdefType', 0x2ff],
      ['the first fixed MTRR', 0x250],
      ['DEBUGCTL', 0x1d9],
      ['an x2APIC register before x2APIC mode', 0x802],
      ['none', 0x1234_5678],
      ['VM_CR', 0xc001_0114],
      ['VM_HSAVE_PA', 0xc001_0117],
      ['EFER', 0xc000_0080],
      ['a performance counter', 0xc1],
      ['MCG_CAP', 0x179],
    ] as const
  ).map(([name, msr]) => row(`RDMSR ${name}`, MSR, (p) => rdmsr(p, msr))),
  ...(
    [
      ['the hypercall page: a second one', 0x4000_0000, (p) => BigInt(p.frame(1)) << 12n],
      [
        'the hypercall page: not the first of them',
        0x4000_0000,
        (p) => (BigInt(p.frame(1)) << 12n) | 1n,
      ],
      ['the hypercall page: in no memory', 0x4000_0000, () => 0x0800_0000n],
      ['the hypercall page: beyond all addresses', 0x4000_0000, () => 0x7fff_ffff_0000_0000n],
      ['the one behind the hypercall page', 0x4000_0001, () => 0n],
      ['EFER: SVME', 0xc000_0080, () => 0x1500n],
      ['EFER: a bit that there is not', 0xc000_0080, () => 0x8000_0500n],
      ['EFER: without long mode', 0xc000_0080, () => 0n],
      ['PAT: a type that there is not', 0x277, () => 2n],
      ['PAT', 0x277, () => 0x0007_0406_0007_0406n],
      ['LSTAR: no address', 0xc000_0082, () => 1n << 62n],
      ['MTRRcap', 0xfe, () => 0n],
      ['none', 0x1234_5678, () => 0n],
      ['a microcode update', 0x79, () => 0n],
      ['VM_HSAVE_PA', 0xc001_0117, () => 0n],
      ['APIC base: off', 0x1b, () => 0xfee0_0100n],
      ['APIC base: on again', 0x1b, () => 0xfee0_0900n],
    ] as readonly (readonly [string, number, (p: PvhParts) => bigint])[]
  ).map(([name, msr, value]) => row(`WRMSR ${name}`, MSR, (p) => wrmsr(p, msr, value(p)))),
]);

const IN: readonly (readonly [name: string, code: string])[] = [
  ['the keyboard', 'in al, 0x60'],
  ['the keyboard’s state', 'in al, 0x64'],
  ['the clock chip', 'in al, 0x71'],
  ['the timer', 'in al, 0x40'],
  ['the speaker', 'in al, 0x61'],
  ['the interrupt controller', 'in al, 0x21'],
  ['a serial port', 'mov edx, 0x3fd; in al, dx'],
  ['PCI', 'mov edx, 0xcf8; in eax, dx'],
  ['PCI’s data', 'mov edx, 0xcfc; in eax, dx'],
  ['the power timer', 'mov edx, 0xb008; in eax, dx'],
  ['a port of two bytes', 'mov edx, 0x2e8; in ax, dx'],
];
/** Without those that QEMU 7.2 ends a guest of SVM for: INVD, a CR0 or CR3 that VMRUN refuses. */
const INSTRUCTIONS: readonly string[] = [
  'out 0x80, al',
  'mov edx, 0xcf8; mov eax, 0x80000000; out dx, eax; in eax, dx',
  'wbinvd',
  'invlpg [rsp]',
  'clts',
  'mov rax, cr4; or eax, 0x2000; mov cr4, rax',
  'mov rax, cr4; or eax, 0x80000000; mov cr4, rax',
  'mov rax, cr4; mov cr4, rax',
  'mov rax, cr4; and eax, 0xffffffdf; mov cr4, rax',
  'mov rax, cr0; and eax, 0x7fffffff; mov cr0, rax',
  'mov rax, cr0; btr eax, 0; mov cr0, rax',
  'mov rax, cr0; mov rcx, 0x100000000; or rax, rcx; mov cr0, rax',
  'mov rax, cr0; or eax, 8; mov cr0, rax; fld1',
  'mov eax, 5; mov cr8, rax; mov rax, cr8',
  'mov eax, 16; mov cr8, rax',
  'xor eax, eax; mov dr0, rax; mov rax, dr7',
  'bytes 0f 01 c8',
  'bytes 0f 01 c9',
  'bytes 0f 01 d8',
  'bytes 0f 01 da',
  'bytes 0f 01 dd',
  'bytes 0f 01 c2',
  'bytes 0f 01 d0',
  'bytes 0f 0b 78 65 6e 0f a2',
  'ud2',
  'int3',
  'bytes f1',
  'int 0x20',
  'xor ecx, ecx; rdpmc',
  'rdtsc',
  'xor ecx, ecx; mov eax, 1; xor edx, edx; div ecx',
  'mov eax, 0x5000; mov rax, [rax]',
  'mov rax, 0x8000000000000000; mov rax, [rax]',
  'mov eax, 0xfff8; mov ds, ax',
];

const machine = programs('machine', [
  ...IN.map(([name, code]) =>
    row(`port: ${name}`, HVM, (p) => f.lines('xor eax, eax', code, p.keep('rax'))),
  ),
  ...INSTRUCTIONS.map((code) => row(`instruction: ${code}`, HVM, (p) => p.attempt(code))),
  ...(
    [
      ['where an I/O APIC would be', h.top(0xfec0_0000)],
      ['where an HPET would be', h.top(0xfed0_0000)],
      ['where a BIOS would be', h.top(0xffff_fff0)],
      ['above its memory', at.VIRT_BASE + 0x3000_0000],
    ] as const
  ).map(([name, va]) =>
    row(`memory ${name}`, HVM, (p) =>
      f.lines(
        p.attempt(`xor edi, edi; mov rbx, ${hex(va)}; mov rdi, [rbx]`),
        p.keep('rdi'),
        p.attempt(`mov qword ptr [rbx], 5; mov rdi, [rbx]`),
        p.keep('rdi'),
      ),
    ),
  ),
  row('code above its memory', HVM, (p) =>
    p.attempt(`mov rax, ${hex(at.VIRT_BASE + 0x3000_0000)}; call rax`),
  ),
]);

const register = (offset: number): string => hex(h.top(0xfee0_0000) + offset);
const read = (p: PvhParts, offset: number): string =>
  f.lines(`mov rbx, ${register(offset)}; mov eax, [rbx]`, p.keep('rax'));
const write = (offset: number, value: number): string =>
  `mov rbx, ${register(offset)}; mov dword ptr [rbx], ${value}`;
/** Spurious vector register: the APIC is on. */
const on = write(0xf0, 0x1ff);
const ended = (p: PvhParts): string => p.store(at.END_AT_APIC, 1);

const apic = programs('apic', [
  row('ID and version', APIC, (p) => f.lines(read(p, 0x20), read(p, 0x30))),
  row('spurious vector, as it is at the start', APIC, (p) => read(p, 0xf0)),
  row('local vectors, as they are at the start', APIC, (p) =>
    f.lines(...[0x320, 0x330, 0x340, 0x350, 0x360, 0x370].map((n) => read(p, n))),
  ),
  row('task priority', APIC, (p) =>
    f.lines(write(0x80, 0x1ff), read(p, 0x80), read(p, 0xa0), write(0x80, 0)),
  ),
  row('logical destination and its form', APIC, (p) =>
    f.lines(read(p, 0xd0), read(p, 0xe0), write(0xd0, 0x12345678), read(p, 0xd0)),
  ),
  row('a register that there is not', APIC, (p) => f.lines(read(p, 0x40), read(p, 0x3f0))),
  row('an IPI to itself', APIC, (p) =>
    f.lines(
      on,
      ended(p),
      write(0x300, 0x40044),
      read(p, 0x220),
      p.open,
      p.count(0x44),
      read(p, 0x120),
      read(p, 0x220),
    ),
  ),
  row('an IPI to itself that is not ended, and a lower one', APIC, (p) =>
    f.lines(
      on,
      write(0x300, 0x40064),
      p.open,
      write(0x300, 0x40044),
      p.open,
      p.count(0x64),
      p.count(0x44),
      write(0xb0, 0),
      ended(p),
      p.open,
      p.count(0x44),
    ),
  ),
  row('an IPI of a vector below 16', APIC, (p) =>
    f.lines(on, write(0x280, 0), write(0x300, 0x40005), write(0x280, 0), read(p, 0x280)),
  ),
  row('an IPI under the task priority', APIC, (p) =>
    f.lines(
      on,
      ended(p),
      write(0x80, 0x50),
      write(0x300, 0x40044),
      p.open,
      p.count(0x44),
      write(0x80, 0),
      p.open,
      p.count(0x44),
    ),
  ),
  row('an IPI while it is off', APIC, (p) =>
    f.lines(write(0xf0, 0xff), write(0x300, 0x40044), on, ended(p), p.open, p.count(0x44)),
  ),
  row('its timer, once', APIC, (p) =>
    f.lines(
      on,
      ended(p),
      write(0x3e0, 11),
      write(0x320, 0x45),
      write(0x380, 50000),
      'sti; hlt; cli',
      p.count(0x45),
      read(p, 0x390),
      write(0x320, 0x10045),
    ),
  ),
  row('its timer, masked', APIC, (p) =>
    f.lines(
      on,
      write(0x3e0, 11),
      write(0x320, 0x10045),
      write(0x380, 100),
      p.call(f.CALL.sched_op, 0, 0),
      p.open,
      p.count(0x45),
    ),
  ),
  row('a read that is not aligned', APIC, (p) =>
    p.attempt(`mov rbx, ${register(0x32)}; mov ax, [rbx]`),
  ),
]);

export const pvhStart: readonly PvhProgram[] = [
  ...start,
  ...acpi,
  ...leaves,
  ...msrs,
  ...machine,
  ...apic,
];
