// Descriptor-table registers, LDTR and TR, and the instructions that ask about a selector.

import * as at from '../layout.ts';
import { BOTH, inRing3, type Program, programs } from '../program.ts';

const tables: Program[] = [
  {
    name: 'sgdt',
    ref: 'SDM 2B SGDT',
    mode: 'prot',
    code: `sgdt [${at.DATA}]; mov eax, [${at.DATA}]; mov ecx, [${at.DATA + 4}]`,
  },
  {
    name: 'sgdt, long',
    ref: 'SDM 2B SGDT',
    mode: 'long',
    code: `mov dword ptr [${at.DATA + 8}], -1; sgdt [${at.DATA}]; mov rax, [${at.DATA}]; mov rcx, [${at.DATA + 8}]`,
  },
  {
    name: 'sidt with a 16-bit operand',
    ref: 'SDM 2B SIDT',
    mode: 'prot',
    code: `o16 sidt [${at.DATA}]; mov eax, [${at.DATA}]; mov ecx, [${at.DATA + 4}]`,
  },
  {
    name: 'lgdt with a 16-bit operand takes 24 bits',
    ref: 'SDM 2A LGDT',
    mode: 'prot',
    code: `mov dword ptr [${at.DATA}], ${(at.GDT << 16) | (at.GDT_BYTES - 1)}; mov dword ptr [${at.DATA + 4}], 0xab00; o16 lgdt [${at.DATA}]; sgdt [${at.DATA + 16}]; mov eax, [${at.DATA + 16}]; mov ecx, [${at.DATA + 20}]`,
  },
  {
    name: 'lgdt not canonical',
    ref: 'SDM 2A LGDT',
    mode: 'long',
    code: `mov rax, 0x80000000000000; mov [${at.DATA + 2}], rax; lgdt [${at.DATA}]`.replace(
      '0x80000000000000;',
      '0x8000000000000000;',
    ),
  },
  {
    name: 'lidt not canonical',
    ref: 'SDM 2A LGDT',
    mode: 'long',
    code: `mov rax, 0x8000000000000000; mov [${at.DATA + 2}], rax; lidt [${at.DATA}]`,
  },
  { name: 'lgdt of a register', ref: 'SDM 2A LGDT', mode: 'prot', code: 'db 0x0f, 0x01, 0xd7' },
  ...BOTH.flatMap((mode): Program[] => [
    {
      name: `lldt null, ${mode}`,
      ref: 'SDM 2A LLDT',
      mode,
      code: 'lldt ax; sldt eax; mov ax, 4; mov fs, ax',
    },
    {
      name: `lldt outside the GDT, ${mode}`,
      ref: 'SDM 2A LLDT',
      mode,
      code: 'mov ax, 0x200; lldt ax',
    },
    { name: `lldt out of the LDT, ${mode}`, ref: 'SDM 2A LLDT', mode, code: 'mov ax, 4; lldt ax' },
    {
      name: `lldt of data, ${mode}`,
      ref: 'SDM 2A LLDT',
      mode,
      code: `mov ax, ${at.DATA32}; lldt ax`,
    },
    {
      name: `lldt of a TSS, ${mode}`,
      ref: 'SDM 2A LLDT',
      mode,
      code: `mov ax, ${at.TSS_SEL}; lldt ax`,
    },
    {
      name: `lldt absent, ${mode}`,
      ref: 'SDM 2A LLDT',
      mode,
      setup: (m) => m.gdt(0x100, { base: at.LDT, limit: 0x3f, attr: 0x02 }),
      code: 'mov ax, 0x100; lldt ax',
    },
    {
      name: `lldt with RPL 3, ${mode}`,
      ref: 'SDM 2A LLDT',
      mode,
      code: `mov ax, ${at.LDT_SEL | 3}; lldt ax; sldt eax`,
    },
    { name: `ltr null, ${mode}`, ref: 'SDM 2A LTR', mode, code: 'ltr ax' },
    { name: `ltr busy, ${mode}`, ref: 'SDM 2A LTR', mode, code: `mov ax, ${at.TSS_SEL}; ltr ax` },
    {
      name: `ltr outside the GDT, ${mode}`,
      ref: 'SDM 2A LTR',
      mode,
      code: 'mov ax, 0x200; ltr ax',
    },
    { name: `ltr out of the LDT, ${mode}`, ref: 'SDM 2A LTR', mode, code: 'mov ax, 4; ltr ax' },
    {
      name: `ltr of an LDT, ${mode}`,
      ref: 'SDM 2A LTR',
      mode,
      code: `mov ax, ${at.LDT_SEL}; ltr ax`,
    },
    {
      name: `ltr absent, ${mode}`,
      ref: 'SDM 2A LTR',
      mode,
      setup: (m) => m.gdt(0x100, { base: at.TSS, limit: 0x67, attr: 0x09 }),
      code: 'mov ax, 0x100; ltr ax',
    },
    {
      name: `ltr marks busy, ${mode}`,
      ref: 'SDM 2A LTR',
      mode,
      setup: (m) => m.gdt(0x100, { base: at.TSS, limit: 0x67, attr: 0x89 }),
      code: `mov ax, 0x100; ltr ax; str ecx; mov eax, [${at.GDT + 0x104}]`,
    },
    {
      name: `ltr of a 16-bit TSS, ${mode}`,
      ref: 'SDM 2A LTR',
      mode,
      setup: (m) => m.gdt(0x100, { base: at.TSS_16, limit: 0x2b, attr: 0x81 }),
      code: `mov ax, 0x100; ltr ax; str ecx; mov eax, [${at.GDT + 0x104}]`,
    },
    {
      name: `lldt with an upper type, ${mode}`,
      ref: 'SDM 3A 3.5',
      mode,
      setup: (m) =>
        m.gdt(0x100, { base: at.LDT, limit: 0x3f, attr: 0x82 }).u32(at.GDT + 0x10c, 0x1f00),
      code: 'mov ax, 0x100; lldt ax',
    },
    {
      name: `ltr with an upper type, ${mode}`,
      ref: 'SDM 3A 3.5',
      mode,
      setup: (m) =>
        m.gdt(0x100, { base: at.TSS, limit: 0x67, attr: 0x89 }).u32(at.GDT + 0x10c, 0x1f00),
      code: 'mov ax, 0x100; ltr ax',
    },
    {
      name: `lldt cut by the limit, ${mode}`,
      ref: 'SDM 2A LLDT',
      mode,
      setup: (m) => m.gdt(0x1f8, { base: at.LDT, limit: 0x3f, attr: 0x82 }),
      code: 'mov ax, 0x1f8; lldt ax',
    },
  ]),
];

