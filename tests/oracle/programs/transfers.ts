// Far jumps, calls, returns and IRET: every check of the target, of the gate and of the new stack, between all kinds of ring.

import { dpl } from '../descriptors.ts';
import * as at from '../layout.ts';
import { DONE, type Program, programs, stub64, user32, user64 } from '../program.ts';

const OUTSIDE = 0x200;
const OUTSIDE_LDT = 0x44;
const LDT_CODE = 0x0c;
/** Segments of our own beside the kernel's. */
const CONFORMING3 = at.FREE;
const SHORT = at.FREE + 8;
const L_AND_D = at.FREE + 16;
const UNREADABLE = at.FREE + 24;
const GATE = 0x100;

const segments: NonNullable<Program['setup']> = (m) => {
  m.gdt(CONFORMING3, { attr: 0xc09f | dpl(3) });
  m.gdt(SHORT, { limit: 0xfff, attr: 0x409b });
  m.gdt(L_AND_D, { attr: 0xe09b });
  m.gdt(UNREADABLE, { attr: 0xc098 });
};

/** Selectors by what is wrong or right with them, seen from ring 0. */
const TARGETS: Readonly<Record<string, number>> = {
  'ring 0 code': at.CODE32,
  'null selector': 0,
  'null selector with RPL': 3,
  'RPL above CPL': at.CODE32 | 3,
  'outside the GDT': OUTSIDE,
  'outside the LDT': OUTSIDE_LDT,
  'code in the LDT': LDT_CODE,
  'data segment': at.DATA32,
  'LDT descriptor': at.LDT_SEL,
  'absent code': at.ABSENT_CODE,
  'code of ring 3': at.UCODE32 & ~3,
  'code of ring 3 with RPL': at.UCODE32,
  'conforming code of ring 0': at.CONFORMING,
  'conforming code with RPL 3': at.CONFORMING | 3,
  'conforming code of ring 3': CONFORMING3,
  'offset beyond the limit': SHORT,
  'execute-only code': UNREADABLE,
};

const END = `\nt:\n${DONE}`;

const direct: Program[] = Object.entries(TARGETS).flatMap(([what, selector]): Program[] => [
  {
    name: `far jump: ${what}`,
    ref: 'SDM 2A JMP',
    mode: 'prot',
    setup: segments,
    code: `jmpf ${selector}:t${END}`,
  },
  {
    name: `far call: ${what}`,
    ref: 'SDM 2A CALL',
    mode: 'prot',
    setup: segments,
    code: `callf ${selector}:t${END}`,
  },
  {
    name: `far jump from ring 3: ${what}`,
    ref: 'SDM 2A JMP',
    mode: 'prot',
    setup: segments,
    code: `${user32('u')}\nu:\njmpf ${selector}:t${END}`,
  },
  {
    name: `far return: ${what}`,
    ref: 'SDM 2B RET',
    mode: 'prot',
    setup: segments,
    code: `push ${at.UDATA32}; push ${at.STACK3}; push ${selector}; push t; retf${END}`,
  },
  {
    name: `far return from ring 3: ${what}`,
    ref: 'SDM 2B RET',
    mode: 'prot',
    setup: segments,
    code: `${user32('u')}\nu:\npush ${at.UDATA32}; push ${at.STACK3}; push ${selector}; push t; retf${END}`,
  },
  {
    name: `iret: ${what}`,
    ref: 'SDM 2A IRET',
    mode: 'prot',
    setup: segments,
    code: `push ${at.UDATA32}; push ${at.STACK3}; push 2; push ${selector}; push t; iretd${END}`,
  },
  {
    name: `iret from ring 3: ${what}`,
    ref: 'SDM 2A IRET',
    mode: 'prot',
    setup: segments,
    code: `${user32('u')}\nu:\npush ${at.UDATA32}; push ${at.STACK3}; push 2; push ${selector}; push t; iretd${END}`,
  },
]);

