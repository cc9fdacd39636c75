// System instructions: who may run them, which bits they refuse, what they leave; system calls; ports and flags by IOPL.

import { dpl } from '../descriptors.ts';
import * as at from '../layout.ts';
import { compat, DONE, type Program, programs, user32, user64 } from '../program.ts';
import type { Mode } from '../template.ts';

const CR0_PG = 0x80000000;
const TSD = 4;
const CR4_DE = 8;
const PCE = 0x100;
const FSGSBASE = 0x10000;
const UMIP = 0x800;
const OSXSAVE = 0x40000;
const SCE = 1;
const BOTH = ['prot', 'long'] as const;
const ax = (mode: Mode) => (mode === 'long' ? 'rax' : 'eax');
const popf = (mode: Mode) => (mode === 'long' ? 'popfq' : 'popfd');
const pushf = (mode: Mode) => (mode === 'long' ? 'pushfq' : 'pushfd');
const user = (mode: Mode, code: string, flags = 2) =>
  `${mode === 'long' ? user64('u', flags) : user32('u', flags)}\nu:\n${code}`;
const wrmsr = (msr: number, low: number | bigint, high: number | bigint = 0) =>
  `mov ecx, ${msr}; mov eax, ${low}; mov edx, ${high}; wrmsr`;
const CLEAR = 'xor eax, eax; xor ecx, ecx; xor edx, edx';

/** Refused in ring 3. */
const PRIVILEGED: Readonly<Record<string, readonly [code: string, ref: string]>> = {
  hlt: ['hlt', 'SDM 2A HLT'],
  clts: ['clts', 'SDM 2A CLTS'],
  lgdt: [`lgdt [${at.CODE}]`, 'SDM 2A LGDT'],
  lidt: [`lidt [${at.CODE}]`, 'SDM 2A LGDT'],
  lldt: ['lldt ax', 'SDM 2A LLDT'],
  ltr: ['ltr ax', 'SDM 2A LTR'],
  lmsw: ['lmsw ax', 'SDM 2A LMSW'],
  invlpg: [`invlpg [${at.CODE}]`, 'SDM 2A INVLPG'],
  invd: ['invd', 'SDM 2A INVD'],
  wbinvd: ['wbinvd', 'SDM 2B WBINVD'],
  rdmsr: ['rdmsr', 'SDM 2B RDMSR'],
  wrmsr: ['wrmsr', 'SDM 2B WRMSR'],
  cli: ['cli', 'SDM 2A CLI'],
  sti: ['sti', 'SDM 2B STI'],
  'in al': ['in al, 0x80', 'SDM 2A IN'],
  'out dx': ['mov dx, 0x80; out dx, eax', 'SDM 2B OUT'],
  insb: [`mov edi, ${at.CODE}; mov dx, 0x80; insb`, 'SDM 2A INS'],
  outsb: [`mov esi, ${at.CODE}; mov dx, 0x80; outsb`, 'SDM 2B OUTS'],
  'rdpmc without PCE': ['rdpmc', 'SDM 2B RDPMC'],
};
const REGISTERS = ['cr0', 'cr2', 'cr3', 'cr4', 'dr0', 'dr6', 'dr7'];
const privileged: Program[] = BOTH.flatMap((mode): Program[] => [
  ...Object.entries(PRIVILEGED).map(([name, [code, ref]]): Program => ({ name: `${name}, ${mode}`, ref, mode, code: user(mode, code) })),
  ...REGISTERS.flatMap((register): Program[] => [
    { name: `mov from ${register}, ${mode}`, ref: 'SDM 2B MOV', mode, code: user(mode, `mov ${ax(mode)}, ${register}`) },
    { name: `mov to ${register}, ${mode}`, ref: 'SDM 2B MOV', mode, code: user(mode, `mov ${register}, ${ax(mode)}`) },
  ]),
  { name: `rdtsc with TSD, ${mode}`, ref: 'SDM 2B RDTSC', mode, cr4: TSD, code: user(mode, 'rdtsc') },
  { name: `rdtsc with TSD in ring 0, ${mode}`, ref: 'SDM 2B RDTSC', mode, cr4: TSD, code: `rdtsc; ${CLEAR}` },
  { name: `rdtsc without TSD, ${mode}`, ref: 'SDM 2B RDTSC', mode, code: user(mode, `rdtsc; ${CLEAR}`) },
  { name: `rdtscp with TSD, ${mode}`, ref: 'SDM 2B RDTSCP', mode, cr4: TSD, code: user(mode, 'rdtscp') },
  { name: `sgdt under UMIP, ${mode}`, ref: 'SDM 2B SGDT', mode, cr4: UMIP, code: user(mode, `sgdt [${at.CODE + 0x1000}]`) },
  { name: `sidt under UMIP, ${mode}`, ref: 'SDM 2B SIDT', mode, cr4: UMIP, code: user(mode, `sidt [${at.CODE + 0x1000}]`) },
  { name: `sldt under UMIP, ${mode}`, ref: 'SDM 2B SLDT', mode, cr4: UMIP, code: user(mode, 'sldt ax') },
  { name: `str under UMIP, ${mode}`, ref: 'SDM 2B STR', mode, cr4: UMIP, code: user(mode, 'str ax') },
  { name: `smsw under UMIP, ${mode}`, ref: 'SDM 2B SMSW', mode, cr4: UMIP, code: user(mode, 'smsw ax') },
  { name: `sldt and str in ring 3, ${mode}`, ref: 'SDM 2B SLDT', mode, code: user(mode, 'sldt eax; str ecx') },
  { name: `sidt in ring 3, ${mode}`, ref: 'SDM 2B SIDT', mode, code: user(mode, `sidt [${at.CODE + 0x1000}]; mov eax, [${at.CODE + 0x1000}]; mov ecx, [${at.CODE + 0x1004}]`) },
  { name: `xsetbv without OSXSAVE, ${mode}`, ref: 'SDM 2D XSETBV', mode, code: 'xsetbv' },
  { name: `xgetbv without OSXSAVE, ${mode}`, ref: 'SDM 2D XGETBV', mode, code: 'xgetbv' },
  { name: `xsetbv in ring 3, ${mode}`, ref: 'SDM 2D XSETBV', mode, cr4: OSXSAVE, code: user(mode, 'mov eax, 3; xsetbv') },
  { name: `xsetbv without x87, ${mode}`, ref: 'SDM 2D XSETBV', mode, cr4: OSXSAVE, code: 'mov eax, 2; xsetbv' },
  { name: `xsetbv of another register, ${mode}`, ref: 'SDM 2D XSETBV', mode, cr4: OSXSAVE, code: 'mov eax, 3; mov ecx, 1; xsetbv' },
  { name: `xsetbv, ${mode}`, ref: 'SDM 2D XSETBV', mode, cr4: OSXSAVE, code: 'mov eax, 3; xsetbv; xor eax, eax; xgetbv; mov ebx, eax; mov eax, 1; xor edx, edx; xsetbv' },
]);

