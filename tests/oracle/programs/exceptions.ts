// Every exception with its error code and its kind (fault or trap), in protected and long mode, and what follows a second one.

import * as at from '../layout.ts';
import {
  DONE,
  type Program,
  programs,
  returns,
  stub32,
  stub64,
  user32,
  user64,
} from '../program.ts';
import type { Mode } from '../template.ts';

const CR0_MP = 2;
const CR0_EM = 4;
const CR0_TS = 8;
const CR0_AM = 0x40000;
const OSFXSR = 0x200;
const OSXMMEXCPT = 0x400;
const TF = 0x102;
const AC = 0x40002;
const NP_GATE = 0x0e;

/** The same in protected and in long mode. */
function both(name: string, ref: string, code: string, more: Partial<Program> = {}): Program[] {
  return (['prot', 'long'] as const).map((mode) => ({
    name: `${name}, ${mode}`,
    ref,
    mode,
    code,
    ...more,
  }));
}

const user = (mode: Mode, code: string, flags = 2): string =>
  `${mode === 'long' ? user64('u', flags) : user32('u', flags)}\nu:\n${code}`;

const simple: Program[] = [
  ...both('#DE by 0', 'SDM 3A 6.15 #DE', 'div cl'),
  ...both('#DE by overflow', 'SDM 3A 6.15 #DE', 'mov eax, 0x1000; mov cl, 1; div cl'),
  ...both(
    '#DE of idiv, most negative',
    'SDM 2A IDIV',
    'mov edx, 0x80000000; mov ecx, -1; idiv ecx',
  ),
  ...both('icebp is a trap', 'SDM 3A 6.15 #DB', 'int1'),
  ...both('int3 is a trap', 'SDM 3A 6.15 #BP', 'int3'),
  ...both('int 3', 'SDM 3A 6.15 #BP', 'db 0xcd, 3'),
  ...both('ud2', 'SDM 3A 6.15 #UD', 'ud2'),
  ...both('lock on an instruction without it', 'SDM 3A 6.15 #UD', 'db 0xf0, 0x90'),
  ...both('lock on a register form', 'SDM 3A 6.15 #UD', 'db 0xf0, 0x01, 0xc0'),
  ...both('lock on a form that only reads', 'SDM 3A 6.15 #UD', 'db 0xf0, 0x39, 0x00'),
  ...both('mov to cs', 'SDM 2B MOV', 'db 0x8e, 0xc8'),
  ...both('mov from a segment register that there is not', 'SDM 2B MOV', 'db 0x8c, 0xf0'),
  ...both('16 bytes of prefixes', 'SDM 3A 6.15 #GP', `db ${'0x2e,'.repeat(15)}0x90`),
  ...both('15 bytes are enough', 'SDM 3A 6.15 #GP', `db ${'0x2e,'.repeat(14)}0x90\n${DONE}`),
  ...both('#NM: x87 under TS', 'SDM 3A 6.15 #NM', 'fld1', { cr0: CR0_TS }),
  ...both('#NM: x87 under EM', 'SDM 3A 6.15 #NM', 'fld1', { cr0: CR0_EM }),
  ...both('#NM: wait under TS and MP', 'SDM 3A 6.15 #NM', 'fwait', { cr0: CR0_TS | CR0_MP }),
  ...both('wait under TS alone', 'SDM 3A 6.15 #NM', `fwait; ${DONE}`, { cr0: CR0_TS }),
  ...both('#NM: SSE under TS', 'SDM 3A 6.15 #NM', 'xorps xmm0, xmm0', { cr0: CR0_TS, cr4: OSFXSR }),
  ...both('#UD: SSE without OSFXSR', 'SDM 3A 6.15 #UD', 'xorps xmm0, xmm0'),
  ...both('#UD: SSE under EM', 'SDM 3A 6.15 #UD', 'xorps xmm0, xmm0', { cr0: CR0_EM, cr4: OSFXSR }),
  ...both('#UD goes before #NM for SSE', 'SDM 3A 6.9', 'xorps xmm0, xmm0', { cr0: CR0_TS }),
  ...both(
    '#MF at the next x87 instruction',
    'SDM 3A 6.15 #MF',
    `mov word ptr [${at.DATA}], 0x37b; fldcw word ptr [${at.DATA}]; fld1; fldz; fdivp st1, st0; nop; fld1`,
  ),
  ...both(
    '#MF at wait',
    'SDM 3A 6.15 #MF',
    `mov word ptr [${at.DATA}], 0x37b; fldcw word ptr [${at.DATA}]; fld1; fldz; fdivp st1, st0; nop; fwait`,
  ),
  ...both(
    '#XM by division',
    'SDM 3A 6.15 #XM',
    `mov dword ptr [${at.DATA}], 0x1d80; ldmxcsr dword ptr [${at.DATA}]; mov dword ptr [${at.DATA}], 0x3f800000
     movss xmm0, dword ptr [${at.DATA}]; xorps xmm1, xmm1; divss xmm0, xmm1`,
    { cr4: OSFXSR | OSXMMEXCPT },
  ),
  ...both(
    '#UD for #XM without OSXMMEXCPT',
    'SDM 3A 6.15 #XM',
    `mov dword ptr [${at.DATA}], 0x1d80; ldmxcsr dword ptr [${at.DATA}]; mov dword ptr [${at.DATA}], 0x3f800000
     movss xmm0, dword ptr [${at.DATA}]; xorps xmm1, xmm1; divss xmm0, xmm1`,
    { cr4: OSFXSR },
  ),
  ...both(
    'ldmxcsr with a reserved bit',
    'SDM 2A LDMXCSR',
    `mov dword ptr [${at.DATA}], 0x10000; ldmxcsr dword ptr [${at.DATA}]`,
    { cr4: OSFXSR },
  ),
  ...both('movaps on 8 bytes', 'SDM 3A 6.15 #GP', `movaps xmm0, xmmword ptr [${at.DATA + 8}]`, {
    cr4: OSFXSR,
  }),
];

