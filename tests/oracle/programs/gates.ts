// Interrupt and trap gates: presence, type, privilege, handler segments, stacks out of the TSS, IST, flags on entry.

import type { Gate } from '../descriptors.ts';
import * as at from '../layout.ts';
import {
  compat,
  DONE,
  type Program,
  programs,
  stub32,
  stub64,
  user32,
  user64,
} from '../program.ts';

const REF = 'SDM 3A 6.12.1';
const REF64 = 'SDM 3A 6.14';
const VECTOR = 0x32;
const INT = `int ${VECTOR}`;
/** Interrupt gate, present, DPL 3. */
const OPEN = 0xee;

const gate =
  (more: Partial<Gate>): NonNullable<Program['setup']> =>
  (m) =>
    m.idt32(VECTOR, { selector: at.CODE32, target: stub32(VECTOR), attr: OPEN, ...more });
const gate64 =
  (more: Partial<Gate>): NonNullable<Program['setup']> =>
  (m) =>
    m.idt64(VECTOR, { selector: at.CODE64, target: stub64(VECTOR), attr: OPEN, ...more });

const u32 = (code: string): string => `${user32('u')}\nu:\n${code}`;
const u64 = (code: string): string => `${user64('u')}\nu:\n${code}`;

/** The same, with absent 64-bit code at FREE. */
const absentCode64 =
  (setup: Program['setup']): NonNullable<Program['setup']> =>
  (m, label) => {
    setup?.(m, label);
    m.gdt(at.FREE, { attr: 0xa01b });
  };

/** What every mode has: the same program with 32-bit and with 64-bit gates. */
function alike(name: string, more: Partial<Gate>, code = INT, more64 = more): Program[] {
  return [
    { name: `${name}, prot`, ref: REF, mode: 'prot', code, setup: gate(more) },
    { name: `${name}, long`, ref: REF64, mode: 'long', code, setup: gate64(more64) },
  ];
}
function alikeUser(name: string, more: Partial<Gate>, code = INT, more64 = more): Program[] {
  const [one, two] = alike(name, more, code, more64) as [Program, Program];
  return [
    { ...one, name: `${one.name}, ring 3`, code: u32(code) },
    { ...two, name: `${two.name}, ring 3`, code: u64(code) },
  ];
}

const checks: Program[] = [
  ...alike('interrupt gate', {}),
  ...alikeUser('interrupt gate', {}),
  ...alike('trap gate', { attr: 0xef }),
  ...alikeUser('gate of DPL 0', { attr: 0x8e }),
  ...alike('gate of DPL 0', { attr: 0x8e }),
  ...alikeUser('gate of DPL 2', { attr: 0xce }),
  ...alike('absent gate', { attr: 0x6e }),
  ...alikeUser('absent gate', { attr: 0x6e }),
  ...alikeUser('privilege goes before presence', { attr: 0x0e }),
  ...alike('call gate in the IDT', { attr: 0xec }),
  ...alike('segment in the IDT', { attr: 0xf2 }),
  ...alike('TSS in the IDT', { attr: 0xe9 }),
  ...alike('type 0 in the IDT', { attr: 0xe0 }),
  ...alikeUser('type goes before privilege', { attr: 0x82 }),
  ...alike('null handler segment', { selector: 0 }),
  ...alike('null handler segment with RPL', { selector: 3 }),
  ...alike('handler segment outside the GDT', { selector: 0x200 }),
  ...alike('handler segment outside the LDT', { selector: 0x44 }),
  ...alike('handler segment is data', { selector: at.DATA32 }),
  ...alike('handler segment is a TSS', { selector: at.TSS_SEL }),
  ...alike('handler segment absent', { selector: at.ABSENT_CODE }, INT, { selector: at.FREE }).map(
    (program) =>
      program.mode === 'long' ? { ...program, setup: absentCode64(program.setup) } : program,
  ),
  ...alike('handler of an outer ring', { selector: at.UCODE32 }, INT, { selector: at.UCODE64 }),
  ...alike('handler RPL does not count', { selector: at.CODE32 | 3 }, INT, {
    selector: at.CODE64 | 3,
  }),
  ...alikeUser(
    'handler in conforming code',
    { selector: at.CONFORMING, target: at.CODE + 0x40 },
    INT,
    { selector: at.CONFORMING64, target: at.CODE + 0x40 },
  ),
].map((program) =>
  program.name.startsWith('handler in conforming')
    ? { ...program, code: `${program.code}\n${'nop\n'.repeat(0x40)}${DONE}` }
    : program,
);