/** Moves to control registers, by mode. */
const REF_CR = 'SDM 2B MOV';
function control(name: string, mode: Mode, code: string, more: Partial<Program> = {}): Program {
  return { name: `${name}, ${mode}`, ref: REF_CR, mode, code, ...more };
}
const controls: Program[] = [
  control('cr0: PG without PE', 'prot', `mov eax, ${CR0_PG + 0x30}; mov cr0, eax`),
  control('cr0: NW without CD', 'prot', 'mov eax, 0x20000031; mov cr0, eax'),
  control('cr0: bits that there are not', 'prot', 'mov eax, 0x1ffaffd1; mov cr0, eax; mov eax, cr0; and eax, 0x1ffaffff; mov ecx, 0x31; mov cr0, ecx'),
  control('cr0: ET stays', 'prot', 'mov eax, 0x21; mov cr0, eax; mov eax, cr0'),
  control('cr0: upper half', 'long', 'mov rax, cr0; mov rcx, 0x100000000; or rax, rcx; mov cr0, rax'),
  control('cr0: PE off with paging', 'paged', 'mov eax, cr0; and eax, -2; mov cr0, eax'),
  control('cr0: paging off in 64-bit code', 'long', 'mov rax, cr0; btr rax, 31; mov cr0, rax'),
  control('cr0: paging on with LME and without PAE', 'prot', `mov ecx, 0xc0000080; mov eax, 0x100; wrmsr; mov eax, ${at.PML4}; mov cr3, eax; mov eax, 0x80000031; mov cr0, eax`),
  control('cr0: paging off and on in compatibility mode', 'long', `${compat('c')}\nc:\nuse 32\nmov eax, cr0; and eax, 0x7fffffff; mov cr0, eax; mov ecx, 0xc0000080; rdmsr; mov ebx, eax; mov eax, cr0; or eax, ${CR0_PG}; mov cr0, eax; rdmsr; xor edx, edx`),
  control('cr4: a reserved bit', 'prot', 'mov eax, 0x80000000; mov cr4, eax'),
  control('cr4: bit 15', 'prot', 'mov eax, 0x8000; mov cr4, eax'),
  control('cr4: upper half', 'long', 'mov rax, cr4; mov rcx, 0x100000000; or rax, rcx; mov cr4, rax'),
  control('cr4: PAE off', 'long', 'xor eax, eax; mov cr4, rax'),
  control('cr4: PCIDE outside long mode', 'pae', 'mov eax, 0x20020; mov cr4, eax'),
  control('cr4: PCIDE with a PCID in cr3', 'long', `mov eax, ${at.PML4 + 8}; mov cr3, rax; mov eax, 0x20020; mov cr4, rax`),
  control('cr4: PCIDE', 'long', 'mov eax, 0x20020; mov cr4, rax; mov rcx, cr4'),
  control('cr0: paging off with PCIDE', 'long', `mov eax, 0x20020; mov cr4, rax; ${compat('c')}\nc:\nuse 32\nmov eax, cr0; and eax, 0x7fffffff; mov cr0, eax`),
  control('cr3: bit 63 without PCIDE', 'long', `mov rax, 0x8000000000010000; mov cr3, rax`),
  control('cr3: bit 62', 'long', `mov rax, 0x4000000000010000; mov cr3, rax`),
  control('cr3: bit 52', 'long', `mov rax, 0x10000000010000; mov cr3, rax`),
  control('cr3: low bits', 'long', `mov eax, ${at.PML4 + 0x18}; mov cr3, rax; mov rcx, cr3`),
  control('cr3: bit 63 with PCIDE', 'long', 'mov eax, 0x20020; mov cr4, rax; mov rax, 0x8000000000010001; mov cr3, rax; mov rcx, cr3'),
  control('cr8', 'long', 'mov eax, 9; mov cr8, rax; mov rcx, cr8; xor eax, eax; mov cr8, rax'),
  control('cr8: above 15', 'long', 'mov eax, 16; mov cr8, rax'),
  ...[1, 5, 6, 7].map((n) => control(`cr${n}`, 'prot', `db 0x0f, 0x20, ${0xc0 | (n << 3)}`)),
  control('mov from cr1 in ring 3', 'prot', user32('u') + '\nu:\ndb 0x0f, 0x20, 0xc8'),
  control('operand size does not count', 'prot', 'db 0x66, 0x0f, 0x20, 0xc0'),
  control('a memory form is a register form', 'prot', 'db 0x0f, 0x20, 0x00'),
  control('dr4 without DE is dr6', 'prot', 'mov eax, dr4; mov ecx, dr6'),
  control('dr5 without DE is dr7', 'prot', 'mov eax, dr5'),
  control('dr4 with DE', 'prot', 'mov eax, dr4', { cr4: CR4_DE }),
  control('dr5 with DE', 'prot', 'mov dr5, eax', { cr4: CR4_DE }),
  control('dr6: fixed bits', 'prot', 'xor eax, eax; mov dr6, eax; mov ecx, dr6; dec eax; mov dr6, eax; mov eax, dr6; and eax, 0xf00f'),
  control('dr7: fixed bits', 'prot', 'xor eax, eax; mov dr7, eax; mov ecx, dr7'),
  control('dr6: upper half', 'long', 'mov rax, 0x100000000; mov dr6, rax'),
  control('dr7: upper half', 'long', 'mov rax, 0x100000000; mov dr7, rax'),
  control('dr0: upper half', 'long', 'mov rax, 0x123456789abcdef0; mov dr0, rax; mov rcx, dr0'),
  control('smsw to a register', 'prot', 'mov eax, -1; smsw eax'),
  control('smsw to memory is 16 bits', 'prot', `mov dword ptr [${at.DATA}], -1; smsw word ptr [${at.DATA}]; mov eax, [${at.DATA}]`),
  control('lmsw cannot clear PE', 'prot', 'xor eax, eax; lmsw ax; mov eax, cr0'),
  control('lmsw sets MP EM TS only', 'prot', 'mov eax, 0xffff; lmsw ax; mov eax, cr0; clts; mov ecx, cr0'),
  control('clts', 'prot', 'clts; mov eax, cr0', { cr0: 8 }),
];

