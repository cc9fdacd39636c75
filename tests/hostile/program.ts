// Programs of nonsense: snippets that each end in a fault or not, a handler that goes on with the next, tables of garbage.

import { Assembler } from '../../src/cpu/asm.ts';
import { instructions } from '../../src/cpu/table.ts';
import { randomEncoding } from '../../src/cpu/testing/encoding.ts';
import type { Chance } from './chance.ts';

export type Bits = 16 | 32 | 64;

const SNIPPETS = 96;
const SNIPPET_BYTES = 64;
/** In RAM that the program leaves alone, except by chance: IDT, stack top, the address of the next snippet, tables. */
const IDT_AT = 0x8000;
const STACK_TOP = 0x7f00;
const NEXT_AT = 0x7f80;
const IDTR_AT = 0x7f90;
const TABLES_AT = 0x300000;

/** Every form of the table, so that a new instruction is met without being named here. */
const FORMS = instructions.flatMap((instruction) => instruction.forms);

/**
 * Builds an interrupt table whose every vector goes on with the next snippet. Real-mode code begins at `origin` in its
 * segment, the other two at that linear address.
 */
export function nonsenseProgram(chance: Chance, bits: Bits, origin: number): Uint8Array {
  const a = new Assembler(bits, origin);
  a.text(PROLOGUES[bits]);
  a.text(tables(chance, bits));
  a.text(CONTINUE[bits]);
  a.align(SNIPPET_BYTES);
  a.bind(a.label('snippets'));
  for (let n = 0; n < SNIPPETS; n++) {
    const end = a.here + BigInt(SNIPPET_BYTES);
    a.bytes(snippet(chance, bits).subarray(0, SNIPPET_BYTES));
    while (a.here < end) a.bytes(0x90);
  }
  a.text('cli\nhlt');
  return a.finish();
}

const PROLOGUES: Readonly<Record<Bits, string>> = {
  16: `
    cli
    xor ax, ax
    mov ss, ax
    mov sp, ${STACK_TOP}
    mov es, ax
    mov di, ax
    mov cx, 0x100
    cld
  vectors:
    mov ax, handler
    stosw
    mov ax, cs
    stosw
    loop vectors
    mov ds, cx
    mov word ptr [${NEXT_AT}], snippets
  `,
  32: `
    cli
    mov esp, ${STACK_TOP}
    mov edi, ${IDT_AT}
    mov ecx, 0x100
    cld
  vectors:
    mov eax, handler
    mov ax, cs
    shl eax, 16
    mov edx, handler
    mov ax, dx
    stosd
    mov eax, handler
    mov ax, 0x8e00
    stosd
    loop vectors
    mov word ptr [${IDTR_AT}], 0x7ff
    mov dword ptr [${IDTR_AT + 2}], ${IDT_AT}
    lidt [${IDTR_AT}]
    mov dword ptr [${NEXT_AT}], snippets
  `,
  64: `
    cli
    mov rsp, ${STACK_TOP}
    mov rdi, ${IDT_AT}
    mov rcx, 0x100
    cld
  vectors:
    mov eax, cs
    shl eax, 16
    lea rdx, [handler]
    mov ax, dx
    stosd
    mov eax, edx
    mov ax, 0x8e00
    stosd
    xor eax, eax
    stosq
    loop vectors
    mov rbx, ${IDTR_AT}
    mov word ptr [rbx], 0xfff
    mov dword ptr [rbx+2], ${IDT_AT}
    mov dword ptr [rbx+6], 0
    lidt [rbx]
    lea rax, [snippets]
    mov rbx, ${NEXT_AT}
    mov qword ptr [rbx], rax
  `,
};

/** Goes on with the snippet after the one that faulted; registers but the stack and what it needs stay as they were. */
const CONTINUE: Readonly<Record<Bits, string>> = {
  16: `
    jmp snippets
  handler:
    xor ax, ax
    mov ss, ax
    mov ds, ax
    mov sp, ${STACK_TOP}
    add word ptr [${NEXT_AT}], ${SNIPPET_BYTES}
    jmp word ptr [${NEXT_AT}]
  `,
  32: `
    jmp snippets
  handler:
    mov esp, ${STACK_TOP}
    add dword ptr [${NEXT_AT}], ${SNIPPET_BYTES}
    jmp dword ptr [${NEXT_AT}]
  `,
  64: `
    jmp snippets
  handler:
    mov rsp, ${STACK_TOP}
    mov ebx, ${NEXT_AT}
    add qword ptr [rbx], ${SNIPPET_BYTES}
    jmp qword ptr [rbx]
  `,
};

/**
 * Tables of garbage, whose entries point at each other, at RAM and at nothing. The first of them map the low megabytes as
 * they are, so that a guest that loads them goes on, and meets the rest by touching higher addresses.
 */
