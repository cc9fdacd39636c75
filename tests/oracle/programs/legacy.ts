// Real mode, virtual-8086 mode, and task switches.

import * as at from '../layout.ts';
import { DONE, type Program, programs, stub32, user32 } from '../program.ts';

const REF_REAL = 'SDM 3A 21.1';
function real(name: string, code: string, more: Partial<Program> = {}): Program {
  return { name, ref: REF_REAL, mode: 'real', code, ...more };
}
const realPrograms: Program[] = [
  real('int n', `push 0x202; popf; int ${at.TRAP}`),
  real('int3', 'int3'),
  real('into', 'push 0x802; popf; into'),
  real('#DE', 'div cl'),
  real('#BR', 'mov ax, 5; bound ax, dword ptr [0x680]'),
  real('word beyond 64 KiB', 'mov bx, 0xffff; mov ax, [bx]'),
  real('dword beyond 64 KiB', 'mov bx, 0xfffd; mov eax, [bx]'),
  real('32-bit offset beyond 64 KiB', 'mov ebx, 0x10000; mov al, [ebx]'),
  real('stack word beyond 64 KiB', 'mov bp, 0xffff; mov ax, [bp]'),
  real('push wraps', 'mov ax, 0x2800; mov ss, ax; mov sp, 0; push 0x1234; mov bx, sp'),
  real('lldt is no instruction', 'lldt ax'),
  real('ltr is no instruction', 'ltr ax'),
  real('str is no instruction', 'str ax'),
  real('verr is no instruction', 'verr ax'),
  real('lar is no instruction', 'lar ax, bx'),
  real('arpl is no instruction', 'db 0x63, 0xc0'),
  real('smsw', 'smsw ax'),
  real('mov from cr0', 'mov eax, cr0'),
  real('hlt and cli are allowed', 'cli; cli'),
  real('far call and return', `callf 0x2000:t; mov bx, 1; ${DONE}\nt:\nmov cx, sp; retf`),
  real('far jump', `jmpf 0x2001:0x20; ${'nop; '.repeat(0x2b)}`),
  real(
    '32-bit far return',
    'mov eax, 0x2000; push eax; mov eax, t; push eax; o32 retf\nt:\nmov bx, 1',
  ),
  real('iret', 'push 0xcd7; push 0x2000; push t; iret\nt:\nmov bx, 1'),
  real(
    'iretd',
    'mov eax, 0x240046; push eax; mov eax, 0x2000; push eax; mov eax, t; push eax; iretd\nt:\nmov bx, 1',
  ),
  real(
    'segment arithmetic',
    'mov ax, 0x1a00; mov ds, ax; mov word ptr [0x10], 0x1234; mov ax, 0x1a01; mov es, ax; mov cx, es:[0]; xor ax, ax; mov ds, ax',
  ),
  real(
    'the address space above 1 MiB',
    'mov ax, 0xffff; mov ds, ax; mov word ptr [0x1000], 0x5678; xor ax, ax; mov ds, ax; mov cx, [0xff0]',
  ),
  real('single step', 'push 0x102; popf; nop; inc ax'),
  real('icebp', 'int1'),
  real('lock misuse', 'db 0xf0, 0x90'),
  real('16 bytes of prefixes', `db ${'0x2e,'.repeat(15)}0x90`),
  real('pusha', 'mov ax, 1; mov cx, 2; pusha; mov bp, sp; mov bx, [bp+12]; mov dx, [bp+14]'),
  real('sgdt', 'sgdt [0x640]; mov ax, [0x640]'),
  real('fld under TS', 'fld1', { cr0: 8 }),
  real('in is allowed', 'mov al, 1; out 0x80, al'),
  real(
    'interrupt beyond the limit of the IVT',
    `mov word ptr [0x640], 0x3f; mov dword ptr [0x642], 0; lidt [0x640]; int 0x20`,
  ),
];

/** Enters virtual-8086 mode at segment 0x2000, label `v`; data segments 0x1a00. */
const v86 = (code: string, flags = 0x20002) =>
  `push 0x1a00; push 0x1a00; push 0x1a00; push 0x1a00; push 0x0e00; push 0x800; push ${flags}; push 0x2000; mov eax, v; sub eax, ${at.CODE}; push eax; xor eax, eax; iretd\nv:\nuse 16\n${code}`;
