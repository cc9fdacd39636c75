// Loads of segment registers with every kind of selector, and accesses at the limits of segments.

import { dpl } from '../descriptors.ts';
import * as at from '../layout.ts';
import { compat, type Program, programs, stub64, user32, user64 } from '../program.ts';

const SELECTORS: Readonly<Record<string, number>> = {
  'flat data': at.DATA32,
  null: 0,
  'null with RPL': 3,
  'outside the GDT': 0x200,
  'last entry cut by the limit': 0x1f8,
  'outside the LDT': 0x44,
  'data in the LDT': 0x04,
  'data of ring 3 in the LDT': 0x17,
  'data with RPL 3': at.DATA32 | 3,
  'data of ring 3, RPL 0': at.UDATA32 & ~3,
  'data of ring 3': at.UDATA32,
  'read-only data': at.READ_ONLY,
  'readable code': at.CODE32,
  'execute-only code': at.EXECUTE_ONLY,
  'conforming code': at.CONFORMING,
  'conforming code with RPL 3': at.CONFORMING | 3,
  'absent data': at.ABSENT_DATA,
  'absent code of ring 0': at.ABSENT_CODE,
  TSS: at.TSS_SEL,
  LDT: at.LDT_SEL,
};
const REF = 'SDM 2B MOV';
const setup: NonNullable<Program['setup']> = (m) => {
  m.gdt(0x1f8, { attr: 0xc093 });
};
const loads: Program[] = Object.entries(SELECTORS).flatMap(([what, selector]): Program[] => [
  ...(['ds', 'ss', 'gs'] as const).flatMap((register): Program[] => [
    {
      name: `${register}: ${what}`,
      ref: REF,
      mode: 'prot',
      setup,
      code: `mov ax, ${selector}; mov ${register}, ax`,
    },
    {
      name: `${register} in ring 3: ${what}`,
      ref: REF,
      mode: 'prot',
      setup,
      code: `${user32('u')}\nu:\nmov ax, ${selector}; mov ${register}, ax`,
    },
  ]),
  {
    name: `ss in long mode: ${what}`,
    ref: REF,
    mode: 'long',
    setup,
    code: `mov ax, ${selector}; mov ss, ax`,
  },
  {
    name: `ss in ring 3 of long mode: ${what}`,
    ref: REF,
    mode: 'long',
    setup,
    code: `${user64('u')}\nu:\nmov ax, ${selector}; mov ss, ax`,
  },
  {
    name: `fs in ring 3 of long mode: ${what}`,
    ref: REF,
    mode: 'long',
    setup,
    code: `${user64('u')}\nu:\nmov ax, ${selector}; mov fs, ax`,
  },
]);
const others: Program[] = [
  ...(['es', 'fs'] as const).flatMap((register): Program[] => [
    {
      name: `${register}: absent`,
      ref: REF,
      mode: 'prot',
      code: `mov ax, ${at.ABSENT_DATA}; mov ${register}, ax`,
    },
    {
      name: `pop ${register}: absent`,
      ref: 'SDM 2B POP',
      mode: 'prot',
      code: `push ${at.ABSENT_DATA}; pop ${register}`,
    },
    {
      name: `pop ${register}`,
      ref: 'SDM 2B POP',
      mode: 'prot',
      code: `push ${at.UDATA32}; pop ${register}`,
    },
  ]),
  {
    name: 'pop ss: absent',
    ref: 'SDM 2B POP',
    mode: 'prot',
    code: `push ${at.ABSENT_DATA}; pop ss`,
  },
  { name: 'pop ds: null', ref: 'SDM 2B POP', mode: 'prot', code: 'push 0; pop ds' },
  {
    name: 'lds',
    ref: 'SDM 2A LDS',
    mode: 'prot',
    code: `mov dword ptr [${at.DATA}], 0x12345678; mov word ptr [${at.DATA + 4}], ${at.UDATA32}; lds esi, [${at.DATA}]`,
  },
  {
    name: 'les that faults leaves the register',
    ref: 'SDM 2A LDS',
    mode: 'prot',
    code: `mov dword ptr [${at.DATA}], 0x12345678; mov word ptr [${at.DATA + 4}], ${at.ABSENT_DATA}; les esi, [${at.DATA}]`,
  },
  {
    name: 'lss of a read-only segment',
    ref: 'SDM 2A LDS',
    mode: 'prot',
    code: `mov dword ptr [${at.DATA}], 0x12345678; mov word ptr [${at.DATA + 4}], ${at.READ_ONLY}; lss esp, [${at.DATA}]`,
  },
  {
    name: 'lss',
    ref: 'SDM 2A LDS',
    mode: 'prot',
    code: `mov dword ptr [${at.DATA}], ${at.STACK3}; mov word ptr [${at.DATA + 4}], ${at.DATA16}; lss esp, [${at.DATA}]`,
  },
  {
    name: 'accessed bit',
    ref: 'SDM 3A 3.4.5.1',
    mode: 'prot',
    setup: (m) => m.gdt(at.FREE, { attr: 0xc092 }),
    code: `mov ax, ${at.FREE}; mov fs, ax; mov eax, [${at.GDT + at.FREE + 4}]`,
  },
  {
    name: 'no accessed bit after a fault',
    ref: 'SDM 3A 3.4.5.1',
    mode: 'prot',
    setup: (m) => m.gdt(at.FREE, { attr: 0xc012 }),
    code: `mov dword ptr [${at.RESUME}], r; mov ax, ${at.FREE}; mov fs, ax\nr:\nmov eax, [${at.GDT + at.FREE + 4}]`,
  },
  {
    name: 'LDT selector without an LDT',
    ref: REF,
    mode: 'prot',
    code: `xor eax, eax; lldt ax; mov ax, 4; mov ds, ax`,
  },
  {
    name: 'push of segment registers',
    ref: 'SDM 2B PUSH',
    mode: 'prot',
    code: `mov ax, ${at.UDATA32}; mov fs, ax; push 0; mov esp, ${at.STACK0}; push fs; pop eax; movzx eax, ax`,
  },
  {
    name: 'mov to memory is 16 bits',
    ref: REF,
    mode: 'prot',
    code: `mov dword ptr [${at.DATA}], -1; mov word ptr [${at.DATA}], ds; mov eax, [${at.DATA}]`,
  },
  {
    name: 'mov to a register clears above',
    ref: REF,
    mode: 'prot',
    code: `mov eax, -1; mov eax, ds`,
  },
  {
    name: 'loading ds in long mode',
    ref: REF,
    mode: 'long',
    code: `mov ax, 0x18; mov ds, ax; mov ax, ${at.ABSENT_DATA}; mov ds, ax`,
  },
  {
    name: 'loading fs in long mode sets its base',
    ref: 'SDM 3A 3.4.4',
    mode: 'long',
    setup: (m) => m.gdt(at.FREE, { base: at.DATA, attr: 0xc093 }),
    code: `mov dword ptr [${at.DATA + 4}], 0x1234; mov ax, ${at.FREE}; mov fs, ax; mov eax, fs:[4]`,
  },
];

