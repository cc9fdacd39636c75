// x87 loads, stores, stack, constants, and instructions on ST(0) and ST(1). Every one is a slow path over the state.

import {
  COPY_POPS,
  COPY_UNCHECKED,
  LOAD_F32,
  LOAD_F64,
  LOAD_INTEGER,
  LOAD_REGISTER,
  STACK_DOWN,
  STACK_FREE,
  STACK_FREE_POP,
  STACK_NOTHING,
  STACK_UP,
  storeCode,
  storeIntegerCode,
} from '../slow/x87-move.ts';
import type { Build } from './build.ts';
import type { Form, Insn, Operand } from './define.ts';
import { x87Check } from './fpu-check.ts';
import type { Value, Width } from './ir.ts';

/** Slow paths' flag: argument 3 is the offset of a memory operand. */
const HAS_MEMORY = 1 << 16;

const ref = (name: string): string => `SDM 2A ${name.toUpperCase()}`;
export const fpuForm = (op: string, args: string, needs = 'fpu'): Form => ({ op, args, needs });

/** Calls an x87 slow path: code, operand, next RIP, offset of the memory operand. */
export function callX87(
  b: Build,
  path: string,
  code: number,
  operand: Value | null,
  memory: boolean,
  results: readonly Width[] = [],
): Value[] {
  const args = [b.const(32, code | (memory ? HAS_MEMORY : 0)), operand ?? b.const(32, 0), b.next()];
  return b.call(path, memory ? [...args, b.address()] : args, results);
}

/** An instruction without operands. */
function simple(name: string, op: string, path: string, code = 0): Insn {
  return {
    name,
    ref: ref(name),
    forms: [fpuForm(op, '')],
    sem(b) {
      x87Check(b);
      callX87(b, path, code, null, false);
    },
  };
}

/** An instruction on ST(i); `operand` says which of the operands that is. */
function onRegister(
  name: string,
  forms: readonly Form[],
  path: string,
  code: number,
  operand: 0 | 1,
): Insn {
  return {
    name,
    ref: ref(name),
    forms,
    sem(b, ...operands) {
      x87Check(b);
      const st = operands[operand] ?? operands[0];
      callX87(b, path, code, st ? b.regNumber(st) : null, false);
    },
  };
}

function memoryForms(list: readonly (readonly [string, string])[], needs = 'fpu'): Form[] {
  return list.map(([op, args]) => fpuForm(op, args, needs));
}

/** fld and fild of values that fit a register: the value goes along. */
function load(name: string, forms: readonly Form[], code: (o: Operand) => number): Insn {
  return {
    name,
    ref: ref(name),
    forms,
    sem(b, src) {
      x87Check(b);
      const c = code(src);
      const v = b.read(src);
      const wide = c === LOAD_INTEGER ? b.sext(v, 64) : b.zext(v, 64);
      callX87(b, 'x87-load', c, wide, true);
    },
  };
}

/** Operands that a slow path reads or writes itself: 80 bits, or stores that an exception may stop. */
function throughMemory(
  name: string,
  forms: readonly Form[],
  path: string,
  writes: boolean,
  code: (bits: number) => number,
): Insn {
  return {
    name,
    ref: ref(name),
    forms,
    sem(b, o) {
      x87Check(b);
      const bits = o.size === 0 ? 80 : o.size;
      const at = b.linear('operand', b.address(), bits / 8, writes);
      callX87(b, path, code(bits), at, true);
    },
  };
}

const stores = (pops: boolean) => (bits: number) => storeCode(pops, bits as 32 | 64 | 80);
const integers = (pops: boolean, truncates: boolean) => (bits: number) =>
  storeIntegerCode(pops, truncates, bits as 16 | 32 | 64);
const zero = (): number => 0;

const MOVES = ['b', 'e', 'be', 'u', 'nb', 'ne', 'nbe', 'nu'] as const;
/** Condition codes of SDM 1 appendix B for b, e, be, u; the negated ones are odd. */
const MOVE_CODES = [2, 4, 6, 10, 3, 5, 7, 11] as const;

function conditionalMove(n: number): Insn {
  const modrm = (0xc0 + (n & 3) * 8).toString(16);
  const name = `fcmov${MOVES[n]}`;
  return {
    name,
    ref: 'SDM 2A FCMOVcc',
    forms: [fpuForm(`${n < 4 ? 'da' : 'db'} =${modrm}+i`, 'ST0,STi', 'cmov')],
    flags: { cf: 'r', pf: 'r', zf: 'r' },
    sem(b, _, src) {
      x87Check(b);
      const holds = b.zext(b.cond(MOVE_CODES[n] ?? 0), 32);
      b.call('x87-move-if', [holds, b.regNumber(src), b.next()]);
    },
  };
}