function tables(chance: Chance, bits: Bits): string {
  if (bits === 16) return '';
  const [seed, step] = [chance.u32() | 1, chance.u32() | 1];
  const [a, c, di] = bits === 64 ? ['rax', 'rcx', 'rdi'] : ['eax', 'ecx', 'edi'];
  return `
    mov ${di}, ${TABLES_AT}
    mov ${c}, 0x2000
    mov ebx, ${seed}
  garbage:
    mov eax, ebx
    and eax, ${chance.pick([0x0000_70ff, 0x0000_7fe7, 0x00ff_ffff])}
    or eax, ${TABLES_AT | chance.pick([0, 1, 3, 7])}
    stosd
    ${chance.oneIn(4) ? 'mov eax, ebx' : 'xor eax, eax'}
    add ebx, ${step}
    stosd
    loop garbage
    ${bits === 64 ? IDENTITY_64 : IDENTITY_32}
    xor ${a}, ${a}
  `;
}

/** Four pages of 4 MiB, accessed and dirty. */
const IDENTITY_32 = `
    mov edi, ${TABLES_AT}
    ${[0, 1, 2, 3].map((n) => `mov dword ptr [edi+${4 * n}], ${n * 0x400000 + 0xe3}`).join('\n')}
    mov eax, cr4
    or eax, 0x10
    mov cr4, eax
`;
/** Eight pages of 2 MiB behind two tables. */
const IDENTITY_64 = `
    mov edi, ${TABLES_AT}
    mov dword ptr [rdi], ${TABLES_AT + 0x1003}
    mov dword ptr [rdi+4], 0
    mov dword ptr [rdi+0x1000], ${TABLES_AT + 0x2003}
    mov dword ptr [rdi+0x1004], 0
    ${[0, 1, 2, 3, 4, 5, 6, 7]
      .map(
        (n) =>
          `mov dword ptr [rdi+${0x2000 + 8 * n}], ${n * 0x200000 + 0xe3}\nmov dword ptr [rdi+${0x2004 + 8 * n}], 0`,
      )
      .join('\n')}
`;

export function snippet(chance: Chance, bits: Bits): Uint8Array {
  switch (chance.below(4)) {
    case 0:
      return chance.bytes(SNIPPET_BYTES);
    case 1:
      return Uint8Array.from(
        [0, 1, 2, 3].flatMap(() => randomEncoding(chance.pick(FORMS), bits, chance).bytes),
      );
    default:
      return deliberate(chance, bits);
  }
}

/** A few lines that a kernel might hold, with values that it would not. */
function deliberate(chance: Chance, bits: Bits): Uint8Array {
  const a = new Assembler(bits, 0);
  for (let n = 0; n < 3; n++) {
    const before = a.here;
    a.text(chance.pick(LINES)(chance, bits));
    if (a.here > 56n || a.here === before) break;
  }
  return a.finish();
}

type Lines = (chance: Chance, bits: Bits) => string;

const wide = (bits: Bits, name: string): string => (bits === 64 ? `r${name}` : `e${name}`);
/** Loads a 32-bit value, sign-extended in long mode. */
const load = (bits: Bits, name: string, value: number): string =>
  `mov ${wide(bits, name)}, ${bits === 64 ? value | 0 : value}`;
const PLACES = [0, IDT_AT, STACK_TOP, 0x100000, TABLES_AT, 0x200000, 0xfffff0, 0x1000000].concat([
  0xfee00000, 0xfec00000, 0xfed00000, 0xe0000000, 0xfffffff0,
]);
const place = (chance: Chance): number =>
  chance.oneIn(4) ? chance.value() : (chance.pick(PLACES) + chance.below(256)) >>> 0;
const ROM_AT = 0xd0000;
const PORTS = [0x20, 0x40, 0x43, 0x60, 0x64, 0x70, 0xcf8, 0xcfc, 0x3f8, 0x600, 0xa1, 0x61, 0x402];
const MSRS = [0x10, 0x11, 0x12, 0x1b, 0x6e0, 0x800, 0x80b, 0x830, 0x838, 0x4b564d00, 0x4b564d04]
  .concat([0xc0000080, 0xc0000081, 0xc0000082, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102])
  .concat([0x174, 0x175, 0x176, 0x277, 0x40000000, 0x40000001]);