const outer: Program[] = (['prot', 'long'] as const).flatMap((mode): Program[] => [
  {
    name: `#AC in ring 3, ${mode}`,
    ref: 'SDM 3A 6.15 #AC',
    mode,
    cr0: CR0_AM,
    code: user(mode, `mov eax, [${at.CODE + 0x1001}]`, AC),
  },
  {
    name: `no #AC for an aligned access, ${mode}`,
    ref: 'SDM 3A 6.15 #AC',
    mode,
    cr0: CR0_AM,
    code: user(mode, `mov eax, [${at.CODE + 0x1004}]; ${DONE}`, AC),
  },
  {
    name: `no #AC without AM, ${mode}`,
    ref: 'SDM 3A 6.15 #AC',
    mode,
    code: user(mode, `mov eax, [${at.CODE + 0x1001}]; ${DONE}`, AC),
  },
  {
    name: `no #AC without AC, ${mode}`,
    ref: 'SDM 3A 6.15 #AC',
    mode,
    cr0: CR0_AM,
    code: user(mode, `mov eax, [${at.CODE + 0x1001}]; ${DONE}`),
  },
  {
    name: `no #AC in ring 0, ${mode}`,
    ref: 'SDM 3A 6.15 #AC',
    mode,
    cr0: CR0_AM,
    code: `push ${AC}; ${mode === 'long' ? 'popfq' : 'popfd'}; mov eax, [${at.CODE + 0x1001}]; ${DONE}`,
  },
  {
    name: `#AC of a word store, ${mode}`,
    ref: 'SDM 3A 6.15 #AC',
    mode,
    cr0: CR0_AM,
    code: user(mode, `mov word ptr [${at.CODE + 0x1003}], ax`, AC),
  },
  {
    name: `#AC of a push, ${mode}`,
    ref: 'SDM 3A 6.15 #AC',
    mode,
    cr0: CR0_AM,
    code: user(mode, `lea esp, [${mode === 'long' ? 'rsp' : 'esp'}-1]; push 1`, AC),
  },
  { name: `#BP in ring 3, ${mode}`, ref: 'SDM 3A 6.15 #BP', mode, code: user(mode, 'int3') },
  {
    name: `icebp in ring 3 asks no privilege of its gate, ${mode}`,
    ref: 'SDM 2A INT n',
    mode,
    code: user(mode, 'int1'),
  },
  { name: `int 1 in ring 3, ${mode}`, ref: 'SDM 2A INT n', mode, code: user(mode, 'db 0xcd, 1') },
  { name: `#DE in ring 3, ${mode}`, ref: 'SDM 3A 6.15 #DE', mode, code: user(mode, 'div cl') },
]);