const msrs: Program[] = [
  { name: 'EFER: reserved bit', ref: 'SDM 2B WRMSR', mode: 'long', code: wrmsr(0xc0000080, 0x502) },
  { name: 'EFER: LME off with paging', ref: 'SDM 3A 10.8.5', mode: 'long', code: wrmsr(0xc0000080, 0x400) },
  { name: 'EFER: LME on with paging', ref: 'SDM 3A 10.8.5', mode: 'pae', code: wrmsr(0xc0000080, 0x100) },
  { name: 'EFER: LMA is not written', ref: 'SDM 3A 2.2.1', mode: 'prot', code: `${wrmsr(0xc0000080, 0x400)}; rdmsr` },
  { name: 'EFER: upper half', ref: 'SDM 2B WRMSR', mode: 'long', code: wrmsr(0xc0000080, 0x500, 1) },
  { name: 'EFER in long mode', ref: 'SDM 3A 2.2.1', mode: 'long', code: 'mov ecx, 0xc0000080; rdmsr' },
  { name: 'LSTAR not canonical', ref: 'SDM 2B WRMSR', mode: 'long', code: wrmsr(0xc0000082, 0, 0x8000) },
  { name: 'CSTAR not canonical', ref: 'SDM 2B WRMSR', mode: 'long', code: wrmsr(0xc0000083, 0, 0x8000) },
  { name: 'FS base not canonical', ref: 'SDM 2B WRMSR', mode: 'long', code: wrmsr(0xc0000100, 0, 0x8000) },
  { name: 'GS base not canonical', ref: 'SDM 2B WRMSR', mode: 'long', code: wrmsr(0xc0000101, 0, 0x8000) },
  { name: 'kernel GS base not canonical', ref: 'SDM 2B WRMSR', mode: 'long', code: wrmsr(0xc0000102, 0, 0x8000) },
  { name: 'SYSENTER_EIP not canonical', ref: 'SDM 2B WRMSR', mode: 'long', code: wrmsr(0x176, 0, 0x8000) },
  { name: 'TSC_AUX', ref: 'SDM 2B RDTSCP', mode: 'long', code: `${wrmsr(0xc0000103, 0x1234)}; rdtscp; xor eax, eax; xor edx, edx; mov ebx, ecx; mov ecx, 0xc0000103; wrmsr` },
  { name: 'PAT with a reserved type', ref: 'SDM 3A 12.12.2', mode: 'prot', code: wrmsr(0x277, 0x02) },
  { name: 'MSR that there is not', ref: 'SDM 2B RDMSR', mode: 'prot', code: 'mov ecx, 0x12345678; rdmsr' },
  { name: 'write to an MSR that there is not', ref: 'SDM 2B WRMSR', mode: 'prot', code: 'mov ecx, 0x12345678; wrmsr' },
  { name: 'swapgs', ref: 'SDM 2B SWAPGS', mode: 'long', code: `${wrmsr(0xc0000101, 0x1111)}; ${wrmsr(0xc0000102, 0x2222)}; swapgs; mov ecx, 0xc0000101; rdmsr; mov ebx, eax; mov ecx, 0xc0000102; rdmsr; mov esi, eax; xor eax, eax; mov ecx, 0xc0000101; wrmsr` },
  { name: 'swapgs in ring 3', ref: 'SDM 2B SWAPGS', mode: 'long', code: user('long', 'swapgs') },
  { name: 'swapgs in compatibility mode', ref: 'SDM 2B SWAPGS', mode: 'long', code: `${compat('c')}\nc:\nuse 32\ndb 0x0f, 0x01, 0xf8` },
  { name: 'wrfsbase', ref: 'SDM 2B WRFSBASE', mode: 'long', cr4: FSGSBASE, code: user('long', 'mov rax, 0x123456789000; wrfsbase rax; rdfsbase rcx; xor eax, eax; wrfsbase rax') },
  { name: 'wrfsbase not canonical', ref: 'SDM 2B WRFSBASE', mode: 'long', cr4: FSGSBASE, code: 'mov rax, 0x8000000000000000; wrfsbase rax' },
  { name: 'rdfsbase without FSGSBASE', ref: 'SDM 2B RDFSBASE', mode: 'long', code: 'rdfsbase rax' },
  { name: 'invpcid of type 4', ref: 'SDM 2A INVPCID', mode: 'long', code: `mov eax, 4; invpcid rax, xmmword ptr [${at.DATA}]` },
  { name: 'invpcid with reserved bits', ref: 'SDM 2A INVPCID', mode: 'long', code: `mov dword ptr [${at.DATA}], 0x1000; invpcid rax, xmmword ptr [${at.DATA}]` },
  { name: 'invpcid of a PCID without PCIDE', ref: 'SDM 2A INVPCID', mode: 'long', code: `mov dword ptr [${at.DATA}], 1; invpcid rax, xmmword ptr [${at.DATA}]` },
  { name: 'invpcid of an address not canonical', ref: 'SDM 2A INVPCID', mode: 'long', code: `mov dword ptr [${at.DATA + 12}], 0x80000000; invpcid rax, xmmword ptr [${at.DATA}]` },
  { name: 'invpcid of everything', ref: 'SDM 2A INVPCID', mode: 'long', code: `mov eax, 2; invpcid rax, xmmword ptr [${at.DATA}]` },
  { name: 'invpcid in ring 3', ref: 'SDM 2A INVPCID', mode: 'long', code: user('long', `invpcid rax, xmmword ptr [${at.CODE}]`) },
  { name: 'rdpmc with PCE', ref: 'SDM 2B RDPMC', mode: 'prot', cr4: PCE, code: user('prot', `rdpmc; ${CLEAR}`) },
];

