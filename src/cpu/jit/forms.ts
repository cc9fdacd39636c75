// What translation knows of each form: its IR specialised to constants, its variants without dead parts, how it meets the flags.

import type { Decoded } from '../decoded.ts';
import { type Effect, isValue, type Node, type Program, type Value } from '../isa/ir.ts';
import { programOf } from '../program.ts';
import { ALL_STATUS, FLAG_BIT, mayLeave, STATUS_FLAGS } from './flags.ts';
import { dropUnused, specialise } from './fold.ts';
import { traitsOf } from './traits.ts';

/** Parts of a program that may be dead where it stands. */
export const DROP_FLAGS = 1;
/** The flags that its `setflags` keeps are dead: it may set them all. */
export const SET_ALL_FLAGS = 2;
export const DROP_SSE_CHECKS = 4;

export interface JitForm {
  readonly program: Program;
  /** Flags that are written, on every path if `certain`. */
  readonly writes: number;
  readonly certain: boolean;
  readonly keepsOthers: boolean;
  /** Control can leave the block before the flags are written; after. */
  readonly leavesBefore: boolean;
  readonly leavesAfter: boolean;
  readonly checksSse: boolean;
  readonly skips: boolean;
  readonly repeats: boolean;
  /** It has a relative branch that is not truncated to 16 bits. */
  readonly branches: boolean;
  readonly fallsThrough: boolean;
  /** The program without the parts that a set of the above bits names. */
  without(parts: number): Program;
  /** Flags that are read by what is left: `inc` asks for CF only to keep it. */
  readsWithout(parts: number): number;
}

/** Ids of added nodes: above all that a recorded instruction has. */
const ADDED_IDS = 1000;

const plain = new Map<string, JitForm>();
/** Shifts by a constant and their like: by key, then by the constant. */
const byConstant = new Map<string, Map<number, JitForm>>();

export function jitForm(d: Decoded): JitForm {
  const known = plain.get(d.key);
  if (known) return known;
  const constants = byConstant.get(d.key);
  if (constants) return withConstant(d, constants);
  const program = programOf(d);
  if (isDecidedByConstant(program)) {
    const made = new Map<number, JitForm>();
    byConstant.set(d.key, made);
    return withConstant(d, made);
  }
  const form = describe(program);
  plain.set(d.key, form);
  return form;
}

function withConstant(d: Decoded, forms: Map<number, JitForm>): JitForm {
  const n = d.immLo[0];
  const known = forms.get(n);
  if (known) return known;
  const form = describe(specialise(programOf(d), d, null));
  forms.set(n, form);
  return form;
}

/** A `skip` or a call that asks for an immediate; an 8-bit one, so that there are few forms of it. */
function isDecidedByConstant({ nodes }: Program): boolean {
  return (
    nodes.some((n) => n.op === 'skip' || n.op === 'call') &&
    nodes.some((n) => n.op === 'imm' && n.width === 8)
  );
}

function describe(program: Program): JitForm {
  const { nodes } = program;
  let writes = 0;
  let certain = true;
  let keepsOthers = false;
  let skipped = false;
  let leavesBefore = false;
  let leavesAfter = false;
  for (const n of nodes) {
    if (mayLeave(n)) {
      if (writes === 0) leavesBefore = true;
      else leavesAfter = true;
    }
    if (n.op === 'skip') skipped = true;
    if (isValue(n)) continue;
    const mask = writtenBy(n);
    if (mask === 0) continue;
    writes |= mask;
    if (skipped) certain = false;
    if (n.op === 'setflags' && mask !== ALL_STATUS) keepsOthers = true;
  }
  const variants: (Program | undefined)[] = [program];
  const without = (parts: number): Program => {
    variants[parts] ??= dropParts(program, parts);
    return variants[parts];
  };
  return {
    program,
    writes,
    certain,
    keepsOthers,
    leavesBefore,
    leavesAfter,
    checksSse: nodes.some(isSseCheck),
    skips: skipped,
    repeats: nodes.at(-1)?.op === 'again',
    branches: program.variant.osize !== 16 && nodes.some((n) => n.op === 'branch'),
    fallsThrough: fallsThrough(nodes),
    without,
    readsWithout: (parts) => traitsOf(without(parts)).flagsRead,
  };
}

function dropParts(program: Program, parts: number): Program {
  const nodes: Node[] = [];
  for (const n of program.nodes) {
    if (parts & DROP_SSE_CHECKS && isSseCheck(n)) continue;
    if (!isValue(n) && writtenBy(n) !== 0) {
      if (parts & DROP_FLAGS) continue;
      if (parts & SET_ALL_FLAGS && n.op === 'setflags') {
        nodes.push(...settingAll(n));
        continue;
      }
    }
    nodes.push(n);
  }
  return dropUnused({ ...program, nodes });
}

function settingAll(e: Effect & { op: 'setflags' }): Node[] {
  const missing = STATUS_FLAGS.filter((f) => !e.set[f]);
  if (missing.length === 0) return [e];
  const zero: Value = { op: 'const', id: ADDED_IDS + e.id, width: 1, value: 0n };
  return [zero, { ...e, set: { ...e.set, ...Object.fromEntries(missing.map((f) => [f, zero])) } }];
}

function writtenBy(e: Effect): number {
  if (e.op === 'flags') return ALL_STATUS;
  if (e.op !== 'setflags') return 0;
  return STATUS_FLAGS.reduce((mask, f) => (e.set[f] ? mask | FLAG_BIT[f] : mask), 0);
}

/** `fault when state.sseFault == n`. Only slow paths that end a block write what the field depends on (CR0, CR4). */
function isSseCheck(n: Node): boolean {
  if (n.op !== 'fault' || n.when.op !== 'cmp' || n.when.fn !== 'eq') return false;
  const { a, b } = n.when;
  return a.op === 'getstate' && a.field === 'sseFault' && b.op === 'const';
}

/** Can control reach the end of the instruction? */
function fallsThrough(nodes: readonly Node[]): boolean {
  const last = nodes.at(-1);
  if (!last || nodes.some((n) => n.op === 'skip')) return true;
  if (last.op === 'fault') return !(last.when.op === 'const' && last.when.value === 1n);
  return !(last.op === 'branch' || last.op === 'jump' || (last.op === 'call' && last.ends));
}

/** The programs of a block's instructions without what is dead in it: flags that nobody sees, checks made before. */
export function liveParts(forms: readonly JitForm[]): Program[] {
  const parts = forms.map(() => 0);
  let live = ALL_STATUS;
  for (let i = forms.length - 1; i >= 0; i--) {
    const f = forms[i] as JitForm;
    if (f.leavesAfter) live = ALL_STATUS;
    if (f.writes !== 0) {
      if ((f.writes & live) === 0) parts[i] = DROP_FLAGS;
      else if (f.keepsOthers && (live & ~f.writes) === 0) parts[i] = SET_ALL_FLAGS;
      if (f.certain) live &= ~f.writes;
    }
    live |= f.readsWithout(parts[i] as number);
    if (f.leavesBefore) live = ALL_STATUS;
  }
  let checked = false;
  return forms.map((f, i) => {
    if (f.checksSse && checked) parts[i] = (parts[i] as number) | DROP_SSE_CHECKS;
    if (f.checksSse && !f.skips) checked = true;
    return f.without(parts[i] as number);
  });
}
