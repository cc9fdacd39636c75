// Picks the shortest encoding for a mnemonic and its operands.

import { InputError } from '../../base/errors.ts';
import { CONDITIONS, type CompiledForm } from '../isa/compile.ts';
import { forms } from '../table.ts';
import { type Encoding, encodings, type Request } from './encode.ts';

/** Other names of the conditions. SDM 1 appendix B. */
const CONDITION_ALIASES: Readonly<Record<string, (typeof CONDITIONS)[number]>> = {
  c: 'b',
  nae: 'b',
  nb: 'ae',
  nc: 'ae',
  z: 'e',
  nz: 'ne',
  na: 'be',
  nbe: 'a',
  pe: 'p',
  po: 'np',
  nge: 'l',
  nl: 'ge',
  ng: 'le',
  nle: 'g',
};

interface Named {
  readonly form: CompiledForm;
  readonly cc: number;
  /** The name that the disassembler prints. */
  readonly printed: string;
}

let byName: Map<string, Named[]> | null = null;

export function isMnemonic(name: string): boolean {
  return index().has(name);
}

export function shortest(r: Request): Encoding {
  const named = index().get(r.name);
  if (!named)
    throw new InputError(
      'asm/unknown-mnemonic',
      `'${r.name}' is not an instruction of the table`,
      "Check the spelling; mnemonics are Intel's, in lower case.",
    );
  let found = named.flatMap(({ form, cc, printed }) =>
    encodings(form, cc, { ...r, name: printed }),
  );
  if (found.some((e) => !e.forwardShort)) found = found.filter((e) => !e.forwardShort);
  const best = found.reduce<Encoding | null>(
    (a, b) => (a && a.bytes.length <= b.bytes.length ? a : b),
    null,
  );
  if (!best)
    throw new InputError(
      'asm/no-form',
      `'${r.name}' has no form with these operands in ${r.mode}-bit code`,
      'Check the kinds and sizes of the operands and the range of numbers.',
    );
  if (isAmbiguous(r, found))
    throw new InputError(
      'asm/ambiguous-size',
      `the size of the memory operand of '${r.name}' is not known`,
      "Give it a size, such as 'dword ptr'.",
    );
  return best;
}

function isAmbiguous(r: Request, found: readonly Encoding[]): boolean {
  if (!r.operands.some((o) => o.kind === 'mem' && o.size === 0)) return false;
  return new Set(found.map((e) => e.memSize).filter((size) => size !== 0)).size > 1;
}

function index(): Map<string, Named[]> {
  byName ??= makeIndex();
  return byName;
}

function makeIndex(): Map<string, Named[]> {
  const all = new Map<string, Named[]>();
  const add = (name: string, entry: Named) => {
    const list = all.get(name);
    if (list) list.push(entry);
    else all.set(name, [entry]);
  };
  for (const form of forms) {
    for (const name of form.names) {
      if (!form.isCc) add(name, { form, cc: -1, printed: name });
      else {
        CONDITIONS.forEach((suffix, cc) => {
          add(name + suffix, { form, cc, printed: name + suffix });
        });
        for (const [alias, suffix] of Object.entries(CONDITION_ALIASES))
          add(name + alias, { form, cc: CONDITIONS.indexOf(suffix), printed: name + suffix });
      }
    }
  }
  return all;
}