const protectedOnly: Program[] = [
  { name: 'into with OF', ref: 'SDM 3A 6.15 #OF', mode: 'prot', code: 'push 0x802; popfd; into' },
  { name: 'into without OF', ref: 'SDM 3A 6.15 #OF', mode: 'prot', code: `into; ${DONE}` },
  { name: 'into in long mode', ref: 'SDM 2A INT n', mode: 'long', code: 'db 0xce' },
  {
    name: 'bound above',
    ref: 'SDM 3A 6.15 #BR',
    mode: 'prot',
    code: `mov eax, 5; mov dword ptr [${at.DATA + 4}], 4; bound eax, qword ptr [${at.DATA}]`,
  },
  {
    name: 'bound below',
    ref: 'SDM 3A 6.15 #BR',
    mode: 'prot',
    code: `mov eax, -1; mov dword ptr [${at.DATA + 4}], 4; bound eax, qword ptr [${at.DATA}]`,
  },
  {
    name: 'bound at the limit',
    ref: 'SDM 3A 6.15 #BR',
    mode: 'prot',
    code: `mov eax, 4; mov dword ptr [${at.DATA + 4}], 4; bound eax, qword ptr [${at.DATA}]; ${DONE}`,
  },
  { name: 'pusha in long mode', ref: 'SDM 2B PUSHA', mode: 'long', code: 'db 0x60' },
  {
    name: 'far jump by immediate in long mode',
    ref: 'SDM 2A JMP',
    mode: 'long',
    code: 'db 0xea, 0, 0, 0, 0, 8, 0',
  },
  { name: 'aam by 0', ref: 'SDM 2A AAM', mode: 'prot', code: 'db 0xd4, 0' },
];

const stepping: Program[] = [...both('single steps', 'SDM 3B 18.3.1.4', '')].map((program) => ({
  ...program,
  code: `${returns(3)}\npush ${TF}; ${program.mode === 'long' ? 'popfq' : 'popfd'}; nop; inc eax; inc eax; inc eax; inc eax`,
}));

const stepMore: Program[] = (['prot', 'long'] as const).flatMap((mode): Program[] => {
  const popf = mode === 'long' ? 'popfq' : 'popfd';
  const pushf = mode === 'long' ? 'pushfq' : 'pushfd';
  const sp = mode === 'long' ? 'rsp' : 'esp';
  return [
    {
      name: `mov ss holds the step back by one instruction, ${mode}`,
      ref: 'SDM 3A 6.8.3',
      mode,
      code: `mov cx, ss; ${returns(1)}; push ${TF}; ${popf}; mov ss, cx; nop; inc eax; inc eax`,
    },
    {
      name: `a step over int enters the handler without TF, ${mode}`,
      ref: 'SDM 3B 18.3.1.4',
      mode,
      code: `push ${TF}; ${popf}; int ${at.TRAP}`,
    },
    {
      name: `popf that clears TF is stepped over, ${mode}`,
      ref: 'SDM 3B 18.3.1.4',
      mode,
      code: `${returns(2)}; push 2; push ${TF}; ${popf}; ${popf}; inc eax; ${DONE}`,
    },
    {
      name: `pushf stores TF, ${mode}`,
      ref: 'SDM 3B 18.3.1.4',
      mode,
      code: `${returns(1)}; push ${TF}; ${popf}; ${pushf}; inc eax`,
    },
    {
      name: `a fault goes before the step, ${mode}`,
      ref: 'SDM 3A 6.9',
      mode,
      code: `push ${TF}; ${popf}; ud2`,
    },
    {
      name: `steps of a repeated string instruction, ${mode}`,
      ref: 'SDM 3B 18.3.1.4',
      mode,
      code: `${returns(2)}; mov ecx, 4; mov edi, ${at.DATA}; push ${TF}; ${popf}; rep stosb`,
    },
    {
      name: `iret that sets TF, ${mode}`,
      ref: 'SDM 3B 18.3.1.4',
      mode,
      code: `mov ${sp}, ${at.STACK0}; ${mode === 'long' ? `push ${at.DATA32}; push ${at.STACK0}; push ${TF}; push ${at.CODE64}; push t; iretq` : `push ${TF}; push ${at.CODE32}; push t; iretd`}\nt:\nnop\ninc eax`,
    },
    {
      name: `ring 3 sets TF, ${mode}`,
      ref: 'SDM 3B 18.3.1.4',
      mode,
      code: user(mode, `push ${TF}; ${popf}; nop; inc eax`),
    },
  ];
});