const SEG = at.FREE;
/** One segment of a kind, loaded into `fs` (or `ss`), and what is done with it. */
function limit(
  name: string,
  descriptor: { base?: number; limit?: number; attr: number },
  code: string,
  register = 'fs',
  mode: 'prot' | 'long' = 'prot',
): Program {
  // A broken stack is one of ring 3, so that its fault finds a good one.
  const isStack = register === 'ss';
  const attr = descriptor.attr | (isStack ? dpl(3) : 0);
  return {
    name,
    ref: isStack ? 'SDM 3A 6.15 #SS' : 'SDM 3A 5.3',
    mode,
    setup: (m) => m.gdt(SEG, { base: at.DATA, ...descriptor, attr }),
    code: `${isStack ? `${user32('u')}\nu:\n` : ''}mov ax, ${isStack ? SEG | 3 : SEG}; mov ${register}, ax; ${code}`,
  };
}
const UP = { limit: 0xff, attr: 0x4093 };
const DOWN = { limit: 0xfff, attr: 0x4097 };
const DOWN16 = { limit: 0xfff, attr: 0x97 };
const HIGH_DOWN = { base: 0x20000, limit: 0xf, attr: 0xc097 };
const limits: Program[] = [
  limit('last byte', UP, 'mov al, fs:[0xff]; xor eax, eax'),
  limit('byte behind the last', UP, 'mov al, fs:[0x100]'),
  limit('dword across the end', UP, 'mov eax, fs:[0xfd]'),
  limit('dword up to the end', UP, 'mov eax, fs:[0xfc]'),
  limit('word store across the end', UP, 'mov word ptr fs:[0xff], ax'),
  limit('offset that wraps', UP, 'mov eax, fs:[0xfffffffe]'),
  limit('limit in pages', { limit: 0, attr: 0xc093 }, 'mov eax, fs:[0xffc]; mov eax, fs:[0xffd]'),
  limit('expand-down below', DOWN, 'mov al, fs:[0xfff]'),
  limit('expand-down first byte', DOWN, 'mov al, fs:[0x1000]; xor eax, eax'),
  limit('expand-down across the limit', DOWN, 'mov eax, fs:[0xffe]'),
  limit('expand-down of 16 bits, last byte', DOWN16, 'mov al, fs:[0xffff]; xor eax, eax'),
  limit('expand-down of 16 bits, behind', DOWN16, 'mov al, fs:[0x10000]'),
  limit('expand-down of 16 bits, across', DOWN16, 'mov eax, fs:[0xfffe]'),
  limit('expand-down in pages', HIGH_DOWN, 'mov al, fs:[0xffff]'),
  limit('expand-down in pages, above', HIGH_DOWN, 'mov eax, fs:[0x10000]; xor eax, eax'),
  limit('store to read-only data', { attr: 0xc091 }, 'mov fs:[0], eax'),
  limit('read-modify-write of read-only data', { attr: 0xc091 }, 'inc dword ptr fs:[0]'),
  limit('store to code', { attr: 0xc09b }, 'mov fs:[0], eax'),
  limit('read of readable code', { attr: 0xc09b }, 'mov eax, fs:[0]'),
  {
    name: 'read of execute-only code',
    ref: 'SDM 3A 5.5',
    mode: 'prot',
    setup: (m) => m.gdt(SEG, { attr: 0xc099 }),
    code: `jmpf ${SEG}:t\nt:\nmov eax, cs:[${at.DATA}]`,
  },
  {
    name: 'store to code through cs',
    ref: 'SDM 3A 5.5',
    mode: 'prot',
    code: `mov dword ptr cs:[${at.DATA}], eax`,
  },
  { name: 'null fs', ref: 'SDM 3A 6.15 #GP', mode: 'prot', code: 'mov eax, fs:[0]' },
  {
    name: 'null fs in long mode',
    ref: 'SDM 3A 3.4.4',
    mode: 'long',
    code: `mov eax, fs:[${at.DATA}]`,
  },
  {
    name: 'null ds in compatibility mode',
    ref: 'SDM 3A 6.15 #GP',
    mode: 'long',
    code: `${compat('c')}\nc:\nuse 32\nxor eax, eax; mov ds, ax; mov eax, [${at.DATA}]`,
  },
  {
    name: 'limit in compatibility mode',
    ref: 'SDM 3A 5.3.1',
    mode: 'long',
    setup: (m) => m.gdt(SEG, { base: at.DATA, ...UP }),
    code: `${compat('c')}\nc:\nuse 32\nmov ax, ${SEG}; mov fs, ax; mov eax, fs:[0xfd]`,
  },
  limit('limit does not count in long mode', UP, 'mov eax, fs:[0xfd]', 'fs', 'long'),
  limit('push below the limit', { ...DOWN, attr: 0x4097 }, 'mov esp, 0x1002; push eax', 'ss'),
  limit(
    'push across the top of 16 bits',
    { limit: 0xffff, attr: 0x93 },
    'mov esp, 2; push 1; ',
    'ss',
  ),
  limit(
    'push wraps at 16 bits',
    { limit: 0xffff, base: at.CODE, attr: 0x93 },
    `mov esp, 0x50004; push 1; mov ecx, esp; push 2; mov edx, esp`,
    'ss',
  ),
  limit('pop beyond the limit', UP, 'mov esp, 0xfe; pop ecx', 'ss'),
  limit('access by ebp beyond the limit', UP, 'mov ebp, 0x100; mov ecx, [ebp]', 'ss'),
  limit('access by esp beyond the limit', UP, 'mov esp, 0x100; mov ecx, [esp]', 'ss'),
  {
    name: 'address not canonical',
    ref: 'SDM 1 3.3.7.1',
    mode: 'long',
    code: 'mov rax, 0x8000000000000000; mov ecx, [rax]',
  },
  {
    name: 'first address not canonical',
    ref: 'SDM 1 3.3.7.1',
    mode: 'long',
    code: 'mov rax, 0x800000000000; mov ecx, [rax]',
  },
  {
    name: 'access into the hole',
    ref: 'SDM 1 3.3.7.1',
    mode: 'long',
    code: 'mov rax, 0x7ffffffffffe; mov ecx, [rax]',
  },
  {
    name: 'stack address not canonical',
    ref: 'SDM 3A 6.15 #SS',
    mode: 'long',
    code: 'mov rbp, 0x8000000000000000; mov ecx, [rbp]',
  },
  {
    name: 'stack override of an address not canonical',
    ref: 'SDM 3A 6.15 #SS',
    mode: 'long',
    code: 'mov rax, 0x8000000000000000; db 0x36, 0x8b, 0x08',
  },
  {
    name: 'push to an address not canonical',
    ref: 'SDM 3A 6.15 #SS',
    mode: 'long',
    setup: (m) => m.idt64(12, { selector: at.CODE64, target: stub64(12), attr: 0x8e, count: 1 }),
    code: 'mov rsp, 0x8000000000000000; push rax',
  },
  {
    name: 'fs base makes the address not canonical',
    ref: 'SDM 1 3.3.7.1',
    mode: 'long',
    code: 'mov ecx, 0xc0000100; xor eax, eax; mov edx, 0x7fff; wrmsr; xor ecx, ecx; xor edx, edx; mov rax, 0x10000000000; mov ecx, fs:[rax]',
  },
  {
    name: 'string source in a null segment',
    ref: 'SDM 3A 6.15 #GP',
    mode: 'prot',
    code: `mov esi, ${at.DATA}; mov edi, ${at.DATA + 64}; mov ecx, 4; fs rep movsb`,
  },
  {
    name: 'string destination is always es',
    ref: 'SDM 2B MOVS',
    mode: 'prot',
    code: `xor eax, eax; mov es, ax; mov esi, ${at.DATA}; mov edi, ${at.DATA + 64}; mov ecx, 4; rep movsb`,
  },
  limit(
    'string runs into the limit',
    UP,
    'mov esi, 0xfe; mov edi, 0x1b000; mov ecx, 4; fs rep movsb',
  ),
];

export const segments = programs('segments', [...loads, ...others]);
export const limitPrograms = programs('limits', limits);