const tables: Program[] = [
  { name: 'sgdt', ref: 'SDM 2B SGDT', mode: 'prot', code: `sgdt [${at.DATA}]; mov eax, [${at.DATA}]; mov ecx, [${at.DATA + 4}]` },
  { name: 'sgdt, long', ref: 'SDM 2B SGDT', mode: 'long', code: `mov dword ptr [${at.DATA + 8}], -1; sgdt [${at.DATA}]; mov rax, [${at.DATA}]; mov rcx, [${at.DATA + 8}]` },
  { name: 'sidt with a 16-bit operand', ref: 'SDM 2B SIDT', mode: 'prot', code: `o16 sidt [${at.DATA}]; mov eax, [${at.DATA}]; mov ecx, [${at.DATA + 4}]` },
  { name: 'lgdt with a 16-bit operand takes 24 bits', ref: 'SDM 2A LGDT', mode: 'prot', code: `mov dword ptr [${at.DATA}], ${(at.GDT << 16) | (at.GDT_BYTES - 1)}; mov dword ptr [${at.DATA + 4}], 0xab00; o16 lgdt [${at.DATA}]; sgdt [${at.DATA + 16}]; mov eax, [${at.DATA + 16}]; mov ecx, [${at.DATA + 20}]` },
  { name: 'lgdt not canonical', ref: 'SDM 2A LGDT', mode: 'long', code: `mov rax, 0x80000000000000; mov [${at.DATA + 2}], rax; lgdt [${at.DATA}]`.replace('0x80000000000000;', '0x8000000000000000;') },
  { name: 'lidt not canonical', ref: 'SDM 2A LGDT', mode: 'long', code: `mov rax, 0x8000000000000000; mov [${at.DATA + 2}], rax; lidt [${at.DATA}]` },
  { name: 'lgdt of a register', ref: 'SDM 2A LGDT', mode: 'prot', code: 'db 0x0f, 0x01, 0xd7' },
  ...BOTH.flatMap((mode): Program[] => [
    { name: `lldt null, ${mode}`, ref: 'SDM 2A LLDT', mode, code: 'lldt ax; sldt eax; mov ax, 4; mov fs, ax' },
    { name: `lldt outside the GDT, ${mode}`, ref: 'SDM 2A LLDT', mode, code: 'mov ax, 0x200; lldt ax' },
    { name: `lldt out of the LDT, ${mode}`, ref: 'SDM 2A LLDT', mode, code: 'mov ax, 4; lldt ax' },
    { name: `lldt of data, ${mode}`, ref: 'SDM 2A LLDT', mode, code: `mov ax, ${at.DATA32}; lldt ax` },
    { name: `lldt of a TSS, ${mode}`, ref: 'SDM 2A LLDT', mode, code: `mov ax, ${at.TSS_SEL}; lldt ax` },
    { name: `lldt absent, ${mode}`, ref: 'SDM 2A LLDT', mode, setup: (m) => m.gdt(0x100, { base: at.LDT, limit: 0x3f, attr: 0x02 }), code: 'mov ax, 0x100; lldt ax' },
    { name: `lldt with RPL 3, ${mode}`, ref: 'SDM 2A LLDT', mode, code: `mov ax, ${at.LDT_SEL | 3}; lldt ax; sldt eax` },
    { name: `ltr null, ${mode}`, ref: 'SDM 2A LTR', mode, code: 'ltr ax' },
    { name: `ltr busy, ${mode}`, ref: 'SDM 2A LTR', mode, code: `mov ax, ${at.TSS_SEL}; ltr ax` },
    { name: `ltr outside the GDT, ${mode}`, ref: 'SDM 2A LTR', mode, code: 'mov ax, 0x200; ltr ax' },
    { name: `ltr out of the LDT, ${mode}`, ref: 'SDM 2A LTR', mode, code: 'mov ax, 4; ltr ax' },
    { name: `ltr of an LDT, ${mode}`, ref: 'SDM 2A LTR', mode, code: `mov ax, ${at.LDT_SEL}; ltr ax` },
    { name: `ltr absent, ${mode}`, ref: 'SDM 2A LTR', mode, setup: (m) => m.gdt(0x100, { base: at.TSS, limit: 0x67, attr: 0x09 }), code: 'mov ax, 0x100; ltr ax' },
    { name: `ltr marks busy, ${mode}`, ref: 'SDM 2A LTR', mode, setup: (m) => m.gdt(0x100, { base: at.TSS, limit: 0x67, attr: 0x89 }), code: `mov ax, 0x100; ltr ax; str ecx; mov eax, [${at.GDT + 0x104}]` },
    { name: `ltr of a 16-bit TSS, ${mode}`, ref: 'SDM 2A LTR', mode, setup: (m) => m.gdt(0x100, { base: at.TSS_16, limit: 0x2b, attr: 0x81 }), code: `mov ax, 0x100; ltr ax; str ecx; mov eax, [${at.GDT + 0x104}]` },
    { name: `lldt with an upper type, ${mode}`, ref: 'SDM 3A 3.5', mode, setup: (m) => m.gdt(0x100, { base: at.LDT, limit: 0x3f, attr: 0x82 }).u32(at.GDT + 0x10c, 0x1f00), code: 'mov ax, 0x100; lldt ax' },
    { name: `ltr with an upper type, ${mode}`, ref: 'SDM 3A 3.5', mode, setup: (m) => m.gdt(0x100, { base: at.TSS, limit: 0x67, attr: 0x89 }).u32(at.GDT + 0x10c, 0x1f00), code: 'mov ax, 0x100; ltr ax' },
    { name: `lldt cut by the limit, ${mode}`, ref: 'SDM 2A LLDT', mode, setup: (m) => m.gdt(0x1f8, { base: at.LDT, limit: 0x3f, attr: 0x82 }), code: 'mov ax, 0x1f8; lldt ax' },
  ]),
];

