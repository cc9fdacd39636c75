// What translation asks of a program again at each of its instructions: worked out once, since walking its nodes costs more.

import {
  type Effect,
  isValue,
  type Node,
  type Program,
  type RegRef,
  type Value,
} from '../isa/ir.ts';
import { slowPath } from '../slow/registry.ts';
import { CONDITION, FLAG_BIT } from './flags.ts';

export type Load = Value & { op: 'load' };
export type Store = Effect & { op: 'store' };
export type SetReg = Effect & { op: 'setreg' };

export interface Traits {
  readonly accesses: readonly (Load | Store)[];
  readonly reads: readonly RegRef[];
  readonly writes: readonly SetReg[];
  /** It computes the address of its operand. */
  readonly address: boolean;
  /** Status flags that are read. */
  readonly flagsRead: number;
  readonly readsFlags: boolean;
  readonly writesFlags: boolean;
  /** Which producer is in force may be another behind it. */
  readonly settlesFlags: boolean;
  /** It may be left to tier 0, whatever its accesses find. */
  readonly leaves: boolean;
  /** A slow path may write any register, or move pages; and one behind which the block goes on may move pages. */
  readonly forgets: boolean;
  readonly movesTlb: boolean;
}

const SETTLES: ReadonlySet<string> = new Set(['flags', 'setflags', 'call', 'bulk']);

const known = new WeakMap<Program, Traits>();

export function traitsOf(program: Program): Traits {
  let traits = known.get(program);
  if (!traits) {
    traits = workOut(program.nodes);
    known.set(program, traits);
  }
  return traits;
}

function workOut(nodes: readonly Node[]): Traits {
  let flagsRead = 0;
  for (const n of nodes) {
    if (n.op === 'flag') flagsRead |= FLAG_BIT[n.flag];
    if (n.op === 'cond') flagsRead |= CONDITION[n.cc >> 1] as number;
  }
  return {
    accesses: nodes.filter((n) => n.op === 'load' || n.op === 'store'),
    reads: nodes.filter((n) => n.op === 'getreg').map((n) => n.reg),
    writes: nodes.filter((n) => n.op === 'setreg'),
    address: nodes.some((n) => n.op === 'ea'),
    flagsRead,
    readsFlags: nodes.some((n) => isValue(n) && (n.op === 'flag' || n.op === 'cond')),
    writesFlags: nodes.some((n) => n.op === 'flags' || n.op === 'setflags'),
    settlesFlags: nodes.some((n) => SETTLES.has(n.op)),
    leaves: nodes.some((n) => n.op === 'probe' || n.op === 'fault'),
    forgets: nodes.some((n) => n.op === 'bulk' || (n.op === 'call' && (n.ends || reaches(n.name)))),
    movesTlb: nodes.some((n) => n.op === 'bulk' || (n.op === 'call' && !n.ends && reaches(n.name))),
  };
}

function reaches(name: string): boolean {
  const { pure = false, movesTlb = false } = slowPath(name);
  return !pure || movesTlb;
}