const BEYOND = `int ${at.VECTORS + 4}`;
const limits: Program[] = [
  { name: 'vector beyond the IDT, prot', ref: REF, mode: 'prot', code: BEYOND },
  { name: 'vector beyond the IDT, long', ref: REF64, mode: 'long', code: BEYOND },
  { name: 'vector beyond the IDT, prot, ring 3', ref: REF, mode: 'prot', code: u32(BEYOND) },
  { name: 'vector beyond the IDT, long, ring 3', ref: REF64, mode: 'long', code: u64(BEYOND) },
  {
    name: 'gate cut by the limit, prot',
    ref: REF,
    mode: 'prot',
    code: `mov word ptr [${at.DATA}], ${VECTOR * 8 + 6}; mov dword ptr [${at.DATA + 2}], ${at.IDT32}; lidt [${at.DATA}]; ${INT}`,
    setup: gate({}),
  },
  {
    name: 'gate inside the limit, prot',
    ref: REF,
    mode: 'prot',
    code: `mov word ptr [${at.DATA}], ${VECTOR * 8 + 7}; mov dword ptr [${at.DATA + 2}], ${at.IDT32}; lidt [${at.DATA}]; ${INT}`,
    setup: gate({}),
  },
  {
    name: 'gate cut by the limit, long',
    ref: REF64,
    mode: 'long',
    code: `mov word ptr [${at.DATA}], ${VECTOR * 16 + 14}; mov dword ptr [${at.DATA + 2}], ${at.IDT64}; lidt [${at.DATA}]; ${INT}`,
    setup: gate64({}),
  },
  {
    name: 'handler beyond its segment',
    ref: REF,
    mode: 'prot',
    code: INT,
    setup: (m, label) => {
      gate({ selector: at.FREE, target: 0x8000 })(m, label);
      m.gdt(at.FREE, { limit: 0x7fff, attr: 0x409b });
    },
  },
  {
    name: 'exception handler beyond its segment: EXT set',
    ref: 'SDM 3A 6.13',
    mode: 'prot',
    code: 'ud2',
    setup: (m) => {
      m.idt32(6, { selector: at.FREE, target: 0x8000, attr: 0x8e });
      m.gdt(at.FREE, { limit: 0x7fff, attr: 0x409b });
    },
  },
  {
    name: 'exception with a bad handler segment: EXT set',
    ref: 'SDM 3A 6.13',
    mode: 'prot',
    code: 'ud2',
    setup: (m) => m.idt32(6, { selector: at.DATA32, target: 0, attr: 0x8e }),
  },
  {
    name: 'exception with a bad handler segment: EXT set, long',
    ref: 'SDM 3A 6.13',
    mode: 'long',
    code: 'ud2',
    setup: (m) => m.idt64(6, { selector: at.DATA32, target: 0, attr: 0x8e }),
  },
  {
    name: 'exception with a null handler segment: EXT set',
    ref: 'SDM 3A 6.13',
    mode: 'prot',
    code: 'ud2',
    setup: (m) => m.idt32(6, { selector: 0, target: 0, attr: 0x8e }),
  },
  {
    name: 'exception with an absent handler segment: EXT set',
    ref: 'SDM 3A 6.13',
    mode: 'prot',
    code: 'ud2',
    setup: (m) => m.idt32(6, { selector: at.ABSENT_CODE, target: 0, attr: 0x8e }),
  },
];

const FLAGS = 0x7202;
const flags: Program[] = [
  {
    name: 'interrupt gate clears IF and NT',
    ref: REF,
    mode: 'prot',
    code: `push ${FLAGS}; popfd; ${INT}`,
    setup: gate({}),
  },
  {
    name: 'trap gate clears NT only',
    ref: REF,
    mode: 'prot',
    code: `push ${FLAGS}; popfd; ${INT}`,
    setup: gate({ attr: 0xef }),
  },
  {
    name: 'interrupt gate clears IF and NT, long',
    ref: REF64,
    mode: 'long',
    code: `push ${FLAGS}; popfq; ${INT}`,
    setup: gate64({}),
  },
  {
    name: 'trap gate clears NT only, long',
    ref: REF64,
    mode: 'long',
    code: `push ${FLAGS}; popfq; ${INT}`,
    setup: gate64({ attr: 0xef }),
  },
  { name: '16-bit interrupt gate', ref: REF, mode: 'prot', code: INT, setup: gate({ attr: 0xe6 }) },
  { name: '16-bit trap gate', ref: REF, mode: 'prot', code: INT, setup: gate({ attr: 0xe7 }) },
  {
    name: '16-bit interrupt gate from ring 3',
    ref: REF,
    mode: 'prot',
    code: u32(INT),
    setup: gate({ attr: 0xe6 }),
  },
  {
    name: '16-bit gate for an exception with an error code',
    ref: REF,
    mode: 'prot',
    code: 'mov ax, 0x1000; mov ds, ax',
    setup: (m) => m.idt32(13, { selector: at.CODE32, target: stub32(13), attr: 0x86 }),
  },
  {
    name: '16-bit interrupt gate in long mode',
    ref: REF64,
    mode: 'long',
    code: INT,
    setup: gate64({ attr: 0xe6 }),
  },
  {
    name: '16-bit trap gate in long mode',
    ref: REF64,
    mode: 'long',
    code: INT,
    setup: gate64({ attr: 0xe7 }),
  },
  {
    name: 'task gate in long mode',
    ref: REF64,
    mode: 'long',
    code: INT,
    setup: gate64({ attr: 0xe5, selector: at.TSS_SEL }),
  },
];