/** LAR, LSL, VERR and VERW of one selector: values in AX and DX, the four ZFs in CL, CH, BL, BH. */
const ask = (selector: number) =>
  `mov esi, ${selector}; mov eax, 0x777; mov edx, 0x888; lar eax, si; sete cl; lsl edx, si; sete ch; verr si; sete bl; verw si; sete bh; mov edi, 0; cmp edi, 0`;
const ASKED: Readonly<Record<string, number>> = {
  null: 0,
  'null with RPL': 3,
  'outside the GDT': 0x200,
  'outside the LDT': 0x44,
  'ring 0 code': at.CODE32,
  'ring 0 data': at.DATA32,
  'ring 0 data with RPL 3': at.DATA32 | 3,
  'ring 3 data': at.UDATA32,
  'conforming code': at.CONFORMING,
  'conforming code with RPL 3': at.CONFORMING | 3,
  'execute-only code': at.EXECUTE_ONLY,
  'read-only data': at.READ_ONLY,
  'absent data': at.ABSENT_DATA,
  LDT: at.LDT_SEL,
  TSS: at.TSS_SEL,
};
const REF_ASK = 'SDM 2A LAR';
const asking: Program[] = BOTH.flatMap((mode): Program[] => [
  ...Object.entries(ASKED).map(([what, selector]): Program => ({ name: `${what}, ${mode}`, ref: REF_ASK, mode, code: ask(selector) })),
  ...['ring 0 code', 'ring 3 data', 'conforming code', 'TSS'].map((what): Program => ({ name: `${what} from ring 3, ${mode}`, ref: REF_ASK, mode, code: user(mode, ask(ASKED[what] ?? 0)) })),
  ...Array.from({ length: 16 }, (_, type): Program => ({ name: `system type ${type}, ${mode}`, ref: 'SDM 3A 3.5', mode, setup: (m) => m.gdt(0x100, { base: at.TSS, limit: 0x67, attr: 0x80 | type }), code: ask(0x100) })),
]);

