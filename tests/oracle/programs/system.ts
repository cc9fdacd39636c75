// Control, debug and model-specific registers: the bits that they refuse, and what they leave.

import * as at from '../layout.ts';
import { compat, inRing3, type Program, programs, user32, wrmsr } from '../program.ts';
import type { Mode } from '../template.ts';

const CR0_PG = 0x80000000;
const CR4_DE = 8;
const FSGSBASE = 0x10000;

/** Moves to control registers, by mode. */
const REF_CR = 'SDM 2B MOV';
function control(name: string, mode: Mode, code: string, more: Partial<Program> = {}): Program {
  return { name: `${name}, ${mode}`, ref: REF_CR, mode, code, ...more };
}
const controls: Program[] = [
  control('cr0: PG without PE', 'prot', `mov eax, ${CR0_PG + 0x30}; mov cr0, eax`),
  control('cr0: NW without CD', 'prot', 'mov eax, 0x20000031; mov cr0, eax'),
  control(
    'cr0: bits that there are not',
    'prot',
    'mov eax, 0x1ffaffd1; mov cr0, eax; mov eax, cr0; and eax, 0x1ffaffff; mov ecx, 0x31; mov cr0, ecx',
  ),
  control('cr0: ET stays', 'prot', 'mov eax, 0x21; mov cr0, eax; mov eax, cr0'),
  control(
    'cr0: upper half',
    'long',
    'mov rax, cr0; mov rcx, 0x100000000; or rax, rcx; mov cr0, rax',
  ),
  control('cr0: PE off with paging', 'paged', 'mov eax, cr0; and eax, -2; mov cr0, eax'),
  control('cr0: paging off in 64-bit code', 'long', 'mov rax, cr0; btr rax, 31; mov cr0, rax'),
  control(
    'cr0: paging on with LME and without PAE',
    'prot',
    `mov ecx, 0xc0000080; mov eax, 0x100; wrmsr; mov eax, ${at.PML4}; mov cr3, eax; mov eax, 0x80000031; mov cr0, eax`,
  ),
  control(
    'cr0: paging off and on in compatibility mode',
    'long',
    `${compat('c')}\nc:\nuse 32\nmov eax, cr0; and eax, 0x7fffffff; mov cr0, eax; mov ecx, 0xc0000080; rdmsr; mov ebx, eax; mov eax, cr0; or eax, ${CR0_PG}; mov cr0, eax; rdmsr; xor edx, edx`,
  ),
  control('cr4: a reserved bit', 'prot', 'mov eax, 0x80000000; mov cr4, eax'),
  control('cr4: bit 15', 'prot', 'mov eax, 0x8000; mov cr4, eax'),
  control(
    'cr4: upper half',
    'long',
    'mov rax, cr4; mov rcx, 0x100000000; or rax, rcx; mov cr4, rax',
  ),
  control('cr4: PAE off', 'long', 'xor eax, eax; mov cr4, rax'),
  control('cr4: PCIDE outside long mode', 'pae', 'mov eax, 0x20020; mov cr4, eax'),
  control(
    'cr4: PCIDE with a PCID in cr3',
    'long',
    `mov eax, ${at.PML4 + 8}; mov cr3, rax; mov eax, 0x20020; mov cr4, rax`,
  ),
  control('cr4: PCIDE', 'long', 'mov eax, 0x20020; mov cr4, rax; mov rcx, cr4'),
  control(
    'cr0: paging off with PCIDE',
    'long',
    `mov eax, 0x20020; mov cr4, rax; ${compat('c')}\nc:\nuse 32\nmov eax, cr0; and eax, 0x7fffffff; mov cr0, eax`,
  ),
  control('cr3: bit 63 without PCIDE', 'long', `mov rax, 0x8000000000010000; mov cr3, rax`),
  control('cr3: bit 62', 'long', `mov rax, 0x4000000000010000; mov cr3, rax`),
  control('cr3: bit 52', 'long', `mov rax, 0x10000000010000; mov cr3, rax`),
  control('cr3: low bits', 'long', `mov eax, ${at.PML4 + 0x18}; mov cr3, rax; mov rcx, cr3`),
  control(
    'cr3: bit 63 with PCIDE',
    'long',
    'mov eax, 0x20020; mov cr4, rax; mov rax, 0x8000000000010001; mov cr3, rax; mov rcx, cr3',
  ),
  control('cr8', 'long', 'mov eax, 9; mov cr8, rax; mov rcx, cr8; xor eax, eax; mov cr8, rax'),
  control('cr8: above 15', 'long', 'mov eax, 16; mov cr8, rax'),
  ...[1, 5, 6, 7].map((n) => control(`cr${n}`, 'prot', `db 0x0f, 0x20, ${0xc0 | (n << 3)}`)),
  control('mov from cr1 in ring 3', 'prot', `${user32('u')}\nu:\ndb 0x0f, 0x20, 0xc8`),
  control('operand size does not count', 'prot', 'db 0x66, 0x0f, 0x20, 0xc0'),
  control('a memory form is a register form', 'prot', 'db 0x0f, 0x20, 0x00'),
  control('dr4 without DE is dr6', 'prot', 'mov eax, dr4; mov ecx, dr6'),
  control('dr5 without DE is dr7', 'prot', 'mov eax, dr5'),
  control('dr4 with DE', 'prot', 'mov eax, dr4', { cr4: CR4_DE }),
  control('dr5 with DE', 'prot', 'mov dr5, eax', { cr4: CR4_DE }),
  control(
    'dr6: fixed bits',
    'prot',
    'xor eax, eax; mov dr6, eax; mov ecx, dr6; dec eax; mov dr6, eax; mov eax, dr6; and eax, 0xf00f',
  ),
  control('dr7: fixed bits', 'prot', 'xor eax, eax; mov dr7, eax; mov ecx, dr7'),
  control('dr6: upper half', 'long', 'mov rax, 0x100000000; mov dr6, rax'),
  control('dr7: upper half', 'long', 'mov rax, 0x100000000; mov dr7, rax'),
  control('dr0: upper half', 'long', 'mov rax, 0x123456789abcdef0; mov dr0, rax; mov rcx, dr0'),
  control('smsw to a register', 'prot', 'mov eax, -1; smsw eax'),
  control(
    'smsw to memory is 16 bits',
    'prot',
    `mov dword ptr [${at.DATA}], -1; smsw word ptr [${at.DATA}]; mov eax, [${at.DATA}]`,
  ),
  control('lmsw cannot clear PE', 'prot', 'xor eax, eax; lmsw ax; mov eax, cr0'),
  control(
    'lmsw sets MP EM TS only',
    'prot',
    'mov eax, 0xffff; lmsw ax; mov eax, cr0; clts; mov ecx, cr0',
  ),
  control('clts', 'prot', 'clts; mov eax, cr0', { cr0: 8 }),
];