const REF_V86 = 'SDM 3A 21.2';
function virtual(name: string, code: string, flags?: number, more: Partial<Program> = {}): Program {
  return { name, ref: REF_V86, mode: 'prot', code: v86(code, flags), ...more };
}
const IOPL3 = 0x23002;
const v86Programs: Program[] = [
  virtual('int n with IOPL 3', `int ${at.TRAP}`, IOPL3),
  virtual('int n with IOPL 0', `int ${at.TRAP}`),
  virtual('int n through a gate of DPL 0', `int ${at.PRIVATE}`, IOPL3),
  virtual('int3 with IOPL 0', 'int3'),
  virtual('#UD', 'ud2'),
  virtual('#GP of a limit', 'mov ebx, 0x10000; mov al, [ebx]'),
  virtual('cli with IOPL 0', 'cli'),
  virtual('cli with IOPL 3', 'cli; xor ax, ax', 0x23202),
  virtual('sti with IOPL 0', 'sti'),
  virtual('pushf with IOPL 0', 'pushf'),
  virtual('pushf with IOPL 3', `pushf; pop ax; int3`, 0x23202),
  virtual('popf with IOPL 0', 'popf'),
  virtual('popf with IOPL 3 keeps IOPL', 'push 0xcd7; popf; int3', IOPL3),
  virtual('iret with IOPL 0', 'iret'),
  virtual(
    'iret with IOPL 3',
    'push 0xcd7; push 0x2000; call n\nn:\npop ax; add ax, 7; push ax; iret\nnop\nint3',
    IOPL3,
  ),
  virtual('hlt', 'hlt'),
  virtual('mov from cr0', 'mov eax, cr0'),
  virtual('lgdt', 'lgdt [0x10]'),
  virtual('clts', 'clts'),
  virtual('smsw', 'smsw ax; int3'),
  virtual('lldt is no instruction', 'lldt ax'),
  virtual('str is no instruction', 'str ax'),
  virtual('arpl is no instruction', 'db 0x63, 0xc0'),
  virtual('in with a closed map, IOPL 3', 'in al, 0x80', IOPL3),
  virtual('out with an open map', 'out 0x80, al; int3', undefined, {
    setup: (m) => m.u8(at.TSS + 0x68 + 0x10, 0xfe),
  }),
  virtual('segment loads', 'mov ax, 0x1234; mov ds, ax; mov es, ax; mov fs, ax; mov gs, ax; int3'),
  virtual('far jump', `jmpf 0x2001:0x20; ${'nop; '.repeat(0x50)}int3`),
  virtual('push and pop of 16 bits', 'push 0x1234; pop cx; mov bx, sp; int3'),
  virtual('single step', 'nop; inc ax', 0x20102),
  virtual('icebp', 'int1'),
  virtual('handler of ring 3 is refused', 'int3', IOPL3, {
    setup: (m) => m.idt32(3, { selector: at.UCODE32, target: 0, attr: 0xee }),
  }),
  virtual('through a 16-bit gate', 'int3', IOPL3, {
    setup: (m) => m.idt32(3, { selector: at.CODE32, target: stub32(3), attr: 0xe6 }),
  }),
  {
    name: 'VM is ignored by iret in ring 3',
    ref: REF_V86,
    mode: 'prot',
    code: `${user32('u')}\nu:\npush 0x20002; push ${at.UCODE32}; push t; iretd\nt:\n`,
  },
  { name: 'VM is ignored by popf', ref: REF_V86, mode: 'prot', code: 'push 0x20002; popfd' },
  {
    name: 'VM in long mode',
    ref: 'SDM 2A IRET',
    mode: 'long',
    code: `push ${at.DATA32}; push ${at.STACK0}; push 0x20002; push ${at.CODE64}; push t; iretq\nt:\n`,
  },
];

