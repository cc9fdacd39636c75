// Turns an encoding of the table (`op` and `args` strings) into the numbers that decoder, disassembler and assembler use.

import { bug } from '../../base/errors.ts';
import type { Form, Insn, Operand } from './define.ts';

export type RegFile = (Operand & { kind: 'reg' })['file'];

/** Where an operand comes from and what sizes it has. `slot` ones take a register number from the code bytes. */
export type Arg =
  /** The rm field of ModRM: a register, memory, or either. */
  | {
      readonly from: 'rm';
      readonly file: RegFile;
      readonly allows: 'reg' | 'mem' | 'both';
      readonly regSize: string;
      readonly memSize: string;
    }
  /** The reg field of ModRM, or the low three bits of the opcode, or those of an exact ModRM (x87). */
  | { readonly from: 'reg' | 'opcode' | 'sti'; readonly file: RegFile; readonly regSize: string }
  | {
      readonly from: 'imm';
      readonly n: 0 | 1;
      /** Bytes in the code: b w d q, or z v by operand size. */
      readonly coded: 'b' | 'w' | 'd' | 'q' | 'z' | 'v';
      readonly size: string;
      /** A byte or 32 bits that mean a wider number. */
      readonly extended: boolean;
      readonly relative: boolean;
    }
  | { readonly from: 'fixed'; readonly file: RegFile; readonly regSize: string; readonly n: number }
  | { readonly from: 'one' }
  | { readonly from: 'moffs'; readonly memSize: string }
  | { readonly from: 'string'; readonly memSize: string; readonly destination: boolean };

export interface CompiledForm {
  readonly insn: Insn;
  readonly form: Form;
  readonly id: number;
  /** 0: one byte, 1: 0f, 2: 0f 38, 3: 0f 3a. */
  readonly map: number;
  readonly opcode: number;
  /** Opcodes covered: 8 for `+r`, 16 for `+cc`. */
  readonly span: 1 | 8 | 16;
  readonly mandatory: readonly number[];
  readonly noPrefix: boolean;
  /** Bit n: may follow prefix state n = has66 + 2 * (0 none, 1 F2, 2 F3). */
  readonly allowed: number;
  readonly rexW: -1 | 0 | 1;
  readonly hasModrm: boolean;
  readonly digit: number;
  /** The whole ModRM byte, or -1; `exactSpan` 8 for `=c0+i`. */
  readonly exact: number;
  readonly exactSpan: 1 | 8;
  readonly mod: 'reg' | 'mem' | 'both' | 'ignored';
  readonly args: readonly Arg[];
  /** 66 does not change the operand size: it is the mandatory prefix, or the form has one and no operand that would follow. */
  readonly ignores66: boolean;
  readonly isCc: boolean;
  /** Mnemonics for operand (jcxz: address) sizes 16, 32, 64; one where there is no difference. */
  readonly names: readonly string[];
  readonly nameBy: 'none' | 'osize' | 'asize';
  readonly score: number;
}

export const CONDITIONS = [
  'o',
  'no',
  'b',
  'ae',
  'e',
  'ne',
  'be',
  'a',
  's',
  'ns',
  'p',
  'np',
  'l',
  'ge',
  'le',
  'g',
] as const;

const SEGMENTS = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS'];
const WORD_REGISTERS = ['AX', 'CX', 'DX', 'BX', 'SP', 'BP', 'SI', 'DI'];
const BYTE_REGISTERS = ['AL', 'CL', 'DL', 'BL', 'AH', 'CH', 'DH', 'BH'];
/** One-byte opcodes whose `Ib` means a number of the operand size: push, imul, group 1. SDM 2A, tables. */
const EXTENDED_BYTE = [0x6a, 0x6b, 0x83];

const BITS: Record<string, number> = {
  b: 8,
  w: 16,
  d: 32,
  q: 64,
  dq: 128,
  x: 128,
  ps: 128,
  pd: 128,
  ss: 32,
  sd: 64,
  pi: 64,
  si: 32,
  st: 80,
  t: 0,
  s: 0,
  '': 0,
};

/** Bits of an operand with this size code. */
export function bitsOf(code: string, osize: number, mode: number): number {
  const fixed = BITS[code];
  if (fixed !== undefined) return fixed;
  if (code === 'v') return osize;
  if (code === 'z') return osize === 16 ? 16 : 32;
  if (code === 'y') return osize === 64 ? 64 : 32;
  if (code === 'm') return mode === 64 ? 64 : 32;
  if (code === 'p') return osize + 16;
  if (code === 'a') return osize * 2;
  return bug(`unknown operand size '${code}'`);
}