const LINES: readonly Lines[] = [
  (c, b) =>
    `${load(b, 'ax', c.oneIn(4) ? c.value() : (0x80000011 ^ (1 << c.pick([1, 2, 3, 5, 16, 18, 29]))) >>> 0)}\nmov cr0, ${wide(b, 'ax')}`,
  (c, b) =>
    `mov ${wide(b, 'ax')}, cr0\nxor eax, ${(1 << c.pick([0, 1, 2, 3, 5, 16, 18])) >>> 0}\nmov cr0, ${wide(b, 'ax')}`,
  (c, b) =>
    `${load(b, 'ax', c.oneIn(12) ? c.value() : TABLES_AT + 4096 * (c.oneIn(8) ? c.below(8) : 0))}\nmov cr3, ${wide(b, 'ax')}`,
  (_, b) =>
    `mov ${wide(b, 'ax')}, cr0\nor eax, 0x80000000\n${load(b, 'bx', TABLES_AT)}\nmov cr3, ${wide(b, 'bx')}\nmov cr0, ${wide(b, 'ax')}`,
  (c, b) =>
    `mov ${wide(b, 'ax')}, cr4\nxor eax, ${(1 << c.below(22)) >>> 0}\nmov cr4, ${wide(b, 'ax')}`,
  (c, b) => `${load(b, 'ax', c.value())}\nmov dr${c.pick([0, 1, 2, 3, 6, 7])}, ${wide(b, 'ax')}`,
  (c) =>
    `mov ecx, ${c.oneIn(4) ? c.value() : c.pick(MSRS)}\nmov eax, ${c.oneIn(2) ? place(c) : c.value()}\nmov edx, ${c.oneIn(2) ? 0 : c.value()}\nwrmsr`,
  (c) => `mov ecx, ${c.oneIn(4) ? c.value() : c.pick(MSRS)}\nrdmsr`,
  (c) =>
    `mov eax, ${c.oneIn(2) ? c.value() : 0x40000000 + c.below(8)}\nmov ecx, ${c.below(4)}\ncpuid`,
  (c, b) =>
    `${load(b, 'ax', c.below(64))}\n${load(b, 'bx', place(c))}\n${load(b, 'cx', c.value())}\n${load(b, 'dx', place(c))}\n${c.pick(['vmcall', 'vmmcall'])}`,
  (c) =>
    `mov dx, ${c.oneIn(3) ? c.below(65536) : c.pick(PORTS) + c.below(4)}\nmov eax, ${c.value()}\n${c.pick(['out dx, al', 'out dx, ax', 'out dx, eax', 'in al, dx', 'in eax, dx'])}`,
  (c, b) =>
    `${load(b, 'di', place(c))}\n${load(b, 'si', place(c))}\n${load(b, 'cx', c.value())}\n${c.pick(['rep movsb', 'rep stosd', 'rep movsd', 'std; rep movsw', 'repne scasb', 'rep insb', 'rep outsb'])}`,
  (c, b) =>
    `${load(b, 'bx', place(c))}\n${c.pick(['lgdt', 'lidt', 'sgdt', 'invlpg', 'clflush', 'fxsave', 'fxrstor', 'xsave', 'xrstor'])} [${b === 16 ? 'bx' : wide(b, 'bx')}]`,
  (c) =>
    `mov ax, ${c.oneIn(2) ? 8 * c.below(8) + c.below(4) : c.value() & 0xffff}\n${c.pick(['mov ss, ax', 'mov ds, ax', 'mov fs, ax', 'ltr ax', 'lldt ax', 'lmsw ax', 'verr ax'])}`,
  (c, b) =>
    `${load(b, 'bx', place(c))}\n${c.pick(['mov', 'add', 'xchg', 'lock xadd', 'lock cmpxchg'])} dword ptr [${b === 16 ? 'bx' : wide(b, 'bx')}], eax`,
  (c, b) =>
    `${load(b, 'ax', c.oneIn(8) ? place(c) : c.below(0x400000))}\n${c.pick(['jmp', 'call'])} ${wide(b, 'ax')}`,
  (c) => `int ${c.below(256)}`,
  // A ROM of calls, where an interface has one: its first entry, or any (vmi.md 3).
  (c, b) =>
    b === 32
      ? `mov eax, ${place(c)}\nmov edx, ${place(c)}\nmov ecx, ${c.value()}\npush ${c.value() | 0}\ncall ${ROM_AT + (c.oneIn(4) ? 0x80 : 0x200 + 32 * c.below(74))}`
      : 'nop',
  (c, b) =>
    `${load(b, 'sp', place(c))}\n${c.pick(['push', 'pop'])} ${wide(b, 'ax')}\n${c.pick(['ret', 'retf', b === 64 ? 'iretq' : 'iret'])}`,
  (c) =>
    c.pick([
      'sti\nhlt',
      'hlt',
      'cli',
      'sti',
      'pushf\npop ax',
      'int3',
      'ud2',
      'syscall',
      'sysret',
      'sysenter',
      'sysexit',
      'wbinvd',
      'rdtsc',
      'rdrand eax',
      'clts',
      'fninit',
      'emms',
      'pause',
    ]),
  (c, b) => `${load(b, 'ax', c.value())}\npush ${wide(b, 'ax')}\n${b === 64 ? 'popfq' : 'popf'}`,
];
