// The disassembler: a decoded instruction as one line of text, in Intel's order, that the assembler reads back.

import type { Decoded } from './decoded.ts';
import { type Arg, CONDITIONS, type CompiledForm, followsOsize, sizeCodes } from './isa/compile.ts';
import type { Operand } from './isa/define.ts';
import { registerName, SEGMENT_NAMES } from './registers.ts';
import { codedBytes } from './shape.ts';
import { forms } from './table.ts';

/**
 * The text of an instruction whose first byte is at `va` (branch targets are absolute).
 *
 * What differs from other disassemblers: numbers are C's (`0x10`); registers of the x87 are `st0`..`st7`; strings have
 * no operands (`rep movsb`), and what their prefixes change is a word in front (`fs a32 rep movsb`), as is any prefix
 * whose effect no operand shows (`o16 ret`); rip-relative addresses show the displacement, not the target.
 */
export function disasm(d: Decoded, va: number): string {
  const form = forms[d.formId] as CompiledForm;
  const operands = visibleArgs(form)
    .map(({ arg, index }) => operandText(d, arg, d.operands[index] as Operand, va))
    .filter((text) => text !== '');
  if (isFarPointer(form)) operands.splice(0, 2, `${operands[1]}:${operands[0]}`);
  const head = [...prefixWords(d, form), mnemonic(form, d.variant)].join(' ');
  return operands.length === 0 ? head : `${head} ${operands.join(', ')}`;
}

/** The mnemonic that this variant of the form is printed with. */
export function mnemonic(
  form: CompiledForm,
  variant: { readonly osize: number; readonly asize: number; readonly cc: number },
): string {
  const size = form.nameBy === 'asize' ? variant.asize : variant.osize;
  const name = form.names[form.nameBy === 'none' ? 0 : size >> 5] ?? form.names.at(-1) ?? '?';
  return variant.cc >= 0 ? name + CONDITIONS[variant.cc] : name;
}

/** Operands that are written out: string instructions keep theirs to themselves. */
export function visibleArgs(form: CompiledForm): { arg: Arg; index: number }[] {
  if (form.args.some((a) => a.from === 'string')) return [];
  return form.args.map((arg, index) => ({ arg, index }));
}

/** `jmp` and `call` with a selector and an offset in the code. */
export const isFarPointer = (form: CompiledForm): boolean => form.form.args === 'Ap';

/** Does the text show which operand size the form was taken with? */
export function showsOsize(form: CompiledForm, hasMem: boolean): boolean {
  if (form.nameBy === 'osize') return true;
  return visibleArgs(form).some(({ arg }) => {
    if (arg.from === 'imm') return false;
    if (arg.from !== 'rm') return sizeCodes(arg).some(followsOsize);
    return followsOsize(hasMem ? arg.memSize : arg.regSize);
  });
}

/** The operand size that a form has without any prefix. */
export function defaultOsize(form: CompiledForm, mode: number): 16 | 32 | 64 {
  if (mode !== 64) return mode === 16 ? 16 : 32;
  return form.rexW === 1 || form.form.size64 ? 64 : 32;
}

function prefixWords(d: Decoded, form: CompiledForm): string[] {
  const { variant } = d;
  const words: string[] = [];
  const hasRm = d.hasMem && form.args.every((a) => a.from !== 'moffs');
  if (!d.hasMem && d.segment !== 3) words.push(SEGMENT_NAMES[d.segment] ?? '?');
  if (variant.osize !== defaultOsize(form, variant.mode) && !showsOsize(form, hasRm))
    words.push(`o${variant.osize}`);
  const shown = d.hasMem && (d.base >= 0 || d.index >= 0 || d.ripRelative);
  if (variant.asize !== variant.mode && !shown && form.nameBy !== 'asize')
    words.push(`a${variant.asize}`);
  if (variant.lock) words.push('lock');
  if (variant.rep !== 'none') words.push(variant.rep);
  return words;
}

function operandText(d: Decoded, arg: Arg, o: Operand, va: number): string {
  if (o.kind === 'mem') return memoryText(d, o.size);
  if (o.kind === 'reg') return registerName(o.file, o.size, o.fixed ?? (d.regs[o.slot] as number));
  if (o.fixed !== undefined) return String(o.fixed);
  const lo = d.immLo[o.n] as number;
  const hi = d.immHi[o.n] as number;
  if (arg.from !== 'imm') return '';
  if (arg.relative) return targetText(d, va + d.length + lo);
  // A byte or 32 bits that mean a wider number keep their sign; everything else shows its bits.
  const size = codedBytes(arg.coded, d.variant.osize) * 8;
  const widened = arg.extended && size < d.variant.osize;
  const value = (BigInt(hi) << 32n) | BigInt(lo >>> 0);
  if (widened && value < 0n) return `-0x${(-value).toString(16)}`;
  return `0x${BigInt.asUintN(size, value).toString(16)}`;
}

function targetText(d: Decoded, target: number): string {
  const { osize, mode } = d.variant;
  const bits = osize === 16 ? 16 : mode === 64 ? 64 : osize;
  return `0x${BigInt.asUintN(bits, BigInt(target)).toString(16)}`;
}

export const SIZE_NAMES: Readonly<Record<number, string>> = {
  8: 'byte',
  16: 'word',
  32: 'dword',
  48: 'fword',
  64: 'qword',
  80: 'tbyte',
  128: 'xmmword',
};

function memoryText(d: Decoded, size: number): string {
  const usual = (d.base === 4 || d.base === 5) && !d.ripRelative ? 2 : 3;
  const segment = d.segment === usual ? '' : `${SEGMENT_NAMES[d.segment]}:`;
  const keyword = SIZE_NAMES[size];
  return `${keyword ? `${keyword} ptr ` : ''}${segment}[${addressText(d)}]`;
}

function addressText(d: Decoded): string {
  const { asize } = d.variant;
  const parts: string[] = [];
  if (d.ripRelative) parts.push(asize === 64 ? 'rip' : 'eip');
  if (d.base >= 0) parts.push(registerName('gpr', asize, d.base));
  // Scale 1 without a base is printed, so that it is not read back as a base.
  if (d.index >= 0) {
    const scale = asize === 16 || (d.scale === 0 && d.base >= 0) ? '' : `*${1 << d.scale}`;
    parts.push(registerName('gpr', asize, d.index) + scale);
  }
  const disp = (BigInt(d.dispHi) << 32n) | BigInt(d.disp >>> 0);
  if (parts.length === 0) return `0x${BigInt.asUintN(asize, disp).toString(16)}`;
  if (disp === 0n) return parts.join('+');
  return `${parts.join('+')}${disp < 0n ? '-' : '+'}0x${(disp < 0n ? -disp : disp).toString(16)}`;
}