/** Does an operand of this size code follow the operand size? */
export const followsOsize = (code: string): boolean => 'vzypa'.includes(code) && code !== '';

export function compileForm(insn: Insn, form: Form, id: number): CompiledForm {
  const op = parseOp(form.op);
  const { args, sized } = operandsOf(form.args, op.map === 0 && EXTENDED_BYTE.includes(op.opcode));
  const has66 = op.mandatory.includes(0x66);
  const ignores66 = has66
    ? !op.mandatory.includes(0xf2)
    : (op.noPrefix || op.mandatory.length > 0) && !sized;
  const mod = modOf(args, op);
  const { names, nameBy } = namesOf(form.name ?? insn.name);
  // Written out, not spread: there are a thousand at every start, and the decoder wants them of one shape.
  return {
    insn,
    form,
    id,
    map: op.map,
    opcode: op.opcode,
    span: op.span,
    mandatory: op.mandatory,
    noPrefix: op.noPrefix,
    allowed: allowedPrefixes(op, ignores66),
    rexW: op.rexW,
    hasModrm: op.hasModrm,
    digit: op.digit,
    exact: op.exact,
    exactSpan: op.exactSpan,
    mod,
    args,
    ignores66,
    isCc: op.span === 16,
    names,
    nameBy,
    score: scoreOf(op, mod),
  };
}

export function sizeCodes(a: Arg): readonly string[] {
  switch (a.from) {
    case 'rm':
      return a.allows === 'mem'
        ? [a.memSize]
        : a.allows === 'reg'
          ? [a.regSize]
          : [a.regSize, a.memSize];
    case 'reg':
    case 'opcode':
    case 'sti':
    case 'fixed':
      return [a.regSize];
    case 'moffs':
    case 'string':
      return [a.memSize];
    case 'imm':
      return [a.size];
    case 'one':
      return [];
  }
}

interface ParsedOp {
  map: number;
  opcode: number;
  span: 1 | 8 | 16;
  mandatory: number[];
  noPrefix: boolean;
  rexW: -1 | 0 | 1;
  hasModrm: boolean;
  digit: number;
  exact: number;
  exactSpan: 1 | 8;
}

function parseOp(text: string): ParsedOp {
  const bytes: number[] = [];
  const op: ParsedOp = {
    map: 0,
    opcode: -1,
    span: 1,
    mandatory: [],
    noPrefix: false,
    rexW: -1,
    hasModrm: false,
    digit: -1,
    exact: -1,
    exactSpan: 1,
  };
  for (const word of text.split(' ')) {
    const token = tokenOf(word);
    if (!token) return bug(`unknown token '${word}' in encoding '${text}'`);
    switch (token.kind) {
      case 'no-prefix':
        op.noPrefix = true;
        break;
      case 'rex-w':
        op.rexW = token.w;
        break;
      case 'modrm':
        op.hasModrm = true;
        op.digit = token.digit;
        break;
      case 'exact':
        op.hasModrm = true;
        op.exact = token.byte;
        op.exactSpan = token.span;
        break;
      case 'byte':
        if (token.mayBePrefix && bytes.length === 0) op.mandatory.push(token.byte);
        else {
          bytes.push(token.byte);
          op.span = token.span;
        }
    }
  }
  setOpcode(op, bytes, text);
  return op;
}

/** A word of an encoding. */
type Token =
  | { readonly kind: 'no-prefix' }
  | { readonly kind: 'rex-w'; readonly w: 0 | 1 }
  | { readonly kind: 'modrm'; readonly digit: number }
  | { readonly kind: 'exact'; readonly byte: number; readonly span: 1 | 8 }
  /** 66, F2 and F3 are mandatory prefixes where they stand before the opcode. */
  | {
      readonly kind: 'byte';
      readonly byte: number;
      readonly span: 1 | 8 | 16;
      readonly mayBePrefix: boolean;
    };

/** A thousand encodings are made of three hundred words. */
const tokens = new Map<string, Token | null>();

function tokenOf(word: string): Token | null {
  let token = tokens.get(word);
  if (token === undefined) {
    token = parseToken(word);
    tokens.set(word, token);
  }
  return token;
}

