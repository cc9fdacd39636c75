// The instruction table: every encoding of every family in src/cpu/isa, compiled, with a stable number.

import { bug } from '../base/errors.ts';
import { type CompiledForm, compileForm } from './isa/compile.ts';
import type { Insn } from './isa/define.ts';
import * as families from './isa/index.gen.ts';

/** All instructions, in the order of their families' names. */
export const instructions: readonly Insn[] = collect(families);

/** All encodings; `id` is the index. */
export const forms: readonly CompiledForm[] = instructions
  .flatMap((insn) => insn.forms.map((form) => ({ insn, form })))
  .map(({ insn, form }, id) => compileForm(insn, form, id));

/** Candidates for an opcode byte, by ModRM reg field (+ 8 for registers), most demanding first. */
export interface OpcodeEntry {
  readonly hasModrm: boolean;
  readonly lists: readonly (readonly CompiledForm[])[];
}

/** By opcode map * 256 + opcode byte. */
export const tables: { readonly long: OpcodeTable; readonly legacy: OpcodeTable } = {
  long: opcodeTable(forms.filter((f) => f.form.only !== 'no64')),
  legacy: opcodeTable(forms.filter((f) => f.form.only !== '64' && f.rexW !== 1)),
};

export type OpcodeTable = readonly (OpcodeEntry | null)[];

/** Every instruction that the modules of a family export, alone or in lists; what else they export is theirs. */
function collect(modules: Readonly<Record<string, object>>): Insn[] {
  const found = new Set<Insn>();
  for (const family of Object.values(modules)) {
    for (const value of Object.values(family)) {
      if (Array.isArray(value)) for (const item of value) isInsn(item) && found.add(item);
      else if (isInsn(value)) found.add(value);
    }
  }
  return [...found];
}

function isInsn(value: unknown): value is Insn {
  return typeof value === 'object' && value !== null && 'forms' in value && 'sem' in value;
}

function opcodeTable(all: readonly CompiledForm[]): OpcodeTable {
  const covering: CompiledForm[][] = Array.from({ length: 1024 }, () => []);
  for (const f of all) {
    for (let n = 0; n < f.span; n++) covering[(f.map << 8) + f.opcode + n]?.push(f);
  }
  return covering.map((list) =>
    list.length === 0 ? null : opcodeEntry(list.sort((a, b) => b.score - a.score)),
  );
}

function opcodeEntry(covering: readonly CompiledForm[]): OpcodeEntry {
  const hasModrm = covering.some((f) => f.hasModrm);
  const without = covering.find((f) => !f.hasModrm);
  if (hasModrm && without)
    bug(`some encodings of '${without.form.op}' have a ModRM byte, others none`);
  const lists = Array.from({ length: hasModrm ? 16 : 1 }, (_, n) =>
    hasModrm ? covering.filter((f) => mayHave(f, n & 7, n >= 8)) : covering,
  );
  return { hasModrm, lists };
}

function mayHave(f: CompiledForm, reg: number, isRegister: boolean): boolean {
  if (f.digit >= 0 && f.digit !== reg) return false;
  if (f.exact >= 0 && ((f.exact >> 3) & 7) !== reg) return false;
  return f.mod === 'both' || f.mod === 'ignored' || (f.mod === 'reg') === isRegister;
}