/** Code segments of long mode, as far pointers in memory and as words on the stack. */
const LONG_TARGETS: Readonly<Record<string, number>> = {
  '64-bit code': at.CODE64,
  'null selector': 0,
  'RPL above CPL': at.CODE64 | 3,
  'outside the GDT': OUTSIDE,
  'data segment': at.DATA32,
  'absent code': at.FREE + 32,
  'L and D both set': L_AND_D,
  '64-bit code of ring 3': at.UCODE64,
  'compatibility code': at.CODE32,
  'compatibility code of ring 3': at.UCODE32,
  'conforming code': at.CONFORMING64,
  TSS: at.TSS_SEL,
};
const longSegments: NonNullable<Program['setup']> = (m, label) => {
  segments(m, label);
  m.gdt(at.FREE + 32, { attr: 0xa01b });
};
const pointer = (selector: number) =>
  `mov dword ptr [${at.DATA}], t; mov word ptr [${at.DATA + 4}], ${selector}`;
const long: Program[] = Object.entries(LONG_TARGETS).flatMap(([what, selector]): Program[] => [
  {
    name: `far jump, long: ${what}`,
    ref: 'SDM 2A JMP',
    mode: 'long',
    setup: longSegments,
    code: `${pointer(selector)}; jmpf dword ptr [${at.DATA}]${END}`.replace(
      'jmpf dword ptr',
      'o32 jmpf',
    ),
  },
  {
    name: `far call, long: ${what}`,
    ref: 'SDM 2A CALL',
    mode: 'long',
    setup: longSegments,
    code: `${pointer(selector)}; o32 callf [${at.DATA}]${END}`,
  },
  {
    name: `far return, long: ${what}`,
    ref: 'SDM 2B RET',
    mode: 'long',
    setup: longSegments,
    code: `push ${at.UDATA32}; push ${at.STACK3}; push ${selector}; push t; o64 retf${END}`,
  },
  {
    name: `iretq: ${what}`,
    ref: 'SDM 2A IRET',
    mode: 'long',
    setup: longSegments,
    code: `push ${(selector & 3) === 3 ? at.UDATA32 : at.DATA32}; push ${at.STACK3}; push 2; push ${selector}; push t; iretq${END}`,
  },
]);

/** SS of a return to ring 3. */
const STACKS: Readonly<Record<string, number>> = {
  null: 0,
  'null with RPL': 3,
  'outside the GDT': OUTSIDE | 3,
  'RPL of ring 0': at.UDATA32 & ~3,
  'DPL of ring 0': at.DATA32 | 3,
  'code segment': at.UCODE32,
  'read-only': at.FREE + 3,
  absent: at.FREE + 8 + 3,
  '16 bits': at.FREE + 16 + 3,
  'not yet accessed': at.FREE + 24 + 3,
};
const stackSegments: NonNullable<Program['setup']> = (m) => {
  m.gdt(at.FREE, { attr: 0xc091 | dpl(3) });
  m.gdt(at.FREE + 8, { attr: 0xc013 | dpl(3) });
  m.gdt(at.FREE + 16, { limit: 0xffff, attr: 0x93 | dpl(3) });
  m.gdt(at.FREE + 24, { attr: 0xc092 | dpl(3) });
};
const returns: Program[] = Object.entries(STACKS).flatMap(([what, selector]): Program[] => [
  {
    name: `far return to ring 3, SS ${what}`,
    ref: 'SDM 2B RET',
    mode: 'prot',
    setup: stackSegments,
    code: `push ${selector}; push ${at.STACK3}; push ${at.UCODE32}; push t; retf${END}`,
  },
  {
    name: `iret to ring 3, SS ${what}`,
    ref: 'SDM 2A IRET',
    mode: 'prot',
    setup: stackSegments,
    code: `push ${selector}; push ${at.STACK3}; push 2; push ${at.UCODE32}; push t; iretd${END}`,
  },
  {
    name: `iretq to ring 3, SS ${what}`,
    ref: 'SDM 2A IRET',
    mode: 'long',
    setup: stackSegments,
    code: `push ${selector}; push ${at.STACK3}; push 2; push ${at.UCODE64}; push t; iretq${END}`,
  },
]);