export const x87: readonly Insn[] = [
  load(
    'fld',
    memoryForms([
      ['d9 /0', 'Md'],
      ['dd /0', 'Mq'],
    ]),
    (o) => (o.size === 32 ? LOAD_F32 : LOAD_F64),
  ),
  load(
    'fild',
    memoryForms([
      ['df /0', 'Mw'],
      ['db /0', 'Md'],
      ['df /5', 'Mq'],
    ]),
    () => LOAD_INTEGER,
  ),
  throughMemory('fld', memoryForms([['db /5', 'Mst']]), 'x87-load-extended', false, zero),
  throughMemory(
    'fst',
    memoryForms([
      ['d9 /2', 'Md'],
      ['dd /2', 'Mq'],
    ]),
    'x87-store',
    true,
    stores(false),
  ),
  throughMemory(
    'fstp',
    memoryForms([
      ['d9 /3', 'Md'],
      ['dd /3', 'Mq'],
      ['db /7', 'Mst'],
    ]),
    'x87-store',
    true,
    stores(true),
  ),
  throughMemory(
    'fist',
    memoryForms([
      ['df /2', 'Mw'],
      ['db /2', 'Md'],
    ]),
    'x87-store-integer',
    true,
    integers(false, false),
  ),
  throughMemory(
    'fistp',
    memoryForms([
      ['df /3', 'Mw'],
      ['db /3', 'Md'],
      ['df /7', 'Mq'],
    ]),
    'x87-store-integer',
    true,
    integers(true, false),
  ),
  throughMemory(
    'fisttp',
    memoryForms(
      [
        ['df /1', 'Mw'],
        ['db /1', 'Md'],
        ['dd /1', 'Mq'],
      ],
      'sse3',
    ),
    'x87-store-integer',
    true,
    integers(true, true),
  ),
  throughMemory('fbld', memoryForms([['df /4', 'Mst']]), 'x87-load-decimal', false, zero),
  throughMemory('fbstp', memoryForms([['df /6', 'Mst']]), 'x87-store-decimal', true, zero),
  onRegister('fld', [fpuForm('d9 =c0+i', 'STi')], 'x87-load', LOAD_REGISTER, 0),
  onRegister('fst', [fpuForm('dd =d0+i', 'STi')], 'x87-store-register', 0, 0),
  // The last two, and others below, are aliases in reserved rows that every processor has. SDM 2D, tables.
  onRegister(
    'fstp',
    ['dd =d8+i', 'df =d0+i', 'df =d8+i'].map((op) => fpuForm(op, 'STi')),
    'x87-store-register',
    COPY_POPS,
    0,
  ),
  onRegister(
    'fstpnce',
    [fpuForm('d9 =d8+i', 'STi')],
    'x87-store-register',
    COPY_POPS | COPY_UNCHECKED,
    0,
  ),
  onRegister(
    'fxch',
    ['d9 =c8+i', 'dd =c8+i', 'df =c8+i'].map((op) => fpuForm(op, 'ST0,STi')),
    'x87-exchange',
    0,
    1,
  ),
  onRegister('ffree', [fpuForm('dd =c0+i', 'STi')], 'x87-stack', STACK_FREE, 0),
  onRegister('ffreep', [fpuForm('df =c0+i', 'STi')], 'x87-stack', STACK_FREE_POP, 0),
  ...MOVES.map((_, n) => conditionalMove(n)),
  simple('fnop', 'd9 =d0', 'x87-stack', STACK_NOTHING),
  simple('fdecstp', 'd9 =f6', 'x87-stack', STACK_DOWN),
  simple('fincstp', 'd9 =f7', 'x87-stack', STACK_UP),
  ...['fld1', 'fldl2t', 'fldl2e', 'fldpi', 'fldlg2', 'fldln2', 'fldz'].map((name, n) =>
    simple(name, `d9 =${(0xe8 + n).toString(16)}`, 'x87-constant', n),
  ),
  simple('fchs', 'd9 =e0', 'x87-sign', 0),
  simple('fabs', 'd9 =e1', 'x87-sign', 1),
  simple('fxam', 'd9 =e5', 'x87-examine'),
  simple('f2xm1', 'd9 =f0', 'x87-f2xm1'),
  simple('fyl2x', 'd9 =f1', 'x87-fyl2x'),
  simple('fptan', 'd9 =f2', 'x87-sine-cosine', 1),
  simple('fpatan', 'd9 =f3', 'x87-fpatan'),
  simple('fxtract', 'd9 =f4', 'x87-extract'),
  simple('fprem1', 'd9 =f5', 'x87-remainder', 1),
  simple('fprem', 'd9 =f8', 'x87-remainder', 0),
  simple('fyl2xp1', 'd9 =f9', 'x87-fyl2xp1'),
  simple('fsqrt', 'd9 =fa', 'x87-root'),
  simple('fsincos', 'd9 =fb', 'x87-sine-cosine', 0),
  simple('frndint', 'd9 =fc', 'x87-round-integer'),
  simple('fscale', 'd9 =fd', 'x87-scale'),
  simple('fsin', 'd9 =fe', 'x87-sine', 0),
  simple('fcos', 'd9 =ff', 'x87-sine', 1),
];