const TSSB = 0x100;
const TSS16 = 0x108;
const GATE = 0x110;
/** Fills TSS_B: registers, a stack of ring 0 and `EIP = label`. */
const task: NonNullable<Program['setup']> = (m, label) => {
  m.gdt(TSSB, { base: at.TSS_B, limit: 0x67, attr: 0x89 });
  m.gdt(TSS16, { base: at.TSS_16, limit: 0x2b, attr: 0x81 });
  m.callGate(GATE, { selector: TSSB, target: 0, attr: 0xe5 });
  m.u32(at.TSS_B + 0x1c, 0, label('b'), 2, 0xa, 0xc, 0xd, 0xb, at.STACK0 - 0x200, 0xbb, 0x51, 0xd1);
  m.u32(at.TSS_B + 0x48, at.DATA32, at.CODE32, at.DATA32, at.DATA32, 0, 0, at.LDT_SEL, 0x680000);
  m.u32(at.TSS_B + 4, at.STACK0 - 0x100, at.DATA32);
};
const REF_TASK = 'SDM 3A 8.3';
function switching(
  name: string,
  code: string,
  more: NonNullable<Program['setup']> = () => {},
): Program {
  return {
    name,
    ref: REF_TASK,
    mode: 'prot',
    code: `${code}\n${DONE}\nb:\nstr eax; ${DONE}`,
    setup: (m, label) => {
      task(m, label);
      more(m, label);
    },
  };
}
const SHOW = `pushfd; pop ebp; mov ebx, [${at.GDT + at.TSS_SEL + 4}]; mov ecx, [${at.GDT + TSSB + 4}]; mov edx, [${at.TSS_B}]; mov esi, [${at.TSS + 0x20}]; mov edi, [${at.TSS + 0x24}]`;
const shown = (name: string, code: string, more?: NonNullable<Program['setup']>): Program => {
  const program = switching(name, code, more);
  return {
    ...program,
    name: `${name}, what is left`,
    code: `${code}\n${DONE}\nb:\n${SHOW}; ${DONE}`,
  };
};
const tasks: Program[] = [
  switching('jump', `jmpf ${TSSB}:0`),
  shown('jump', `jmpf ${TSSB}:0`),
  switching('call', `callf ${TSSB}:0`),
  shown('call', `callf ${TSSB}:0`),
  shown('jump through a task gate', `jmpf ${GATE}:0`),
  shown('call through a task gate', `callf ${GATE}:0`),
  {
    ...shown(
      'call and return',
      `mov ebx, 5; callf ${TSSB}:0; str eax; pushfd; pop ecx; mov edx, [${at.GDT + TSSB + 4}]; mov esi, [${at.GDT + at.TSS_SEL + 4}]; mov edi, [${at.TSS_B + 0x24}]`,
    ),
    code: `mov ebx, 5; callf ${TSSB}:0; str eax; pushfd; pop ecx; mov edx, [${at.GDT + TSSB + 4}]; mov esi, [${at.GDT + at.TSS_SEL + 4}]; mov edi, [${at.TSS_B + 0x24}]; push 2; popfd; ${DONE}\nb:\niretd`,
  },
  switching('jump to a busy TSS', `jmpf ${TSSB}:0`, (m) =>
    m.gdt(TSSB, { base: at.TSS_B, limit: 0x67, attr: 0x8b }),
  ),
  switching('jump to oneself', `jmpf ${at.TSS_SEL}:0`),
  switching('absent TSS', `jmpf ${TSSB}:0`, (m) =>
    m.gdt(TSSB, { base: at.TSS_B, limit: 0x67, attr: 0x09 }),
  ),
  switching('TSS too short', `jmpf ${TSSB}:0`, (m) =>
    m.gdt(TSSB, { base: at.TSS_B, limit: 0x66, attr: 0x89 }),
  ),
  switching('TSS with RPL 3', `jmpf ${TSSB | 3}:0`),
  switching('TSS from ring 3', `${user32('u')}\nu:\njmpf ${TSSB}:0`),
  switching('TSS of DPL 3 from ring 3', `${user32('u')}\nu:\njmpf ${TSSB}:0`, (m) =>
    m.gdt(TSSB, { base: at.TSS_B, limit: 0x67, attr: 0xe9 }),
  ),
  switching('gate from ring 3', `${user32('u')}\nu:\njmpf ${GATE}:0`),
  switching('gate of DPL 0 from ring 3', `${user32('u')}\nu:\njmpf ${GATE}:0`, (m) =>
    m.callGate(GATE, { selector: TSSB, target: 0, attr: 0x85 }),
  ),
  switching('absent gate', `jmpf ${GATE}:0`, (m) =>
    m.callGate(GATE, { selector: TSSB, target: 0, attr: 0x65 }),
  ),
  switching('gate to the LDT', `jmpf ${GATE}:0`, (m) =>
    m.callGate(GATE, { selector: 4, target: 0, attr: 0xe5 }),
  ),
  switching('gate to data', `jmpf ${GATE}:0`, (m) =>
    m.callGate(GATE, { selector: at.DATA32, target: 0, attr: 0xe5 }),
  ),
  switching('gate to nothing', `jmpf ${GATE}:0`, (m) =>
    m.callGate(GATE, { selector: 0, target: 0, attr: 0xe5 }),
  ),
  switching('task gate in the IDT', 'int 0x32', (m) =>
    m.idt32(0x32, { selector: TSSB, target: 0, attr: 0xe5 }),
  ),
  shown('task gate in the IDT', 'int 0x32', (m) =>
    m.idt32(0x32, { selector: TSSB, target: 0, attr: 0xe5 }),
  ),
  switching('task gate for an exception', 'ud2', (m) =>
    m.idt32(6, { selector: TSSB, target: 0, attr: 0x85 }),
  ),
  switching('task gate for an exception with an error code', 'mov ax, 0x1000; mov ds, ax', (m) =>
    m.idt32(13, { selector: TSSB, target: 0, attr: 0x85 }),
  ),
  switching('task gate for a double fault', 'div cl', (m) =>
    m
      .idt32(0, { selector: 0, target: 0, attr: 0 })
      .idt32(8, { selector: TSSB, target: 0, attr: 0x85 }),
  ),
  switching('busy TSS by an IDT gate', 'int 0x32', (m) =>
    m.idt32(0x32, { selector: at.TSS_SEL, target: 0, attr: 0xe5 }),
  ),
  switching('iret with NT and no back link', 'push 0x4002; popfd; iretd'),
  switching(
    'iret with NT to a TSS that is not busy',
    `mov dword ptr [${at.TSS}], ${TSSB}; push 0x4002; popfd; iretd`,
  ),
  switching('new task: null SS', `jmpf ${TSSB}:0`, (m) => m.u32(at.TSS_B + 0x50, 0)),
  switching('new task: absent DS', `jmpf ${TSSB}:0`, (m) => m.u32(at.TSS_B + 0x54, at.ABSENT_DATA)),
  switching('new task: bad LDT', `jmpf ${TSSB}:0`, (m) => m.u32(at.TSS_B + 0x60, at.DATA32)),
  ...Object.entries({
    'null CS': 0,
    'absent CS': at.ABSENT_CODE,
    'data for CS': at.DATA32,
    'CS of ring 3 with RPL 0': at.UCODE32 & ~3,
    'CS of ring 0 with RPL 3': at.CODE32 | 3,
    'conforming CS': at.CONFORMING,
    'conforming CS with RPL 3': at.CONFORMING | 3,
    'CS beyond the GDT': 0x1000,
    'absent CS of ring 3': 0xc3,
  }).map(([what, cs]) =>
    switching(`new task: ${what}`, `jmpf ${TSSB}:0`, (m) =>
      m.u32(at.TSS_B + 0x4c, cs).gdt(0xc0, { attr: 0xc07b }),
    ),
  ),
  switching('new task by a call: absent CS', `callf ${TSSB}:0`, (m) =>
    m.u32(at.TSS_B + 0x4c, at.ABSENT_CODE),
  ),
  switching('new task by an exception: absent CS', 'ud2', (m) =>
    m.u32(at.TSS_B + 0x4c, at.ABSENT_CODE).idt32(6, { selector: TSSB, target: 0, attr: 0x85 }),
  ),
  switching('new task: absent SS', `jmpf ${TSSB}:0`, (m) => m.u32(at.TSS_B + 0x50, at.ABSENT_DATA)),
  switching('new task: SS of ring 3', `jmpf ${TSSB}:0`, (m) => m.u32(at.TSS_B + 0x50, at.UDATA32)),
  switching('new task: read-only SS', `jmpf ${TSSB}:0`, (m) =>
    m.u32(at.TSS_B + 0x50, at.READ_ONLY),
  ),
  switching('new task: TSS for DS', `jmpf ${TSSB}:0`, (m) => m.u32(at.TSS_B + 0x54, at.TSS_SEL)),
  switching('new task: execute-only ES', `jmpf ${TSSB}:0`, (m) =>
    m.u32(at.TSS_B + 0x48, at.EXECUTE_ONLY),
  ),
  switching('new task: EIP beyond the limit', `jmpf ${TSSB}:0`, (m) =>
    m.u32(at.TSS_B + 0x4c, 0xc8).gdt(0xc8, { limit: 0xfff, attr: 0x409b }),
  ),
  switching('new task: absent LDT', `jmpf ${TSSB}:0`, (m) =>
    m.u32(at.TSS_B + 0x60, 0xc0).gdt(0xc0, { base: at.LDT, limit: at.LDT_BYTES - 1, attr: 0x02 }),
  ),
  switching('new task: debug trap', `jmpf ${TSSB}:0`, (m) => m.u32(at.TSS_B + 0x64, 0x680001)),
  switching('new task in ring 3', `jmpf ${TSSB}:0`, (m) =>
    m
      .u32(at.TSS_B + 0x48, at.UDATA32, at.UCODE32, at.UDATA32, at.UDATA32)
      .u32(at.TSS_B + 0x38, at.STACK3),
  ),
  {
    name: 'new task of 16 bits',
    ref: REF_TASK,
    mode: 'prot',
    code: `jmpf ${TSS16}:0; nop; nop; nop\nuse 16\nb:\nstr ax; movzx eax, ax; movzx ebp, sp; movzx esp, sp; xor ebx, ebx; xor ecx, ecx; xor edx, edx; xor esi, esi; xor edi, edi`,
    setup: (m, label) => {
      task(m, label);
      m.u16(
        at.TSS_16 + 0xe,
        label('b') - at.CODE,
        2,
        0xa,
        0xc,
        0xd,
        0xb,
        at.STACK0 - 0x100,
        0xbb,
        0x51,
        0xd1,
        at.DATA32,
        at.CODE16,
        at.DATA16,
        at.DATA32,
        at.LDT_SEL,
      );
    },
  },
];

export const realMode = programs('real mode', realPrograms);
export const v86Mode = programs('virtual-8086 mode', v86Programs);
export const taskPrograms = programs('tasks', tasks);