/** The gate of `vector` made absent (or worse) in both tables. */
function breakGates(...vectors: readonly number[]): NonNullable<Program['setup']> {
  return (m) => {
    for (const vector of vectors) {
      m.idt32(vector, { selector: at.CODE32, target: stub32(vector), attr: NP_GATE });
      m.idt64(vector, { selector: at.CODE64, target: stub64(vector), attr: NP_GATE });
    }
  };
}

const REF_DF = 'SDM 3A 6.15 #DF';
const double: Program[] = [
  ...both('#DE, then #NP: double fault', REF_DF, 'div cl', { setup: breakGates(0) }),
  ...both('#UD, then #NP: in turn', REF_DF, 'ud2', { setup: breakGates(6) }),
  ...both('#GP, then #NP: double fault', REF_DF, 'mov ax, 0x1000; mov ds, ax', {
    setup: breakGates(13),
  }),
  ...both('#NP, then #NP: double fault', REF_DF, `mov ax, ${at.ABSENT_DATA}; mov ds, ax`, {
    setup: breakGates(11),
  }),
  ...both('#SS, then #NP: double fault', REF_DF, `mov ax, ${at.ABSENT_DATA}; mov ss, ax`, {
    setup: breakGates(12),
  }),
  ...both('#BP by int3, then #NP: in turn', REF_DF, 'int3', { setup: breakGates(3) }),
  ...both('int n, then #NP: in turn, EXT clear', REF_DF, `int ${at.PRIVATE}`, {
    setup: breakGates(at.PRIVATE),
  }),
  ...both('icebp, then #NP: EXT set', 'SDM 3A 6.13', 'int1', { setup: breakGates(1) }),
  ...both('#NM, then #NP: in turn', REF_DF, 'fld1', { cr0: CR0_TS, setup: breakGates(7) }),
  ...both(
    '#MF, then #NP: in turn',
    REF_DF,
    `mov word ptr [${at.DATA}], 0x37b; fldcw word ptr [${at.DATA}]; fld1; fldz; fdivp st1, st0; fwait`,
    { setup: breakGates(16) },
  ),
  ...both('a third fault shuts down', REF_DF, 'div cl', { setup: breakGates(0, 8) }),
  ...both('#UD, #NP, #NP: double fault', REF_DF, 'ud2', { setup: breakGates(6, 11) }),
  {
    name: '#PF, then #NP: double fault',
    ref: REF_DF,
    mode: 'paged',
    code: 'mov eax, [0x400000]',
    setup: breakGates(14),
  },
  {
    name: '#PF, then #NP: double fault, long',
    ref: REF_DF,
    mode: 'long',
    code: 'mov eax, [0x200000]',
    setup: breakGates(14),
  },
  {
    name: '#GP, then #PF on the inner stack, in turn',
    ref: REF_DF,
    mode: 'long',
    code: `${user64('u')}\nu:\nhlt`,
    setup: (m) => {
      m.u64(at.TSS + 4, at.WINDOW + 0x800);
      m.idt64(14, { selector: at.CODE64, target: stub64(14), attr: 0x8e, count: 1 });
    },
  },
  {
    name: '#PF, then #PF on the inner stack: double fault',
    ref: REF_DF,
    mode: 'long',
    code: `${user64('u')}\nu:\nmov eax, [${at.WINDOW + 0x1000}]`,
    setup: (m) => {
      m.u64(at.TSS + 4, at.WINDOW + 0x800);
      m.idt64(8, { selector: at.CODE64, target: stub64(8), attr: 0x8e, count: 1 });
    },
  },
  {
    name: '#UD, then #PF on the inner stack, in turn',
    ref: REF_DF,
    mode: 'long',
    code: `${user64('u')}\nu:\nud2`,
    setup: (m) => {
      m.u64(at.TSS + 4, at.WINDOW + 0x800);
      m.idt64(14, { selector: at.CODE64, target: stub64(14), attr: 0x8e, count: 2 });
    },
  },
  {
    name: 'everything on an absent stack shuts down',
    ref: REF_DF,
    mode: 'long',
    code: `${user64('u')}\nu:\nud2`,
    setup: (m) => m.u64(at.TSS + 4, at.WINDOW + 0x800),
  },
];

