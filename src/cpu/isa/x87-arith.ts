// x87 addition, subtraction, multiplication, division and comparison, in all their operand forms.

import {
  arithmeticCode,
  compareCode,
  FROM_F32,
  FROM_F64,
  FROM_INTEGER,
  FROM_REGISTER,
} from '../slow/x87-arith.ts';
import type { Build } from './build.ts';
import type { Form, Insn, Operand } from './define.ts';
import { x87Check } from './fpu-check.ts';
import type { Value } from './ir.ts';
import { callX87, fpuForm } from './x87.ts';

const ref = (name: string): string => `SDM 2A ${name.toUpperCase()}`;
const modrm = (digit: number): string => (0xc0 + digit * 8).toString(16);

/** The digit that opcodes DC and DE, which write ST(i), have for the operation that D8 has at `digit`: sub and subr change places. */
const reversed = (digit: number): number => (digit >= 4 ? digit ^ 1 : digit);

/** fadd, fmul ...: 32- and 64-bit memory, ST(0) with ST(i), ST(i) with ST(0). */
function arithmetic(name: string, digit: number): Insn {
  return {
    name,
    ref: ref(name),
    forms: [
      fpuForm(`d8 /${digit}`, 'Md'),
      fpuForm(`dc /${digit}`, 'Mq'),
      fpuForm(`d8 =${modrm(digit)}+i`, 'ST0,STi'),
      fpuForm(`dc =${modrm(reversed(digit))}+i`, 'STi,ST0'),
    ],
    sem(b, dst, src) {
      x87Check(b);
      if (dst.kind === 'mem') {
        const from = dst.size === 32 ? FROM_F32 : FROM_F64;
        const code = arithmeticCode({ digit, from, toOther: false, pops: false });
        callX87(b, 'x87-arith', code, b.zext(b.read(dst), 64), true);
        return;
      }
      const toOther = src.kind === 'reg' && src.fixed === 0;
      intoRegister(b, digit, toOther ? dst : src, toOther, false);
    },
  };
}

/**
 * What ST(0) op ST(i) gives goes to ST(0) or ST(i). Into ST(i) the mnemonic names ST(i) op ST(0): the operands change
 * places, which the digit says.
 */
function intoRegister(
  b: Build,
  digit: number,
  other: Operand,
  toOther: boolean,
  pops: boolean,
): void {
  const order = toOther ? reversed(digit) : digit;
  const code = arithmeticCode({ digit: order, from: FROM_REGISTER, toOther, pops });
  callX87(b, 'x87-arith', code, b.regNumber(other), false);
}

/** faddp, fmulp ...: into ST(i), then pop. */
function popping(name: string, digit: number): Insn {
  return {
    name,
    ref: ref(name),
    forms: [fpuForm(`de =${modrm(reversed(digit))}+i`, 'STi,ST0')],
    sem(b, dst) {
      x87Check(b);
      intoRegister(b, digit, dst, true, true);
    },
  };
}

/** fiadd, fimul ...: 16- and 32-bit integers in memory. */
function withInteger(name: string, digit: number): Insn {
  return {
    name,
    ref: ref(name),
    forms: [fpuForm(`de /${digit}`, 'Mw'), fpuForm(`da /${digit}`, 'Md')],
    sem(b, src) {
      x87Check(b);
      const code = arithmeticCode({ digit, from: FROM_INTEGER, toOther: false, pops: false });
      callX87(b, 'x87-arith', code, b.sext(b.read(src), 64), true);
    },
  };
}

interface Comparison {
  readonly unordered: boolean;
  readonly pops: number;
  readonly zero?: boolean;
}

/** fcom, fucom, ficom ...: the result goes to C3, C2 and C0. */
function comparison(name: string, forms: readonly Form[], c: Comparison): Insn {
  const isInteger = name.startsWith('fi');
  return {
    name,
    ref: ref(name),
    forms,
    sem(b, ...operands) {
      x87Check(b);
      const [first, second] = operands;
      const memory = first?.kind === 'mem';
      const from = !memory || !first ? FROM_REGISTER : sourceOf(isInteger, first);
      const operand = memory && first ? valueOfMemory(b, isInteger, first) : registerOf(b, second);
      callX87(b, 'x87-compare', compareCode({ ...c, from }), operand, memory);
    },
  };
}

