// The limit of CS: what may be fetched, and where near branches may go, in segments that end early.

import * as at from '../layout.ts';
import { DONE, type Program, programs } from '../program.ts';

const REF = 'SDM 3A 5.3';
/** 32-bit code at CODE up to `limit`: `code` begins at offset 15, behind a far jump and the flags. */
function short(name: string, ref: string, limit: number, code: string, fl = 2): Program {
  return {
    name,
    ref,
    mode: 'prot',
    setup: (m) => m.gdt(at.FREE, { base: at.CODE, limit, attr: 0x409b }),
    code: `jmpf ${at.FREE}:7; push ${fl}; popfd; nop; nop; nop; nop; nop\n${code}`,
  };
}
/** The same in real mode, whose segments end at 64 KiB. */
const real = (name: string, ref: string, code: string): Program => ({
  name: `${name}, real mode`,
  ref,
  mode: 'real',
  code,
});
const JUMP_BEYOND = [0xe9, 0, 1, 0, 0];
const bytes = (list: readonly number[]): string => `db ${list.join(', ')}`;

const limits: Program[] = [
  short('relative jump beyond', 'SDM 2A JMP', 0x7f, bytes(JUMP_BEYOND)),
  short('relative call beyond pushes nothing', 'SDM 2A CALL', 0x7f, bytes([0xe8, 0, 1, 0, 0])),
  short(
    'conditional jump beyond, taken',
    'SDM 2A Jcc',
    0x7f,
    bytes([0x0f, 0x84, 0, 1, 0, 0]),
    0x42,
  ),
  short(
    'conditional jump beyond, not taken',
    'SDM 2A Jcc',
    0x7f,
    `${bytes([0x0f, 0x84, 0, 1, 0, 0])}; ${DONE}`,
  ),
  short('loop beyond keeps the count', 'SDM 2A LOOP', 0x3f, `mov ecx, 5; ${bytes([0xe2, 0x7f])}`),
  short(
    'loop beyond that ends',
    'SDM 2A LOOP',
    0x3f,
    `mov ecx, 1; ${bytes([0xe2, 0x7f])}; ${DONE}`,
  ),
  short('loope beyond', 'SDM 2A LOOP', 0x3f, `mov ecx, 5; ${bytes([0xe1, 0x7f])}`, 0x42),
  short('loopne beyond', 'SDM 2A LOOP', 0x3f, `mov ecx, 5; ${bytes([0xe0, 0x7f])}`),
  short('jecxz beyond', 'SDM 2A Jcc', 0x3f, bytes([0xe3, 0x7f])),
  short('return beyond', 'SDM 2B RET', 0x7f, 'push 0x80; ret'),
  short('return beyond releases nothing', 'SDM 2B RET', 0x7f, 'push 0x80; ret 8'),
  short('return to the last byte', 'SDM 2B RET', 0x7f, 'push 0x7f; ret'),
  short('jump to the last byte', 'SDM 2A JMP', 0x7f, 'mov eax, 0x7f; jmp eax'),
  short(
    'indirect jump through memory beyond',
    'SDM 2A JMP',
    0x7f,
    `mov dword ptr [${at.DATA}], 0x80; jmp dword ptr [${at.DATA}]`,
  ),
  short(
    'indirect call through memory beyond',
    'SDM 2A CALL',
    0x7f,
    `mov dword ptr [${at.DATA}], 0x80; call dword ptr [${at.DATA}]`,
  ),
  short('prefixes up to the end', REF, 0x12, bytes([0x66, 0x66, 0x66, 0x66, 0x90])),
  short('an instruction that is none before the end', REF, 0x11, bytes([0x0f, 0xff, 0xc0])),
  real('jump of 32 bits beyond', 'SDM 2A JMP', bytes([0x66, 0xe9, 0, 0, 1, 0])),
  real('call of 32 bits beyond', 'SDM 2A CALL', bytes([0x66, 0xe8, 0, 0, 1, 0])),
  real(
    'conditional jump of 32 bits beyond',
    'SDM 2A Jcc',
    `xor ax, ax; ${bytes([0x66, 0x0f, 0x84, 0, 0, 1, 0])}`,
  ),
  real('return of 32 bits beyond', 'SDM 2B RET', 'push 1; push 0; o32 ret'),
  // Segment 0x1001 ends with the byte at 0x2000f, in the middle of the program.
  real('running off the end', REF, `jmpf 0x1001:0xfffe; ${'nop; '.repeat(16)}nop`),
  real(
    'instruction across the end',
    REF,
    `jmpf 0x1001:0xfffe; ${'nop; '.repeat(10)}mov ax, 1; nop`,
  ),
];

export const codeLimits = programs('code limits', limits);