/** LAR, LSL, VERR and VERW of one selector: values in AX and DX, the four ZFs in CL, CH, BL, BH. */
const ask = (selector: number) =>
  `mov esi, ${selector}; mov eax, 0x777; mov edx, 0x888; lar eax, si; sete cl; and eax, 0xfff0ffff; lsl edx, si; sete ch; verr si; sete bl; verw si; sete bh; mov edi, 0; cmp edi, 0`;
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
  ...Object.entries(ASKED).map(
    ([what, selector]): Program => ({
      name: `${what}, ${mode}`,
      ref: REF_ASK,
      mode,
      code: ask(selector),
    }),
  ),
  ...['ring 0 code', 'ring 3 data', 'conforming code', 'TSS'].map(
    (what): Program => ({
      name: `${what} from ring 3, ${mode}`,
      ref: REF_ASK,
      mode,
      code: inRing3(mode, ask(ASKED[what] ?? 0)),
    }),
  ),
  ...Array.from(
    { length: 16 },
    (_, type): Program => ({
      name: `system type ${type}, ${mode}`,
      ref: 'SDM 3A 3.5',
      mode,
      setup: (m) => m.gdt(0x100, { base: at.TSS, limit: 0x67, attr: 0x80 | type }),
      code: ask(0x100),
    }),
  ),
]);

export const tablePrograms = programs('descriptor tables', tables);
export const askingPrograms = programs('selectors asked about', asking);