function parseToken(word: string): Token | null {
  if (word === 'NP') return { kind: 'no-prefix' };
  if (word === 'W0' || word === 'W1') return { kind: 'rex-w', w: word === 'W0' ? 0 : 1 };
  if (/^\/[0-7r]$/.test(word))
    return { kind: 'modrm', digit: word === '/r' ? -1 : Number(word[1]) };
  if (/^=[0-9a-f]{2}(\+i)?$/.test(word)) {
    const byte = Number.parseInt(word.slice(1, 3), 16);
    return { kind: 'exact', byte, span: word.endsWith('+i') ? 8 : 1 };
  }
  if (!/^(F2|F3|[0-9a-f]{2}(\+r|\+cc)?)$/.test(word)) return null;
  const byte = Number.parseInt(word.slice(0, 2), 16);
  const span = word.endsWith('+r') ? 8 : word.endsWith('+cc') ? 16 : 1;
  return { kind: 'byte', byte, span, mayBePrefix: /^(66|F2|F3)$/.test(word) };
}

function setOpcode(op: ParsedOp, bytes: readonly number[], text: string): void {
  op.map = bytes[0] !== 0x0f ? 0 : bytes[1] === 0x38 ? 2 : bytes[1] === 0x3a ? 3 : 1;
  const opcode = bytes[op.map === 0 ? 0 : op.map === 1 ? 1 : 2];
  if (opcode === undefined || bytes.length !== Math.min(op.map, 2) + 1)
    return bug(`no opcode in encoding '${text}'`);
  op.opcode = opcode;
}

/** `sized`: the operand size shows in them. */
interface Operands {
  readonly args: readonly Arg[];
  readonly sized: boolean;
}

/** Forms share operands even more than words. */
const operands = [new Map<string, Operands>(), new Map<string, Operands>()] as const;

function operandsOf(text: string, extendedByte: boolean): Operands {
  const known = operands[extendedByte ? 1 : 0];
  let found = known.get(text);
  if (!found) {
    const args = compileArgs(text, extendedByte);
    const sized = args.some((a) => sizeCodes(a).some((code) => code === 'v' || code === 'z'));
    found = { args, sized };
    known.set(text, found);
  }
  return found;
}

function compileArgs(text: string, extendedByte: boolean): Arg[] {
  if (text === '') return [];
  const args: Arg[] = [];
  let imms = 0;
  const codes = text.split(',');
  for (const code of codes) {
    const literal = literalArg(code);
    if (literal) args.push(literal);
    else if (/^[IJA]/.test(code)) {
      const n = imms++;
      if (n > 1 || (code === 'Ap' && n > 0)) bug(`too many immediates in '${text}'`);
      args.push(immediateArg(code, n as 0 | 1, extendedByte));
      if (code === 'Ap')
        args.push({ from: 'imm', n: 1, coded: 'w', size: 'w', extended: false, relative: false });
    } else if (code[0] !== 'F') args.push(fieldArg(code, /(^|,)[CD]/.test(text)));
  }
  return args;
}

function literalArg(code: string): Arg | null {
  const fixed = (file: RegFile, n: number, regSize: string): Arg => ({
    from: 'fixed',
    file,
    n,
    regSize,
  });
  if (code === '1') return { from: 'one' };
  if (code === 'ST0') return fixed('st', 0, 'st');
  if (code === 'STi') return { from: 'sti', file: 'st', regSize: 'st' };
  if (SEGMENTS.includes(code)) return fixed('seg', SEGMENTS.indexOf(code), 'w');
  if (WORD_REGISTERS.includes(code)) return fixed('gpr', WORD_REGISTERS.indexOf(code), 'w');
  const byte = BYTE_REGISTERS.indexOf(code);
  if (byte >= 0) return fixed('gpr', byte < 4 ? byte : byte + 12, 'b');
  const wide = /^([er])([A-Z]X|SP|BP|SI|DI)(z?)$/.exec(code);
  const n = wide ? WORD_REGISTERS.indexOf(wide[2] ?? '') : -1;
  if (!wide || n < 0) return null;
  return fixed('gpr', n, wide[1] === 'r' ? 'm' : wide[3] === 'z' ? 'z' : 'v');
}

