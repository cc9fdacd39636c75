// Interrupts from outside: the program has the local APIC send itself one, and says when it may come.

import * as at from '../layout.ts';
import { BOTH, compat, inRing3, type Program, popf, programs, returns } from '../program.ts';
import { P, W } from '../template.ts';

/** Registers of the local APIC. SDM 3A table 10-1. */
const TPR = 0x80;
const EOI = 0xb0;
const SVR = 0xf0;
const ICR = 0x300;
const APIC = 0xfee00000;
/** Uncached, as the registers want to be. */
const PCD = 0x10;
const VECTOR = 0x35;
const NMI = 0x400;
const ASSERT = 0x4000;

type Mode = (typeof BOTH)[number];
const base = (mode: Mode): number => (mode === 'long' ? at.WINDOW : APIC);
const setup: NonNullable<Program['setup']> = (m) => m.u64(at.WINDOW_PT, APIC + (P | W | PCD));

/** The APIC is on and nothing is in service; then an interrupt waits (an NMI comes at once). */
function send(mode: Mode, what = VECTOR): string {
  const to = (register: number, value: number) =>
    `mov dword ptr [${base(mode) + register}], ${value}`;
  const on = `${to(SVR, 0x1ff)}; ${to(TPR, 0)}; ${to(EOI, 0)}; ${to(ICR + 0x10, 0)}`;
  return `${on}; ${to(ICR, ASSERT | what)}`;
}

function asked(
  mode: Mode,
  name: string,
  ref: string,
  code: string,
  what = VECTOR,
  more: NonNullable<Program['setup']> = () => {},
): Program {
  return {
    name: `${name}, ${mode}`,
    ref,
    mode,
    setup: (m, label) => {
      setup(m, label);
      more(m, label);
    },
    code: `${send(mode, what)}; ${code}`,
  };
}

const list = BOTH.flatMap((mode): Program[] => [
  asked(mode, 'held off while IF is clear', 'SDM 3A 6.8.1', 'inc eax; inc eax; sti; nop; nop'),
  asked(
    mode,
    'sti holds it off for one instruction',
    'SDM 2B STI',
    'sti; inc eax; inc eax; inc eax',
  ),
  asked(mode, 'popf does not', 'SDM 2B POPF', `push 0x202; ${popf(mode)}; inc eax`),
  asked(mode, 'it ends hlt', 'SDM 2A HLT', 'sti; hlt; inc eax'),
  asked(mode, 'cli behind sti: not yet', 'SDM 2B STI', 'sti; cli; inc eax; sti; nop; nop'),
  asked(mode, 'a trap gate leaves IF', 'SDM 3A 6.12.1.2', 'sti; nop; inc eax', at.TRAP),
  asked(mode, 'a gate of DPL 0 is no hindrance', 'SDM 3A 6.12.1.1', 'sti; nop', at.PRIVATE),
  asked(mode, 'in ring 3', 'SDM 3A 6.12.1', inRing3(mode, 'inc eax; inc eax', 0x202)),
  asked(
    mode,
    'in ring 3 through a gate of DPL 0',
    'SDM 3A 6.12.1.1',
    inRing3(mode, 'nop', 0x202),
    at.PRIVATE,
  ),
  asked(
    mode,
    'iret lets it in before the next instruction',
    'SDM 2A IRET',
    `${iret(mode, 0x202)}\nn:\ninc eax`,
  ),
  asked(mode, 'an absent gate: EXT set', 'SDM 3A 6.13', 'sti; nop; inc eax', VECTOR, (m) =>
    mode === 'long'
      ? m.idt64(VECTOR, { selector: at.CODE64, target: 0, attr: 0x0e })
      : m.idt32(VECTOR, { selector: at.CODE32, target: 0, attr: 0x0e }),
  ),
  asked(
    mode,
    'before a single step',
    'SDM 3A table 6-2',
    `push 0x302; ${popf(mode)}; inc eax; inc eax`,
  ),
  asked(
    mode,
    'between two iterations',
    'SDM 2B REP',
    'mov edi, 0x1a000; mov ecx, 3; sti; rep stosb; inc eax',
  ),
  {
    name: `NMI in spite of IF, ${mode}`,
    ref: 'SDM 3A 6.7',
    mode,
    setup,
    code: `${unmask(mode)}; ${send(mode, NMI)}; nop; inc eax`,
  },
  {
    name: `NMI and back, ${mode}`,
    ref: 'SDM 3A 6.7',
    mode,
    setup,
    code: `${unmask(mode)}; ${returns(1)}; ${send(mode, NMI)}; inc eax; inc eax`,
  },
]);

function iret(mode: Mode, flags: number, to = 'n'): string {
  return mode === 'long'
    ? `push ${at.DATA32}; push ${at.STACK0}; push ${flags}; push ${at.CODE64}; push ${to}; iretq`
    : `push ${flags}; push ${at.CODE32}; push ${to}; iretd`;
}

/** The NMI of a program before is still in service: IRET ends it. */
function unmask(mode: Mode): string {
  return `${iret(mode, 2, 'unmasked')}\nunmasked:\n`;
}

const alone: Program[] = [
  asked(
    'long',
    'in compatibility mode',
    'SDM 3A 6.14.3',
    `${compat('c')}\nc:\nuse 32\nsti; inc eax; inc eax`,
  ),
  asked(
    'prot',
    'through a task gate',
    'SDM 3A 7.3',
    'sti; nop; nop\nb:\nstr eax',
    VECTOR,
    (m, label) =>
      m
        .gdt(0x100, { base: at.TSS_B, limit: 0x67, attr: 0x89 })
        .u32(
          at.TSS_B + 0x1c,
          0,
          label('b'),
          2,
          0xa,
          0xc,
          0xd,
          0xb,
          at.STACK0 - 0x200,
          0xbb,
          0x51,
          0xd1,
        )
        .u32(
          at.TSS_B + 0x48,
          at.DATA32,
          at.CODE32,
          at.DATA32,
          at.DATA32,
          0,
          0,
          at.LDT_SEL,
          0x680000,
        )
        .idt32(VECTOR, { selector: 0x100, target: 0, attr: 0x85 }),
  ),
  asked(
    'prot',
    'in virtual-8086 mode',
    'SDM 3A 21.3.1',
    `push 0x1a00; push 0x1a00; push 0x1a00; push 0x1a00; push 0x0e00; push 0x800; push 0x20202; push 0x2000; mov eax, v; sub eax, ${at.CODE}; push eax; xor eax, eax; iretd\nv:\nuse 16\ninc ax; inc ax`,
  ),
];

export const interruptPrograms = programs('interrupts', [...list, ...alone]);