/** Ring 3 calls a handler in ring 1, whose stack is broken; the exception goes to ring 0. */
function ring1(name: string, ref: string, setup: NonNullable<Program['setup']>): Program {
  return {
    name,
    ref,
    mode: 'prot',
    code: `${u32(INT)}\nh:\n${DONE}`,
    setup: (m, label) => {
      gate({ selector: at.CODE_RING1, target: label('h') })(m, label);
      setup(m, label);
    },
  };
}
const SS1 = at.TSS + 16;
const REF_TS = 'SDM 3A 6.15 #TS';
const stacks: Program[] = [
  ring1('handler in ring 1', REF, () => {}),
  ring1('null inner SS', REF_TS, (m) => m.u32(SS1, 0)),
  ring1('null inner SS with RPL', REF_TS, (m) => m.u32(SS1, 1)),
  ring1('inner SS with another RPL', REF_TS, (m) => m.u32(SS1, at.DATA_RING1 & ~1)),
  ring1('inner SS with another DPL', REF_TS, (m) => m.u32(SS1, at.DATA32 | 1)),
  ring1('inner SS outside the GDT', REF_TS, (m) => m.u32(SS1, 0x201)),
  ring1('inner SS outside the LDT', REF_TS, (m) => m.u32(SS1, 0x45)),
  ring1('inner SS is code', REF_TS, (m) => m.u32(SS1, at.CODE_RING1)),
  ring1('inner SS is read-only', REF_TS, (m) =>
    m.u32(SS1, at.FREE | 1).gdt(at.FREE, { attr: 0xc0b1 }),
  ),
  ring1('inner SS is a system segment', REF_TS, (m) => m.u32(SS1, at.LDT_SEL | 1)),
  ring1('inner SS absent', REF_TS, (m) => m.u32(SS1, at.FREE | 1).gdt(at.FREE, { attr: 0xc033 })),
  ring1('inner stack too small', REF, (m) => m.u32(SS1 - 4, 12)),
  ring1('inner stack beyond its limit', REF, (m) =>
    m.u32(SS1, at.FREE | 1).gdt(at.FREE, { limit: 0xff, attr: 0x40b3 }),
  ),
  ring1('inner stack of 16 bits', REF, (m) =>
    m.u32(SS1, at.FREE | 1).gdt(at.FREE, { limit: 0xffff, attr: 0xb3 }),
  ),
  ring1('inner SS becomes accessed', REF, (m) =>
    m.u32(SS1, at.FREE | 1).gdt(at.FREE, { attr: 0xc0b2 }),
  ),
  {
    name: 'TSS too short for the inner stack',
    ref: REF_TS,
    mode: 'prot',
    code: `mov byte ptr [${at.GDT + at.TSS_SEL + 5}], 0x89; mov ax, ${at.TSS_SEL}; ltr ax; ${u32(INT)}\nh:\n${DONE}`,
    setup: (m, label) => {
      gate({ selector: at.CODE_RING1, target: label('h') })(m, label);
      m.gdt(at.TSS_SEL, { base: at.TSS, limit: 16, attr: 0x89 });
    },
  },
  {
    name: 'inner stack out of a 16-bit TSS',
    ref: 'SDM 3A 8.6',
    mode: 'prot',
    code: `mov ax, ${at.FREE}; ltr ax; ${u32(INT)}`,
    setup: (m, label) => {
      gate({})(m, label);
      m.gdt(at.FREE, { base: at.TSS_16, limit: 0x2b, attr: 0x81 });
      m.u16(at.TSS_16 + 2, at.STACK0 - 0x100, at.DATA32);
    },
  },
  {
    name: 'all inner stacks broken shut down',
    ref: REF_TS,
    mode: 'prot',
    code: u32(INT),
    setup: (m, label) => {
      gate({})(m, label);
      m.u32(at.TSS + 8, 0);
    },
  },
  {
    name: 'handler in the same ring on a 16-bit stack',
    ref: REF,
    mode: 'prot',
    code: `mov ax, ${at.DATA16}; mov ss, ax; mov esp, 0x12340000 ; mov sp, ${at.STACK0}; ${INT}`,
    setup: gate({}),
  },
  {
    name: 'stack fault on the way to the handler',
    ref: REF,
    mode: 'prot',
    code: `mov ax, ${at.FREE}; mov ss, ax; mov esp, 8; ${INT}`,
    setup: (m, label) => {
      gate({})(m, label);
      m.gdt(at.FREE, { limit: 0xffff, attr: 0x4093, base: at.DATA });
      m.idt32(12, { selector: at.CODE_RING1, target: 0, attr: 0x8e });
    },
  },
];