/** Segments in the order that SYSCALL and SYSRET want: 64-bit code and data of ring 0; 32-bit code, data, 64-bit code of ring 3. */
const SYS = 0x140;
const syscallSegments: NonNullable<Program['setup']> = (m) => {
  m.gdt(SYS, { attr: 0xa09b });
  m.gdt(SYS + 8, { attr: 0xc093 });
  m.gdt(SYS + 16, { attr: 0xc09b | dpl(3) });
  m.gdt(SYS + 24, { attr: 0xc093 | dpl(3) });
  m.gdt(SYS + 32, { attr: 0xa09b | dpl(3) });
};
const star = wrmsr(0xc0000081, 0, ((SYS + 16) << 16) | SYS);
const system = (code: string, mask = 0) =>
  `${star}; mov ecx, 0xc0000082; mov eax, s; xor edx, edx; wrmsr; mov ecx, 0xc0000083; mov eax, k; wrmsr; ${wrmsr(0xc0000084, mask)}; ${CLEAR}; push 2; popfq; ${code}`;
const TAIL = `\ns:\nmov ebx, 0x64; ${DONE}\nk:\nmov ebx, 0x32; ${DONE}`;
const REF_SYS = 'SDM 2B SYSCALL';
const calls: Program[] = [
  { name: 'syscall without SCE', ref: REF_SYS, mode: 'long', code: user('long', 'syscall') },
  { name: 'sysret without SCE', ref: 'SDM 2B SYSRET', mode: 'long', code: 'o64 sysret' },
  { name: 'syscall from ring 3', ref: REF_SYS, mode: 'long', efer: SCE, setup: syscallSegments, code: system(`${user64('u', 0x202)}\nu:\nsyscall${TAIL}`) },
  { name: 'syscall masks flags', ref: REF_SYS, mode: 'long', efer: SCE, setup: syscallSegments, code: system(`${user64('u', 0x40202)}\nu:\nsyscall${TAIL}`, 0x40200) },
  { name: 'syscall from ring 0', ref: REF_SYS, mode: 'long', efer: SCE, setup: syscallSegments, code: system(`syscall${TAIL}`) },
  { name: 'sysretq', ref: 'SDM 2B SYSRET', mode: 'long', efer: SCE, setup: syscallSegments, code: system(`mov ecx, u; mov r11d, 0x202; o64 sysret\nu:\n${DONE}${TAIL}`) },
  { name: 'sysretq of all flags', ref: 'SDM 2B SYSRET', mode: 'long', efer: SCE, setup: syscallSegments, code: system(`mov ecx, u; mov r11, 0xffbefeff; o64 sysret\nu:\n${DONE}${TAIL}`) },
  { name: 'sysretl', ref: 'SDM 2B SYSRET', mode: 'long', efer: SCE, setup: syscallSegments, code: system(`mov ecx, u; mov r11d, 0x202; o32 sysret\nu:\n${DONE}${TAIL}`) },
  { name: 'sysret in ring 3', ref: 'SDM 2B SYSRET', mode: 'long', efer: SCE, code: user('long', 'o64 sysret') },
  { name: 'sysretq to an address not canonical', ref: 'APM 3 SYSRET', mode: 'long', efer: SCE, setup: syscallSegments, code: system(`mov rcx, 0x8000000000000000; mov r11d, 2; mov esp, ${at.STACK3}; o64 sysret${TAIL}`) },
  { name: 'sysenter without SYSENTER_CS', ref: 'SDM 2B SYSENTER', mode: 'prot', code: user('prot', 'sysenter') },
  { name: 'sysenter', ref: 'SDM 2B SYSENTER', mode: 'prot', setup: syscallSegments, code: `${wrmsr(0x174, at.CODE32)}; ${wrmsr(0x175, at.STACK0)}; mov ecx, 0x176; mov eax, s; wrmsr; ${CLEAR}; ${user32('u', 0x202)}\nu:\nsysenter\ns:\nmov ebx, 1; ${DONE}` },
  { name: 'sysexit without SYSENTER_CS', ref: 'SDM 2B SYSEXIT', mode: 'prot', code: 'sysexit' },
  { name: 'sysexit', ref: 'SDM 2B SYSEXIT', mode: 'prot', code: `${wrmsr(0x174, at.CODE32)}; mov edx, s; mov ecx, ${at.STACK3}; sysexit\ns:\nmov ebx, 1; ${DONE}` },
  { name: 'sysexit in ring 3', ref: 'SDM 2B SYSEXIT', mode: 'prot', code: user('prot', 'sysexit') },
  { name: 'sysenter in real mode', ref: 'SDM 2B SYSENTER', mode: 'real', code: 'sysenter' },
];

