// What translation knows about the status flags: who reads which, where they can be seen, which producer is in force.

import { AF, CF, OF, PF, SF, ZF } from '../isa/build.ts';
import type { Node, Program, StatusFlag } from '../isa/ir.ts';
import type { KnownFlags } from '../lower/site.ts';

export const FLAG_BIT: Readonly<Record<StatusFlag, number>> = {
  cf: CF,
  pf: PF,
  af: AF,
  zf: ZF,
  sf: SF,
  of: OF,
};
export const STATUS_FLAGS = Object.keys(FLAG_BIT) as StatusFlag[];
export const ALL_STATUS = CF | PF | AF | ZF | SF | OF;
/** Flags that a condition code asks for, by cc >> 1. SDM 1 appendix B. */
export const CONDITION = [OF, CF, ZF, CF | ZF, SF, PF, SF | OF, SF | OF | ZF];

/** Can control leave the block here, to somewhere that sees the state? */
export function mayLeave(n: Node): boolean {
  switch (n.op) {
    case 'load':
    case 'store':
    case 'probe':
    case 'linear':
    case 'float':
    case 'fault':
    case 'call':
    case 'bulk':
    case 'branch':
    case 'jump':
    case 'again':
      return true;
    default:
      return false;
  }
}

/** The flags' producer, as far as it is known while code is generated. `full`: all six stand in flAux. */
export type FlagsKnown = KnownFlags | 'full' | null;

export function flagsAfter(program: Program, before: FlagsKnown): FlagsKnown {
  let known = before;
  let certain = true;
  for (const n of program.nodes) {
    if (n.op === 'skip') certain = false;
    else if (n.op === 'call' || n.op === 'bulk') known = null;
    else if (n.op === 'flags') known = certain ? { fn: n.fn, width: n.res.width } : null;
    else if (n.op === 'setflags') known = certain || known === 'full' ? 'full' : null;
  }
  return known;
}