/** SDM 3B 18.2: execution and data breakpoints. */
const REF_BP = 'SDM 3B 18.2';
const breakpoints: Program[] = (['prot', 'long'] as const).flatMap((mode): Program[] => {
  const [ax, popf] = mode === 'long' ? ['rax', 'popfq'] : ['eax', 'popfd'];
  const arm = (address: string | number, dr7: number) =>
    `mov ${ax}, ${address}; mov dr0, ${ax}; mov eax, ${dr7}; mov dr7, ${ax}; xor eax, eax`;
  return [
    {
      name: `execution breakpoint is a fault, ${mode}`,
      ref: REF_BP,
      mode,
      code: `${arm('t', 0x401)}\nnop\nt:\ninc eax\n${DONE}`,
    },
    {
      name: `execution breakpoint goes on with RF, ${mode}`,
      ref: REF_BP,
      mode,
      code: `${returns(1)}\n${arm('t', 0x401)}\nnop\nt:\ninc eax\n${DONE}`,
    },
    {
      name: `globally enabled breakpoint, ${mode}`,
      ref: REF_BP,
      mode,
      code: `${arm('t', 0x402)}\nt:\ninc eax\n${DONE}`,
    },
    {
      name: `disabled breakpoint, ${mode}`,
      ref: REF_BP,
      mode,
      code: `${arm('t', 0x400)}\nt:\ninc eax\n${DONE}`,
    },
    {
      name: `data write breakpoint is a trap, ${mode}`,
      ref: REF_BP,
      mode,
      code: `${arm(at.DATA, 0xd0401)}\nmov eax, [${at.DATA}]; mov dword ptr [${at.DATA}], 1; inc eax; ${DONE}`,
    },
    {
      name: `data access breakpoint, ${mode}`,
      ref: REF_BP,
      mode,
      code: `${arm(at.DATA, 0xf0401)}\nmov eax, [${at.DATA}]; inc eax; ${DONE}`,
    },
    {
      name: `data breakpoint of a byte inside the dword accessed, ${mode}`,
      ref: REF_BP,
      mode,
      code: `${arm(at.DATA + 3, 0x10401)}\nmov dword ptr [${at.DATA}], eax; inc eax; ${DONE}`,
    },
    {
      name: `data breakpoint beside the access, ${mode}`,
      ref: REF_BP,
      mode,
      code: `${arm(at.DATA + 4, 0x10401)}\nmov dword ptr [${at.DATA}], eax; inc eax; ${DONE}`,
    },
    {
      name: `data breakpoint on the stack, ${mode}`,
      ref: REF_BP,
      mode,
      code: `${arm(at.STACK0 - 8, 0xd0401)}\npush 1; inc eax; push 2; ${DONE}`,
    },
    {
      name: `data breakpoint and a step at once, ${mode}`,
      ref: REF_BP,
      mode,
      code: `${arm(at.DATA, 0xd0401)}\npush ${TF}; ${popf}; mov dword ptr [${at.DATA}], 1; inc eax`,
    },
    {
      name: `GD catches a mov from dr, ${mode}`,
      ref: REF_BP,
      mode,
      code: `mov eax, 0x2400; mov dr7, ${ax}; mov ${ax}, dr0`,
    },
    {
      name: `RF holds an execution breakpoint off once, ${mode}`,
      ref: 'SDM 3B 18.3.1.1',
      mode,
      code: `${arm('t', 0x401)}\n${mode === 'long' ? `push ${at.DATA32}; push ${at.STACK0}; push 0x10002; push ${at.CODE64}; push t; iretq` : `push 0x10002; push ${at.CODE32}; push t; iretd`}\nt:\ninc eax\ncmp eax, 2\njne t\n${DONE}`,
    },
    {
      name: `mov ss holds a data breakpoint back, ${mode}`,
      ref: 'SDM 3A 6.8.3',
      mode,
      code: `mov word ptr [${at.DATA}], ss; ${arm(at.DATA, 0x70401)}\nmov ss, word ptr [${at.DATA}]; inc ecx; inc ecx; ${DONE}`,
    },
  ];
});

export const exceptions = programs('exceptions', [...simple, ...outer, ...protectedOnly]);
export const steps = programs('steps', [...stepping, ...stepMore]);
export const doubleFaults = programs('double faults', double);
export const breakpointPrograms = programs('breakpoints', breakpoints);