const IOMAP = at.TSS + 0x68;
const opened = (...ports: readonly number[]): NonNullable<Program['setup']> => (m) => {
  const bytes = new Map<number, number>();
  for (const port of ports) bytes.set(port >> 3, (bytes.get(port >> 3) ?? 0xff) & ~(1 << (port & 7)));
  for (const [byte, value] of bytes) m.u8(IOMAP + byte, value);
};
const REF_IO = 'SDM 1 19.5.2';
const ports: Program[] = BOTH.flatMap((mode): Program[] => [
  { name: `out with IOPL 3, ${mode}`, ref: 'SDM 1 19.5.1', mode, code: user(mode, 'out 0x80, al', 0x3002) },
  { name: `out with IOPL 2, ${mode}`, ref: 'SDM 1 19.5.1', mode, code: user(mode, 'out 0x80, al', 0x2002) },
  { name: `out to an open port, ${mode}`, ref: REF_IO, mode, setup: opened(0x80), code: user(mode, 'out 0x80, al') },
  { name: `out beside an open port, ${mode}`, ref: REF_IO, mode, setup: opened(0x80), code: user(mode, 'out 0x81, al') },
  { name: `word out, one byte closed, ${mode}`, ref: REF_IO, mode, setup: opened(0x80), code: user(mode, 'out 0x80, ax') },
  { name: `word out across bytes of the map, ${mode}`, ref: REF_IO, mode, setup: opened(0x87, 0x88), code: user(mode, 'out 0x87, ax') },
  { name: `word out across, second closed, ${mode}`, ref: REF_IO, mode, setup: opened(0x87), code: user(mode, 'out 0x87, ax') },
  { name: `port beyond the map, ${mode}`, ref: REF_IO, mode, code: user(mode, 'mov dx, 0x1000; out dx, al') },
  { name: `last port of the map, ${mode}`, ref: REF_IO, mode, setup: opened(0x3ff), code: user(mode, 'mov dx, 0x3ff; out dx, al') },
  { name: `no map at all, ${mode}`, ref: REF_IO, mode, setup: (m) => m.u16(at.TSS + 0x66, at.TSS_BYTES), code: user(mode, 'out 0x80, al') },
]);