const iretqFrame = (ss: number, rsp: string | number, flags: number, cs: number, rip = 't') =>
  `push ${ss}; push ${rsp}; push ${flags}; push ${cs}; push ${rip}; iretq`;
const more: Program[] = [
  {
    name: 'far return releases both stacks',
    ref: 'SDM 2B RET',
    mode: 'prot',
    code: `push ${at.UDATA32}; push ${at.STACK3}; push 1; push 2; push ${at.UCODE32}; push t; retf 8${END}`,
  },
  {
    name: 'far return in the same ring releases',
    ref: 'SDM 2B RET',
    mode: 'prot',
    code: `push 1; push 2; push ${at.CODE32}; push t; retf 8${END}`,
  },
  {
    name: 'far return to ring 1',
    ref: 'SDM 2B RET',
    mode: 'prot',
    code: `push ${at.DATA_RING1}; push ${at.STACK1}; push ${at.CODE_RING1}; push t; retf${END}`,
  },
  {
    name: 'return to ring 3 keeps conforming code in FS',
    ref: 'SDM 2B RET',
    mode: 'prot',
    code: `mov ax, ${at.CONFORMING}; mov fs, ax; mov ax, ${at.DATA32}; mov gs, ax; mov ds, ax; push ${at.UDATA32}; push ${at.STACK3}; push 2; push ${at.UCODE32}; push t; iretd${END}`,
  },
  {
    name: '16-bit far return',
    ref: 'SDM 2B RET',
    mode: 'prot',
    code: `o16 push ${at.CODE16}; db 0x66, 0x68, 0x20, 0; o16 retf; ${'nop; '.repeat(24)}use 16\n${DONE}`.replace(
      `o16 push ${at.CODE16}`,
      `db 0x66, 0x6a, ${at.CODE16}`,
    ),
  },
  {
    name: 'far jump to 16-bit code',
    ref: 'SDM 2A JMP',
    mode: 'prot',
    code: `jmpf ${at.CODE16}:0x10; ${'nop; '.repeat(9)}use 16\nmov ax, 0x1234; ${DONE}`,
  },
  {
    name: '16-bit far call',
    ref: 'SDM 2A CALL',
    mode: 'prot',
    code: `db 0x66, 0x9a, 0x10, 0, ${at.CODE16}, 0; ${'nop; '.repeat(10)}use 16\n${DONE}`,
  },
  {
    name: 'accessed bit of a jump target',
    ref: 'SDM 3A 3.4.5.1',
    mode: 'prot',
    setup: (m) => m.gdt(at.FREE, { attr: 0xc09a }),
    code: `jmpf ${at.FREE}:t\nt:\nmov eax, [${at.GDT + at.FREE + 4}]; ${DONE}`,
  },
  {
    name: 'no accessed bit after a refused jump',
    ref: 'SDM 3A 3.4.5.1',
    mode: 'prot',
    setup: (m) => m.gdt(at.FREE, { limit: 0xff, attr: 0x409a }),
    code: `mov dword ptr [${at.RESUME}], r; jmpf ${at.FREE}:r\nr:\nmov eax, [${at.GDT + at.FREE + 4}]; ${DONE}`,
  },
  {
    name: 'far call without room on the stack',
    ref: 'SDM 2A CALL',
    mode: 'prot',
    setup: (m) => m.gdt(at.FREE, { limit: 0xffff, base: at.DATA, attr: 0x40f7 }),
    code: `${user32('u')}\nu:\nmov ax, ${at.FREE | 3}; mov ss, ax; mov esp, 0x10004; callf ${at.UCODE32}:t${END}`,
  },
  {
    name: 'iret in ring 3 keeps IOPL and IF',
    ref: 'SDM 2A IRET',
    mode: 'prot',
    code: `${user32('u', 0x1202)}\nu:\npush 0x3002; push ${at.UCODE32}; push t; iretd${END}`,
  },
  {
    name: 'iret in ring 1 with IOPL 1 changes IF',
    ref: 'SDM 2A IRET',
    mode: 'prot',
    code: `push ${at.DATA_RING1}; push ${at.STACK1}; push 0x1002; push ${at.CODE_RING1}; push u; iretd\nu:\npush 0x3202; push ${at.CODE_RING1}; push t; iretd${END}`,
  },
  {
    name: 'iret of flags that there are not',
    ref: 'SDM 2A IRET',
    mode: 'prot',
    code: `push 0xffc0802a; push ${at.CODE32}; push t; iretd${END}`.replace(
      'push 0xffc0802a',
      'push -0x3f7fd6',
    ),
  },
  {
    name: 'iret sets ID and AC',
    ref: 'SDM 2A IRET',
    mode: 'prot',
    code: `push 0x240ed7; push ${at.CODE32}; push t; iretd${END}`.replace('0x240ed7', '0x240cd7'),
  },
  {
    name: '16-bit iret',
    ref: 'SDM 2A IRET',
    mode: 'prot',
    code: `db 0x66, 0x6a, 2, 0x66, 0x6a, ${at.CODE16}, 0x66, 0x6a, 0x10, 0x66, 0xcf; ${'nop; '.repeat(5)}use 16\n${DONE}`,
  },
  {
    name: 'iret with NT in long mode',
    ref: 'SDM 2A IRET',
    mode: 'long',
    code: `push 0x4002; popfq; ${iretqFrame(at.DATA32, at.STACK0, 2, at.CODE64)}${END}`,
  },
  {
    name: 'iretq to ring 0 with a null SS',
    ref: 'SDM 3A 6.14.4',
    mode: 'long',
    code: `${iretqFrame(0, at.STACK3, 2, at.CODE64)}${END}`,
  },
  {
    name: 'iretq to ring 1 with a null SS',
    ref: 'SDM 3A 6.14.4',
    mode: 'long',
    setup: (m) => m.gdt(at.FREE, { attr: 0xa09b | dpl(1) }),
    code: `${iretqFrame(1, at.STACK1, 2, at.FREE | 1)}${END}`,
  },
  {
    name: 'iretq to compatibility code with a null SS',
    ref: 'SDM 2A IRET',
    mode: 'long',
    code: `${iretqFrame(0, at.STACK3, 2, at.CODE32)}${END}`,
  },
  {
    name: 'iretq to an address that is not canonical',
    ref: 'SDM 2A IRET',
    mode: 'long',
    code: `mov rax, 0x8000000000000000; push ${at.DATA32}; push ${at.STACK0}; push 2; push ${at.CODE64}; push rax; xor eax, eax; iretq`,
  },
  {
    name: 'iretq with an RSP that is not canonical',
    ref: 'SDM 2A IRET',
    mode: 'long',
    code: `mov rax, 0x8000000000000000; push ${at.DATA32}; push rax; push 2; push ${at.CODE64}; push t; xor eax, eax; iretq\nt:\nmov rbx, rsp; mov esp, ${at.STACK0}; ${DONE}`,
  },
  {
    name: 'iretd in 64-bit code',
    ref: 'SDM 2A IRET',
    mode: 'long',
    code: `mov esp, ${at.DATA}; mov dword ptr [${at.DATA}], t; mov dword ptr [${at.DATA + 4}], ${at.CODE64}; mov dword ptr [${at.DATA + 8}], 2; mov dword ptr [${at.DATA + 12}], ${at.STACK0}; mov dword ptr [${at.DATA + 16}], ${at.DATA32}; iretd${END}`,
  },
  {
    name: 'iretq drops what ring 3 may not use',
    ref: 'SDM 2A IRET',
    mode: 'long',
    code: `mov ax, ${at.UDATA32}; mov ds, ax; mov ax, ${at.DATA32}; mov fs, ax; mov ax, ${at.CONFORMING}; mov gs, ax; ${user64('t')}${END}`,
  },
  {
    name: 'far return to an address that is not canonical',
    ref: 'SDM 2B RET',
    mode: 'long',
    code: `mov rax, 0x8000000000000000; push ${at.CODE64}; push rax; xor eax, eax; o64 retf`,
  },
  {
    name: 'near jump to an address that is not canonical',
    ref: 'SDM 2A JMP',
    mode: 'long',
    code: `mov rax, 0x8000000000000000; jmp rax`,
  },
  {
    name: 'near return to an address that is not canonical',
    ref: 'SDM 2B RET',
    mode: 'long',
    code: `mov rax, 0x8000000000000000; push rax; xor eax, eax; ret`,
  },
  {
    name: 'near call to an address that is not canonical pushes nothing',
    ref: 'SDM 2A CALL',
    mode: 'long',
    code: `mov rax, 0x8000000000000000; call rax`,
  },
  {
    name: 'near jump beyond the limit',
    ref: 'SDM 2A JMP',
    mode: 'prot',
    setup: (m) => m.gdt(at.FREE, { base: at.CODE, limit: 0xff, attr: 0x409b }),
    code: `jmpf ${at.FREE}:8; nop; mov eax, 0x100; jmp eax`,
  },
  {
    name: 'near call beyond the limit pushes nothing',
    ref: 'SDM 2A CALL',
    mode: 'prot',
    setup: (m) => m.gdt(at.FREE, { base: at.CODE, limit: 0xff, attr: 0x409b }),
    code: `jmpf ${at.FREE}:8; nop; mov eax, 0x100; call eax`,
  },
  {
    name: 'running off the end of a segment',
    ref: 'SDM 3A 5.3',
    mode: 'prot',
    setup: (m) => m.gdt(at.FREE, { base: at.CODE, limit: 0xa, attr: 0x409b }),
    code: `jmpf ${at.FREE}:8; nop; nop; nop; nop`,
  },
  {
    name: 'instruction across the end of a segment',
    ref: 'SDM 3A 5.3',
    mode: 'prot',
    setup: (m) => m.gdt(at.FREE, { base: at.CODE, limit: 0xa, attr: 0x409b }),
    code: `jmpf ${at.FREE}:8; nop; nop; mov eax, 1`,
  },
];