const msrs: Program[] = [
  { name: 'EFER: reserved bit', ref: 'SDM 2B WRMSR', mode: 'long', code: wrmsr(0xc0000080, 0x502) },
  {
    name: 'EFER: LME off with paging',
    ref: 'SDM 3A 10.8.5',
    mode: 'long',
    code: wrmsr(0xc0000080, 0x400),
  },
  {
    name: 'EFER: LME on with paging',
    ref: 'SDM 3A 10.8.5',
    mode: 'pae',
    code: wrmsr(0xc0000080, 0x100),
  },
  {
    name: 'EFER: LMA is not written',
    ref: 'SDM 3A 2.2.1',
    mode: 'prot',
    code: `${wrmsr(0xc0000080, 0x400)}; rdmsr`,
  },
  {
    name: 'EFER: upper half',
    ref: 'SDM 2B WRMSR',
    mode: 'long',
    code: wrmsr(0xc0000080, 0x500, 1),
  },
  {
    name: 'EFER in long mode',
    ref: 'SDM 3A 2.2.1',
    mode: 'long',
    code: 'mov ecx, 0xc0000080; rdmsr',
  },
  {
    name: 'LSTAR not canonical',
    ref: 'SDM 2B WRMSR',
    mode: 'long',
    code: wrmsr(0xc0000082, 0, 0x8000),
  },
  {
    name: 'CSTAR not canonical',
    ref: 'SDM 2B WRMSR',
    mode: 'long',
    code: wrmsr(0xc0000083, 0, 0x8000),
  },
  {
    name: 'FS base not canonical',
    ref: 'SDM 2B WRMSR',
    mode: 'long',
    code: wrmsr(0xc0000100, 0, 0x8000),
  },
  {
    name: 'GS base not canonical',
    ref: 'SDM 2B WRMSR',
    mode: 'long',
    code: wrmsr(0xc0000101, 0, 0x8000),
  },
  {
    name: 'kernel GS base not canonical',
    ref: 'SDM 2B WRMSR',
    mode: 'long',
    code: wrmsr(0xc0000102, 0, 0x8000),
  },
  {
    name: 'SYSENTER_EIP not canonical',
    ref: 'SDM 2B WRMSR',
    mode: 'long',
    code: wrmsr(0x176, 0, 0x8000),
  },
  {
    name: 'TSC_AUX',
    ref: 'SDM 2B RDTSCP',
    mode: 'long',
    code: `${wrmsr(0xc0000103, 0x1234)}; rdtscp; xor eax, eax; xor edx, edx; mov ebx, ecx; mov ecx, 0xc0000103; wrmsr`,
  },
  {
    name: 'PAT with a reserved type',
    ref: 'SDM 3A 12.12.2',
    mode: 'prot',
    code: wrmsr(0x277, 0x02),
  },
  {
    name: 'MSR that there is not',
    ref: 'SDM 2B RDMSR',
    mode: 'prot',
    code: 'mov ecx, 0x12345678; rdmsr',
  },
  {
    name: 'write to an MSR that there is not',
    ref: 'SDM 2B WRMSR',
    mode: 'prot',
    code: 'mov ecx, 0x12345678; wrmsr',
  },
  {
    name: 'swapgs',
    ref: 'SDM 2B SWAPGS',
    mode: 'long',
    code: `${wrmsr(0xc0000101, 0x1111)}; ${wrmsr(0xc0000102, 0x2222)}; swapgs; mov ecx, 0xc0000101; rdmsr; mov ebx, eax; mov ecx, 0xc0000102; rdmsr; mov esi, eax; xor eax, eax; mov ecx, 0xc0000101; wrmsr`,
  },
  { name: 'swapgs in ring 3', ref: 'SDM 2B SWAPGS', mode: 'long', code: inRing3('long', 'swapgs') },
  {
    name: 'swapgs in compatibility mode',
    ref: 'SDM 2B SWAPGS',
    mode: 'long',
    code: `${compat('c')}\nc:\nuse 32\ndb 0x0f, 0x01, 0xf8`,
  },
  {
    name: 'wrfsbase',
    ref: 'SDM 2B WRFSBASE',
    mode: 'long',
    cr4: FSGSBASE,
    code: inRing3(
      'long',
      'mov rax, 0x123456789000; wrfsbase rax; rdfsbase rcx; xor eax, eax; wrfsbase rax',
    ),
  },
  {
    name: 'wrfsbase not canonical',
    ref: 'SDM 2B WRFSBASE',
    mode: 'long',
    cr4: FSGSBASE,
    code: 'mov rax, 0x8000000000000000; wrfsbase rax',
  },
  { name: 'rdfsbase without FSGSBASE', ref: 'SDM 2B RDFSBASE', mode: 'long', code: 'rdfsbase rax' },
  {
    name: 'invpcid of type 4',
    ref: 'SDM 2A INVPCID',
    mode: 'long',
    code: `mov eax, 4; invpcid rax, xmmword ptr [${at.DATA}]`,
  },
  {
    name: 'invpcid with reserved bits',
    ref: 'SDM 2A INVPCID',
    mode: 'long',
    code: `mov dword ptr [${at.DATA}], 0x1000; invpcid rax, xmmword ptr [${at.DATA}]`,
  },
  {
    name: 'invpcid of a PCID without PCIDE',
    ref: 'SDM 2A INVPCID',
    mode: 'long',
    code: `mov dword ptr [${at.DATA}], 1; invpcid rax, xmmword ptr [${at.DATA}]`,
  },
  {
    name: 'invpcid of an address not canonical',
    ref: 'SDM 2A INVPCID',
    mode: 'long',
    code: `mov dword ptr [${at.DATA + 12}], 0x80000000; invpcid rax, xmmword ptr [${at.DATA}]`,
  },
  {
    name: 'invpcid of everything',
    ref: 'SDM 2A INVPCID',
    mode: 'long',
    code: `mov eax, 2; invpcid rax, xmmword ptr [${at.DATA}]`,
  },
  {
    name: 'invpcid in ring 3',
    ref: 'SDM 2A INVPCID',
    mode: 'long',
    code: inRing3('long', `invpcid rax, xmmword ptr [${at.CODE}]`),
  },
];

export const controlPrograms = programs('control registers', controls);
export const msrPrograms = programs('MSRs', msrs);