const REF_FLAGS = 'SDM 2B POPF';
const flags: Program[] = BOTH.flatMap((mode): Program[] => {
  const all = `push 0x247ed7; ${popf(mode)}; ${pushf(mode)}; pop ${ax(mode)}; push 2; ${popf(mode)}`;
  return [
    { name: `popf in ring 0, ${mode}`, ref: REF_FLAGS, mode, code: all.replace('0x247ed7', '0x247cd7') },
    { name: `popf in ring 3 keeps IOPL and IF, ${mode}`, ref: REF_FLAGS, mode, code: user(mode, all.replace('0x247ed7', '0x247cd7')) },
    { name: `popf in ring 3 with IOPL 3 changes IF, ${mode}`, ref: REF_FLAGS, mode, code: user(mode, `push 0x202; ${popf(mode)}; ${pushf(mode)}; pop ${ax(mode)}`, 0x3002) },
    { name: `popf in ring 3 keeps IF, ${mode}`, ref: REF_FLAGS, mode, code: user(mode, `push 2; ${popf(mode)}; ${pushf(mode)}; pop ${ax(mode)}`, 0x202) },
    { name: `popf of RF and VM, ${mode}`, ref: REF_FLAGS, mode, code: `push 0x30002; ${popf(mode)}; ${pushf(mode)}; pop ${ax(mode)}` },
    { name: `popf of 16 bits keeps the upper half, ${mode}`, ref: REF_FLAGS, mode, code: `push 0x240002; ${popf(mode)}; db 0x66, 0x6a, 2, 0x66, 0x9d; ${pushf(mode)}; pop ${ax(mode)}` },
    { name: `popf of bits that there are not, ${mode}`, ref: REF_FLAGS, mode, code: `push -0x27ffd8; ${popf(mode)}; ${pushf(mode)}; pop ${ax(mode)}; push 2; ${popf(mode)}`.replace('-0x27ffd8', '-0x3fffd8') },
    { name: `cli in ring 3 with IOPL 3, ${mode}`, ref: 'SDM 2A CLI', mode, code: user(mode, `cli; ${pushf(mode)}; pop ${ax(mode)}`, 0x3202) },
    { name: `sti in ring 3 with IOPL 3, ${mode}`, ref: 'SDM 2B STI', mode, code: user(mode, `sti; ${pushf(mode)}; pop ${ax(mode)}`, 0x3002) },
    { name: `sti in ring 3 with IOPL 1, ${mode}`, ref: 'SDM 2B STI', mode, code: user(mode, 'sti', 0x1002) },
    { name: `the ID flag, ${mode}`, ref: 'SDM 1 3.4.3.3', mode, code: user(mode, `push 0x200002; ${popf(mode)}; ${pushf(mode)}; pop ${ax(mode)}`) },
  ];
});

export const privilegedPrograms = programs('privilege', privileged);
export const controlPrograms = programs('control registers', controls);
export const msrPrograms = programs('MSRs', msrs);
export const tablePrograms = programs('descriptor tables', tables);
export const askingPrograms = programs('selectors asked about', asking);
export const callPrograms = programs('system calls', calls);
export const portPrograms = programs('ports', ports);
export const flagPrograms = programs('flags', flags);
