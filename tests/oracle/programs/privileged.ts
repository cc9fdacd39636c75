// Instructions that ring 3 may not run, or only under a control bit.

import * as at from '../layout.ts';
import { ax, BOTH, CLEAR, inRing3, type Program, programs } from '../program.ts';

const TSD = 4;
const UMIP = 0x800;
const OSXSAVE = 0x40000;

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
  ...Object.entries(PRIVILEGED).map(
    ([name, [code, ref]]): Program => ({
      name: `${name}, ${mode}`,
      ref,
      mode,
      code: inRing3(mode, code),
    }),
  ),
  ...REGISTERS.flatMap((register): Program[] => [
    {
      name: `mov from ${register}, ${mode}`,
      ref: 'SDM 2B MOV',
      mode,
      code: inRing3(mode, `mov ${ax(mode)}, ${register}`),
    },
    {
      name: `mov to ${register}, ${mode}`,
      ref: 'SDM 2B MOV',
      mode,
      code: inRing3(mode, `mov ${register}, ${ax(mode)}`),
    },
  ]),
  {
    name: `rdtsc with TSD, ${mode}`,
    ref: 'SDM 2B RDTSC',
    mode,
    cr4: TSD,
    code: inRing3(mode, 'rdtsc'),
  },
  {
    name: `rdtsc with TSD in ring 0, ${mode}`,
    ref: 'SDM 2B RDTSC',
    mode,
    cr4: TSD,
    code: `rdtsc; ${CLEAR}`,
  },
  {
    name: `rdtsc without TSD, ${mode}`,
    ref: 'SDM 2B RDTSC',
    mode,
    code: inRing3(mode, `rdtsc; ${CLEAR}`),
  },
  {
    name: `rdtscp with TSD, ${mode}`,
    ref: 'SDM 2B RDTSCP',
    mode,
    cr4: TSD,
    code: inRing3(mode, 'rdtscp'),
  },
  {
    name: `sgdt under UMIP, ${mode}`,
    ref: 'SDM 2B SGDT',
    mode,
    cr4: UMIP,
    code: inRing3(mode, `sgdt [${at.CODE + 0x1000}]`),
  },
  {
    name: `sidt under UMIP, ${mode}`,
    ref: 'SDM 2B SIDT',
    mode,
    cr4: UMIP,
    code: inRing3(mode, `sidt [${at.CODE + 0x1000}]`),
  },
  {
    name: `sldt under UMIP, ${mode}`,
    ref: 'SDM 2B SLDT',
    mode,
    cr4: UMIP,
    code: inRing3(mode, 'sldt ax'),
  },
  {
    name: `str under UMIP, ${mode}`,
    ref: 'SDM 2B STR',
    mode,
    cr4: UMIP,
    code: inRing3(mode, 'str ax'),
  },
  {
    name: `smsw under UMIP, ${mode}`,
    ref: 'SDM 2B SMSW',
    mode,
    cr4: UMIP,
    code: inRing3(mode, 'smsw ax'),
  },
  {
    name: `sldt and str in ring 3, ${mode}`,
    ref: 'SDM 2B SLDT',
    mode,
    code: inRing3(mode, 'sldt eax; str ecx'),
  },
  {
    name: `sidt in ring 3, ${mode}`,
    ref: 'SDM 2B SIDT',
    mode,
    code: inRing3(
      mode,
      `sidt [${at.CODE + 0x1000}]; mov eax, [${at.CODE + 0x1000}]; mov ecx, [${at.CODE + 0x1004}]`,
    ),
  },
  { name: `xsetbv without OSXSAVE, ${mode}`, ref: 'SDM 2D XSETBV', mode, code: 'xsetbv' },
  { name: `xgetbv without OSXSAVE, ${mode}`, ref: 'SDM 2D XGETBV', mode, code: 'xgetbv' },
  {
    name: `xsetbv in ring 3, ${mode}`,
    ref: 'SDM 2D XSETBV',
    mode,
    cr4: OSXSAVE,
    code: inRing3(mode, 'mov eax, 3; xsetbv'),
  },
  {
    name: `xsetbv without x87, ${mode}`,
    ref: 'SDM 2D XSETBV',
    mode,
    cr4: OSXSAVE,
    code: 'mov eax, 2; xsetbv',
  },
  {
    name: `xsetbv of another register, ${mode}`,
    ref: 'SDM 2D XSETBV',
    mode,
    cr4: OSXSAVE,
    code: 'mov eax, 3; mov ecx, 1; xsetbv',
  },
  {
    name: `xsetbv, ${mode}`,
    ref: 'SDM 2D XSETBV',
    mode,
    cr4: OSXSAVE,
    code: 'mov eax, 3; xsetbv; xor eax, eax; xgetbv; mov ebx, eax; mov eax, 1; xor edx, edx; xsetbv',
  },
]);

export const privilegedPrograms = programs('privilege', privileged);