const REF_IST = 'SDM 3A 6.14.5';
const long: Program[] = [
  {
    name: 'IST 1 in the same ring',
    ref: REF_IST,
    mode: 'long',
    code: INT,
    setup: gate64({ count: 1 }),
  },
  {
    name: 'IST 2 from ring 3',
    ref: REF_IST,
    mode: 'long',
    code: u64(INT),
    setup: gate64({ count: 2 }),
  },
  {
    name: 'IST that is not canonical',
    ref: REF_IST,
    mode: 'long',
    code: INT,
    setup: (m, label) => {
      gate64({ count: 3 })(m, label);
      m.u64(at.TSS + 0x34, 0x8000000000000000n);
    },
  },
  {
    name: 'RSP0 that is not canonical',
    ref: REF64,
    mode: 'long',
    code: u64(INT),
    setup: (m, label) => {
      gate64({})(m, label);
      m.u64(at.TSS + 4, 0x8000000000000000n);
      m.idt64(12, { selector: at.CODE64, target: stub64(12), attr: 0x8e, count: 1 });
    },
  },
  {
    name: 'frame aligned to 16 bytes',
    ref: 'SDM 3A 6.14.2',
    mode: 'long',
    code: `mov esp, ${at.STACK0 - 5}; ${INT}`,
    setup: gate64({}),
  },
  {
    name: 'IST aligned to 16 bytes',
    ref: 'SDM 3A 6.14.2',
    mode: 'long',
    code: INT,
    setup: (m, label) => {
      gate64({ count: 1 })(m, label);
      m.u64(at.TSS + 0x24, at.IST1 - 9);
    },
  },
  {
    name: 'handler segment of 32 bits',
    ref: REF64,
    mode: 'long',
    code: INT,
    setup: gate64({ selector: at.CODE32 }),
  },
  {
    name: 'handler segment with L and D',
    ref: REF64,
    mode: 'long',
    code: INT,
    setup: (m, label) => {
      gate64({ selector: at.FREE })(m, label);
      m.gdt(at.FREE, { attr: 0xe09b });
    },
  },
  {
    name: 'handler address not canonical',
    ref: REF64,
    mode: 'long',
    code: INT,
    setup: (m, label) => {
      gate64({})(m, label);
      m.u32(at.IDT64 + VECTOR * 16 + 8, 0x8000);
    },
  },
  {
    name: 'from compatibility mode',
    ref: REF64,
    mode: 'long',
    code: `${compat('c')}\nc:\nuse 32\n${INT}`,
    setup: gate64({}),
  },
  {
    name: 'from compatibility mode in ring 3',
    ref: REF64,
    mode: 'long',
    code: `${compat('c', 3)}\nc:\nuse 32\n${INT}`,
    setup: gate64({}),
  },
  {
    name: 'exception in compatibility mode',
    ref: REF64,
    mode: 'long',
    code: `${compat('c', 3)}\nc:\nuse 32\nmov ax, 0x1000; mov ds, ax`,
  },
  {
    name: 'TSS too short for RSP0',
    ref: REF_TS,
    mode: 'long',
    code: `mov byte ptr [${at.GDT + at.TSS_SEL + 5}], 0x89; mov ax, ${at.TSS_SEL}; ltr ax; ${u64(INT)}`,
    setup: (m, label) => {
      gate64({})(m, label);
      m.gdt(at.TSS_SEL, { base: at.TSS, limit: 10, attr: 0x89 });
    },
  },
  {
    name: 'TSS too short for the IST',
    ref: REF_TS,
    mode: 'long',
    code: `mov byte ptr [${at.GDT + at.TSS_SEL + 5}], 0x89; mov ax, ${at.TSS_SEL}; ltr ax; ${INT}`,
    setup: (m, label) => {
      gate64({ count: 2 })(m, label);
      m.gdt(at.TSS_SEL, { base: at.TSS, limit: 0x30, attr: 0x89 });
    },
  },
];

export const gates = programs('gates', [...checks, ...limits, ...flags, ...stacks, ...long]);