function sourceOf(isInteger: boolean, o: Operand): number {
  if (isInteger) return FROM_INTEGER;
  return o.size === 32 ? FROM_F32 : FROM_F64;
}

function valueOfMemory(b: Build, isInteger: boolean, o: Operand): Value {
  const v = b.read(o);
  return isInteger ? b.sext(v, 64) : b.zext(v, 64);
}

/** ST(1) where the encoding names no register. */
function registerOf(b: Build, o: Operand | undefined): Value {
  return o ? b.regNumber(o) : b.const(32, 1);
}

/** fcomi, fcomip, fucomi, fucomip: into ZF, PF, CF. An unmasked invalid operation leaves the flags alone. */
function flagComparison(name: string, op: string, unordered: boolean, pops: number): Insn {
  return {
    name,
    ref: 'SDM 2A FCOMI',
    forms: [fpuForm(op, 'ST0,STi', 'cmov')],
    flags: { zf: 'w', pf: 'w', cf: 'w', of: '0', sf: '0', af: '0' },
    sem(b, _, src) {
      x87Check(b);
      const code = compareCode({ unordered, from: FROM_REGISTER, pops });
      const old = (['zf', 'pf', 'cf', 'of', 'sf', 'af'] as const).map((f) => b.flag(f));
      const [flags] = callX87(b, 'x87-compare-flags', code, b.regNumber(src), false, [32]);
      if (!flags) return;
      const valid = b.sign(flags);
      const [zf, pf, cf, of, sf, af] = old.map((was, n) =>
        b.select(valid, n < 3 ? b.bit(flags, [6, 2, 0][n] ?? 0) : b.const(1, 0), was),
      );
      if (zf && pf && cf && of && sf && af) b.setFlags({ zf, pf, cf, of, sf, af });
    },
  };
}

const OPERATIONS = [
  ['add', 0],
  ['mul', 1],
  ['sub', 4],
  ['subr', 5],
  ['div', 6],
  ['divr', 7],
] as const;

const registers = (...ops: readonly string[]): Form[] => ops.map((op) => fpuForm(op, 'ST0,STi'));

export const x87Arith: readonly Insn[] = [
  ...OPERATIONS.map(([name, digit]) => arithmetic(`f${name}`, digit)),
  ...OPERATIONS.map(([name, digit]) => popping(`f${name}p`, digit)),
  ...OPERATIONS.map(([name, digit]) => withInteger(`fi${name}`, digit)),
  comparison(
    'fcom',
    [fpuForm('d8 /2', 'Md'), fpuForm('dc /2', 'Mq'), ...registers('d8 =d0+i', 'dc =d0+i')],
    { unordered: false, pops: 0 },
  ),
  comparison(
    'fcomp',
    [
      fpuForm('d8 /3', 'Md'),
      fpuForm('dc /3', 'Mq'),
      ...registers('d8 =d8+i', 'dc =d8+i', 'de =d0+i'),
    ],
    { unordered: false, pops: 1 },
  ),
  comparison('fcompp', [fpuForm('de =d9', '')], { unordered: false, pops: 2 }),
  comparison('fucom', registers('dd =e0+i'), { unordered: true, pops: 0 }),
  comparison('fucomp', registers('dd =e8+i'), { unordered: true, pops: 1 }),
  comparison('fucompp', [fpuForm('da =e9', '')], { unordered: true, pops: 2 }),
  comparison('ficom', [fpuForm('de /2', 'Mw'), fpuForm('da /2', 'Md')], {
    unordered: false,
    pops: 0,
  }),
  comparison('ficomp', [fpuForm('de /3', 'Mw'), fpuForm('da /3', 'Md')], {
    unordered: false,
    pops: 1,
  }),
  comparison('ftst', [fpuForm('d9 =e4', '')], { unordered: false, pops: 0, zero: true }),
  flagComparison('fcomi', 'db =f0+i', false, 0),
  flagComparison('fcomip', 'df =f0+i', false, 1),
  flagComparison('fucomi', 'db =e8+i', true, 0),
  flagComparison('fucomip', 'df =e8+i', true, 1),
];
