// What a block knows about the status flags: which effects on them nobody can see, and which producer is in force.

import { AF, CF, OF, PF, SF, ZF } from '../isa/build.ts';
import {
  type Effect,
  isValue,
  type Node,
  type Program,
  type StatusFlag,
  type Value,
} from '../isa/ir.ts';
import type { KnownFlags } from '../lower/site.ts';
import { dropUnused } from './fold.ts';

const BIT: Record<StatusFlag, number> = { cf: CF, pf: PF, af: AF, zf: ZF, sf: SF, of: OF };
/** Ids of added nodes: above all that a recorded instruction has. */
const ADDED_IDS = 1000;
const NAMES = Object.keys(BIT) as StatusFlag[];
export const ALL_STATUS = CF | PF | AF | ZF | SF | OF;
/** Flags that a condition code asks for, by cc >> 1. SDM 1 appendix B. */
const CONDITION = [OF, CF, ZF, CF | ZF, SF, PF, SF | OF, SF | OF | ZF];

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

/**
 * Drops flag effects that are overwritten before anything reads them or can leave the block. A `setflags` whose other
 * flags are dead sets them all, so that it need not work out the old ones.
 */
export function dropDeadFlags(programs: readonly Program[]): Program[] {
  let live = ALL_STATUS;
  const out: Program[] = [];
  for (const program of [...programs].reverse()) {
    const nodes: Node[] = [];
    const firstSkip = program.nodes.findIndex((n) => n.op === 'skip');
    for (let i = program.nodes.length - 1; i >= 0; i--) {
      const n = program.nodes[i] as Node;
      const certain = firstSkip < 0 || i < firstSkip;
      if (mayLeave(n)) live = ALL_STATUS;
      if (isValue(n)) {
        if (n.op === 'flag') live |= BIT[n.flag];
        if (n.op === 'cond') live |= CONDITION[n.cc >> 1] as number;
        nodes.push(n);
        continue;
      }
      const written = writtenBy(n);
      if (written !== 0 && (written & live) === 0) continue;
      nodes.push(...(n.op === 'setflags' ? completed(n, live & ~written) : [n]));
      if (certain) live &= ~written;
    }
    out.push(dropUnused({ ...program, nodes: nodes.reverse() }));
  }
  return out.reverse();
}

function writtenBy(e: Effect): number {
  if (e.op === 'flags') return ALL_STATUS;
  if (e.op !== 'setflags') return 0;
  return NAMES.reduce((mask, f) => (e.set[f] ? mask | BIT[f] : mask), 0);
}

/** Last first. `wanted`: those of the other flags that somebody reads. */
function completed(e: Effect & { op: 'setflags' }, wanted: number): Node[] {
  const missing = NAMES.filter((f) => !e.set[f]);
  if (wanted !== 0 || missing.length === 0) return [e];
  const zero: Value = { op: 'const', id: ADDED_IDS + e.id, width: 1, value: 0n };
  return [{ ...e, set: { ...e.set, ...Object.fromEntries(missing.map((f) => [f, zero])) } }, zero];
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