function immediateArg(code: string, n: 0 | 1, extendedByte: boolean): Arg {
  const relative = code[0] === 'J';
  const extended = relative || code === 'Ibs' || code === 'Iz' || (code === 'Ib' && extendedByte);
  const of = (coded: 'b' | 'w' | 'd' | 'q' | 'z' | 'v', size: string): Arg => ({
    from: 'imm',
    n,
    coded,
    size,
    extended,
    relative,
  });
  switch (code) {
    case 'Ib':
      return of('b', 'b');
    case 'Ibs':
    case 'Jb':
      return of('b', 'v');
    case 'Iw':
      return of('w', 'w');
    case 'Id':
      return of('d', 'd');
    case 'Iq':
      return of('q', 'q');
    case 'Iz':
    case 'Jz':
    case 'Ap':
      return of('z', 'v');
    case 'Iv':
      return of('v', 'v');
    default:
      return bug(`unknown immediate '${code}'`);
  }
}

function fieldArg(code: string, wholeRegister: boolean): Arg {
  const size = code.slice(1);
  const [regSize = '', memSize = regSize] = size.split('/');
  const rm = (file: RegFile, allows: 'reg' | 'mem' | 'both', plain = ''): Arg => ({
    from: 'rm',
    file,
    allows,
    regSize: regSize || plain,
    memSize: memSize || plain,
  });
  const reg = (file: RegFile, plain = size): Arg => ({ from: 'reg', file, regSize: plain });
  switch (code[0]) {
    case 'E':
      return rm('gpr', 'both');
    case 'M':
      return rm('gpr', 'mem');
    case 'R':
      return wholeRegister
        ? { from: 'rm', file: 'gpr', allows: 'reg', regSize: 'm', memSize: 'm' }
        : rm('gpr', 'reg');
    case 'W':
      return rm('xmm', 'both', 'x');
    case 'U':
      return rm('xmm', 'reg', 'x');
    case 'Q':
      return rm('mm', 'both', 'q');
    case 'N':
      return rm('mm', 'reg', 'q');
    case 'G':
      return reg('gpr');
    case 'V':
      return reg('xmm', size || 'x');
    case 'P':
      return reg('mm', size || 'q');
    case 'S':
      return reg('seg', 'w');
    case 'C':
      return reg('cr', 'm');
    case 'D':
      return reg('dr', 'm');
    case 'Z':
      return { from: 'opcode', file: 'gpr', regSize: size };
    case 'O':
      return { from: 'moffs', memSize: size };
    case 'X':
    case 'Y':
      return { from: 'string', memSize: size, destination: code[0] === 'Y' };
    default:
      return bug(`unknown operand '${code}'`);
  }
}

function modOf(args: readonly Arg[], op: ParsedOp): CompiledForm['mod'] {
  if (args.some((a) => a.from === 'reg' && (a.file === 'cr' || a.file === 'dr'))) return 'ignored';
  if (op.exact >= 0) return op.exact >= 0xc0 ? 'reg' : 'mem';
  const rm = args.find((a) => a.from === 'rm');
  return rm?.from === 'rm' ? rm.allows : 'both';
}

/** Which prefix states a form may follow: F2 and F3 win over 66 (SDM 2A 2.1.2 and the notes to table A-3). */
function allowedPrefixes(op: ParsedOp, ignores66: boolean): number {
  const [f2, f3] = [op.mandatory.includes(0xf2), op.mandatory.includes(0xf3)];
  const has66 = op.mandatory.includes(0x66);
  if (f2 || f3) {
    const state = f2 ? 2 : 4;
    return (has66 ? 0 : 1 << state) | (1 << (state + 1));
  }
  if (has66) return 1 << 1;
  if (op.noPrefix) return ignores66 ? 1 : 3;
  return 0x3f;
}

function namesOf(text: string): { names: readonly string[]; nameBy: CompiledForm['nameBy'] } {
  const names = text.split('/');
  if (names.length === 1) return { names, nameBy: 'none' };
  return { names, nameBy: text.startsWith('jcxz') ? 'asize' : 'osize' };
}

/** The more a form demands, the earlier it is tried. */
function scoreOf(op: ParsedOp, mod: CompiledForm['mod']): number {
  const exact = op.exact < 0 ? 0 : op.exactSpan === 1 ? 64 : 32;
  const digit = op.digit >= 0 ? 4 : 0;
  const limited = mod === 'mem' || mod === 'reg' ? 2 : 0;
  return (
    exact +
    op.mandatory.length * 16 +
    (op.span === 1 ? 8 : 0) +
    digit +
    limited +
    (op.rexW >= 0 ? 1 : 0)
  );
}