/** A call gate of DPL 3 (or as `attr` says) at GATE. */
interface GateCase {
  readonly name: string;
  readonly gate?: Partial<{ selector: number; attr: number; count: number }>;
  readonly call?: string;
  readonly ring?: 0 | 3;
  readonly more?: NonNullable<Program['setup']>;
}
const CALL = `push 0x11; push 0x22; callf ${GATE}:0`;
const GATES: readonly GateCase[] = [
  { name: 'inward' },
  { name: 'inward with parameters', gate: { count: 2 } },
  { name: 'in the same ring', ring: 0 },
  { name: 'to ring 1', gate: { selector: at.CODE_RING1 } },
  { name: 'DPL below CPL', gate: { attr: 0x8c } },
  { name: 'DPL below RPL', gate: { attr: 0x8c }, ring: 0, call: `callf ${GATE | 3}:0` },
  { name: 'absent', gate: { attr: 0x6c } },
  { name: 'privilege before presence', gate: { attr: 0x0c } },
  { name: 'null code', gate: { selector: 0 } },
  { name: 'data as code', gate: { selector: at.DATA32 } },
  { name: 'absent code', gate: { selector: at.ABSENT_CODE } },
  { name: 'code outside the GDT', gate: { selector: OUTSIDE } },
  { name: 'code of an outer ring', gate: { selector: at.UCODE32 }, ring: 0 },
  { name: 'conforming code', gate: { selector: at.CONFORMING } },
  { name: 'of 16 bits', gate: { attr: 0xe4, selector: at.CODE16 } },
  { name: 'of 16 bits with parameters', gate: { attr: 0xe4, selector: at.CODE16, count: 2 } },
  { name: 'by jump in the same ring', ring: 0, call: `jmpf ${GATE}:0` },
  { name: 'by jump inward', call: `jmpf ${GATE}:0` },
  { name: 'by jump to conforming code', gate: { selector: at.CONFORMING }, call: `jmpf ${GATE}:0` },
  { name: 'inner SS null', more: (m) => m.u32(at.TSS + 16, 0), gate: { selector: at.CODE_RING1 } },
  {
    name: 'inner SS of another ring',
    more: (m) => m.u32(at.TSS + 16, at.DATA32),
    gate: { selector: at.CODE_RING1 },
  },
  {
    name: 'inner SS absent',
    more: (m) => m.u32(at.TSS + 16, at.FREE | 1).gdt(at.FREE, { attr: 0xc033 }),
    gate: { selector: at.CODE_RING1 },
  },
  {
    name: 'inner stack beyond its limit',
    more: (m) => m.u32(at.TSS + 16, at.FREE | 1).gdt(at.FREE, { limit: 0xff, attr: 0x40b3 }),
    gate: { selector: at.CODE_RING1 },
  },
  {
    name: 'target beyond its limit',
    more: (m) => m.gdt(at.FREE, { limit: 0xff, attr: 0x409b }),
    gate: { selector: at.FREE },
  },
];
const callGates: Program[] = GATES.map(
  ({ name, gate = {}, call = CALL, ring = 3, more: extra }) => ({
    name: `call gate ${name}`,
    ref: 'SDM 3A 5.8.3',
    mode: 'prot',
    code: `${ring === 3 ? `${user32('u')}\nu:\n` : ''}${call}; nop; jmp t\nnop\nnop${END}`,
    setup: (m, label) => {
      const target = gate.selector === at.CODE16 ? label('t') - at.CODE : label('t');
      m.callGate(GATE, { selector: at.CODE32, attr: 0xec, ...gate, target });
      extra?.(m, label);
    },
  }),
);
const LONG_GATES: readonly GateCase[] = [
  { name: 'inward' },
  { name: 'in the same ring', ring: 0 },
  { name: 'DPL below CPL', gate: { attr: 0x8c } },
  { name: 'absent', gate: { attr: 0x6c } },
  { name: 'to compatibility code', gate: { selector: at.CODE32 } },
  { name: 'of 16 bits', gate: { attr: 0xe4 } },
  { name: 'null code', gate: { selector: 0 } },
  { name: 'conforming code', gate: { selector: at.CONFORMING64 } },
  { name: 'upper half of another type', more: (m) => m.u32(at.GDT + GATE + 12, 0x1f00) },
  { name: 'target not canonical', more: (m) => m.u32(at.GDT + GATE + 8, 0x8000) },
  {
    name: 'inner RSP not canonical',
    more: (m) =>
      m
        .u64(at.TSS + 4, 0x8000000000000000n)
        .idt64(12, { selector: at.CODE64, target: stub64(12), attr: 0x8e, count: 1 }),
  },
];
const longGates: Program[] = LONG_GATES.map(({ name, gate = {}, ring = 3, more: extra }) => ({
  name: `call gate in long mode, ${name}`,
  ref: 'SDM 3A 5.8.3.1',
  mode: 'long',
  code: `mov word ptr [${at.DATA + 4}], ${GATE}; mov word ptr [${at.CODE + 0x1004}], ${GATE}
    ${ring === 3 ? `${user64('u')}\nu:\n` : ''}push 0x11; push 0x22; o32 callf [${at.CODE + 0x1000}]; nop${END}`,
  setup: (m, label) => {
    m.callGate(GATE, { selector: at.CODE64, attr: 0xec, ...gate, target: label('t') }, true);
    extra?.(m, label);
  },
}));

export const transfers = programs('transfers', direct);
export const longTransfers = programs('long transfers', long);
export const returnPrograms = programs('returns', [...returns, ...more]);
export const callGatePrograms = programs('call gates', [...callGates, ...longGates]);
