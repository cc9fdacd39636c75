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
export const tables: { readonly long: OpcodeTable; readonly legacy: OpcodeTable } = opcodeTables();

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

function opcodeTables(): typeof tables {
  const covering: CompiledForm[][] = Array.from({ length: 1024 }, () => []);
  for (const f of forms) {
    for (let n = 0; n < f.span; n++) covering[(f.map << 8) + f.opcode + n]?.push(f);
  }
  const long: (OpcodeEntry | null)[] = [];
  const legacy: (OpcodeEntry | null)[] = [];
  for (const list of covering) {
    list.sort((a, b) => b.score - a.score);
    const inLong = list.filter((f) => f.form.only !== 'no64');
    const inLegacy = list.filter((f) => f.form.only !== '64' && f.rexW !== 1);
    const entry = opcodeEntry(inLong);
    long.push(entry);
    const same = inLong.length === list.length && inLegacy.length === list.length;
    legacy.push(same ? entry : opcodeEntry(inLegacy));
  }
  return { long, legacy };
}

function opcodeEntry(covering: readonly CompiledForm[]): OpcodeEntry | null {
  if (covering.length === 0) return null;
  const hasModrm = covering.some((f) => f.hasModrm);
  const without = covering.find((f) => !f.hasModrm);
  if (hasModrm && without)
    bug(`some encodings of '${without.form.op}' have a ModRM byte, others none`);
  if (!hasModrm) return { hasModrm, lists: [covering] };
  const any = covering.every((f) => f.digit < 0 && f.exact < 0 && isAnyMod(f));
  const lists = Array.from({ length: 16 }, (_, n) =>
    any ? covering : covering.filter((f) => mayHave(f, n & 7, n >= 8)),
  );
  return { hasModrm, lists };
}

function isAnyMod({ mod }: CompiledForm): boolean {
  return mod === 'both' || mod === 'ignored';
}

function mayHave(f: CompiledForm, reg: number, isRegister: boolean): boolean {
  if (f.digit >= 0 && f.digit !== reg) return false;
  if (f.exact >= 0 && ((f.exact >> 3) & 7) !== reg) return false;
  return isAnyMod(f) || (f.mod === 'reg') === isRegister;
}
