// One line of assembly text (Intel syntax, as the disassembler prints it) to a request.

import { InputError } from '../../base/errors.ts';
import { SIZE_NAMES } from '../disasm.ts';
import { REGISTERS, SEGMENT_NAMES } from '../registers.ts';
import type { Request } from './encode.ts';
import { type AsmOperand, imm, type Label, type MemOperand, mem, reg } from './operands.ts';

/** Finds or makes the label of a name; null: labels have no place here. */
export type LabelOf = (name: string) => Label | null;

type Prefixes = Pick<Request, 'lock' | 'rep' | 'osize' | 'asize' | 'segment'>;
export type ParsedLine = Prefixes & Pick<Request, 'name' | 'operands'>;

const SIZES = new Map(Object.entries(SIZE_NAMES).map(([bits, name]) => [name, Number(bits)]));

export function parseLine(text: string, labelOf: LabelOf): ParsedLine {
  const { prefixes, name, rest } = parseHead(text);
  const operands =
    rest === '' ? [] : rest.split(',').flatMap((part) => parseOperand(part.trim(), labelOf));
  return { ...prefixes, name, operands };
}

/** Prefix words and the mnemonic: `fs a32 rep movsb`. */
export function parseHead(text: string): { prefixes: Prefixes; name: string; rest: string } {
  let prefixes: Prefixes = { lock: false, rep: 0, osize: 0, asize: 0, segment: -1 };
  let rest = text.trim();
  for (;;) {
    const name = /^\S*/.exec(rest)?.[0] ?? '';
    const after = rest.slice(name.length).trim();
    const changed = prefixWord(name, prefixes);
    if (!changed || after === '') return { prefixes, name, rest: after };
    prefixes = changed;
    rest = after;
  }
}

function prefixWord(word: string, p: Prefixes): Prefixes | null {
  const size = /^([oa])(16|32|64)$/.exec(word);
  if (size) return { ...p, [size[1] === 'o' ? 'osize' : 'asize']: Number(size[2]) };
  const segment = SEGMENT_NAMES.indexOf(word as (typeof SEGMENT_NAMES)[number]);
  if (segment >= 0) return { ...p, segment };
  if (word === 'lock') return { ...p, lock: true };
  if (/^rep(e|z)?$/.test(word)) return { ...p, rep: 1 };
  if (/^repn(e|z)$/.test(word)) return { ...p, rep: 2 };
  return null;
}

function parseOperand(text: string, labelOf: LabelOf): AsmOperand[] {
  const memory = /^(?:([a-z]+) ptr )?(?:([a-z]s):)?\[([^\]]*)\]$/.exec(text);
  if (memory) return [parseMemory(memory[1], memory[2], memory[3] ?? '', text, labelOf)];
  if (REGISTERS.has(text)) return [reg(text)];
  const far = /^([^:]+):([^:]+)$/.exec(text);
  if (far)
    return [
      parseImmediate(far[2] ?? '', text, labelOf),
      parseImmediate(far[1] ?? '', text, labelOf),
    ];
  return [parseImmediate(text, text, labelOf)];
}

function parseImmediate(text: string, whole: string, labelOf: LabelOf): AsmOperand {
  const isShort = text.startsWith('short ');
  const body = isShort ? text.slice(6) : text;
  const value = parseNumber(body);
  if (value !== null) return { ...imm(value), short: isShort };
  const label = isName(body) ? labelOf(body) : null;
  if (!label) throw badOperand(whole);
  return { kind: 'imm', value: 0n, label, short: isShort };
}

function parseMemory(
  sizeName: string | undefined,
  segment: string | undefined,
  inner: string,
  whole: string,
  labelOf: LabelOf,
): MemOperand {
  const size = sizeName === undefined ? 0 : SIZES.get(sizeName);
  if (size === undefined || (segment !== undefined && !REGISTERS.has(segment)))
    throw badOperand(whole);
  const registers: { name: string; scale: 1 | 2 | 4 | 8 }[] = [];
  let disp = 0n;
  let label: Label | null = null;
  for (const [, sign = '+', term = ''] of inner.replaceAll(' ', '').matchAll(/([+-]?)([^+-]+)/g)) {
    const scaled = /^([a-z0-9]+)(?:\*([1248]))?$/.exec(term);
    const value = parseNumber(term);
    if (value !== null) disp += sign === '-' ? -value : value;
    else if (sign === '-') throw badOperand(whole);
    else if (scaled && (REGISTERS.has(scaled[1] ?? '') || /^[re]ip$/.test(term)))
      registers.push({ name: scaled[1] ?? '', scale: Number(scaled[2] ?? 0) as 1 | 2 | 4 | 8 });
    else if (isName(term) && !label) label = labelOf(term) ?? fail(whole);
    else throw badOperand(whole);
  }
  return build(registers, { disp, size, label, segment }, whole);
}

function build(
  registers: readonly { name: string; scale: number }[],
  rest: { disp: bigint; size: number; label: Label | null; segment: string | undefined },
  whole: string,
): MemOperand {
  const [first, second] = registers;
  const scaled = registers.find((r) => r.scale !== 0) ?? second;
  const base = first === scaled ? second : first;
  if (registers.length > 2 || (base && base.scale !== 0)) throw badOperand(whole);
  return mem({
    disp: rest.disp,
    size: rest.size,
    ...(base ? { base: base.name } : {}),
    ...(scaled ? { index: scaled.name, scale: (scaled.scale || 1) as 1 | 2 | 4 | 8 } : {}),
    ...(rest.label ? { label: rest.label } : {}),
    ...(rest.segment ? { segment: rest.segment as (typeof SEGMENT_NAMES)[number] } : {}),
  });
}

function parseNumber(text: string): bigint | null {
  if (!/^-?(0x[0-9a-f]+|[0-9]+)$/.test(text)) return null;
  return text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text);
}

const isName = (text: string): boolean => /^[A-Za-z_.][A-Za-z0-9_.]*$/.test(text);

function badOperand(text: string): InputError {
  return new InputError(
    'asm/bad-operand',
    `'${text}' is not a register, a number, a memory operand or a label`,
    "Write operands as 'eax', '0x10' or 'dword ptr [rbx+rcx*4+8]'.",
  );
}

function fail(text: string): never {
  throw badOperand(text);
}
