// Which registers and flag fields a block keeps in locals, which of them it must load, and which it stores again.

import type { Decoded } from '../decoded.ts';
import { type Effect, isValue, type Node, type Program, type RegRef } from '../isa/ir.ts';
import type { FlagField } from '../lower/site.ts';
import { mayLeave } from './flags.ts';

/** One instruction of a block, its IR specialised. `offset`: of its first byte from the block's. */
export interface BlockInsn {
  readonly d: Decoded;
  readonly program: Program;
  readonly offset: number;
}

/** `gpr3`, `xmm0`, `flRes`: what lives in a local. */
export type Place = `gpr${number}` | `xmm${number}` | FlagField;

export interface Plan {
  readonly places: ReadonlySet<Place>;
  /** Loaded at entry: read, written in part, or stored by an exit that comes before the first write. */
  readonly loaded: ReadonlySet<Place>;
  readonly written: ReadonlySet<Place>;
  /** It can leave before its end, by the fault epilogue. */
  readonly canFault: boolean;
}

export function planBlock(insns: readonly BlockInsn[]): Plan {
  const written = new Set<Place>();
  for (const { d, program } of insns) {
    for (const n of program.nodes) for (const w of writesOf(n, d.regs)) written.add(w.place);
  }
  const places = new Set<Place>(written);
  const loaded = new Set<Place>();
  const defined = new Set<Place>();
  const need = (place: Place) => {
    if (!defined.has(place)) loaded.add(place);
  };
  let canFault = false;
  for (const { d, program } of insns) {
    let certain = true;
    for (const n of program.nodes) {
      for (const place of readsOf(n, d)) {
        // Flag fields that the block never writes are read where they are.
        if (place.startsWith('fl') && !written.has(place)) continue;
        places.add(place);
        need(place);
      }
      if (mayLeave(n)) {
        canFault ||= mayFault(n);
        if (mayFault(n) || n.op === 'again') for (const place of written) need(place);
      }
      if (n.op === 'skip') certain = false;
      // An effect on the flags defines them all: fields that its kind does not use mean nothing.
      if (certain && (n.op === 'flags' || n.op === 'setflags'))
        for (const place of FLAG_PLACES) defined.add(place);
      for (const w of writesOf(n, d.regs)) {
        if (w.whole && certain) defined.add(w.place);
        else need(w.place);
      }
    }
  }
  return { places, loaded, written, canFault };
}

function mayFault(n: Node): boolean {
  return n.op !== 'branch' && n.op !== 'jump' && n.op !== 'again';
}

interface Write {
  readonly place: Place;
  readonly whole: boolean;
}

const FLAG_PLACES: readonly FlagField[] = ['flRes', 'flX', 'flAux', 'flOp'];

export function registerPlace(reg: RegRef, regs: readonly number[]): Place | null {
  const n = reg.fixed ?? (regs[reg.slot] as number);
  if (reg.file === 'gpr') return `gpr${n < 16 ? n : n - 16}`;
  return reg.file === 'xmm' ? `xmm${n}` : null;
}

export function writesOf(n: Node, regs: readonly number[]): Write[] {
  if (n.op === 'setreg') {
    const place = registerPlace(n.reg, regs);
    const whole = n.reg.file === 'gpr' ? n.reg.width >= 32 : n.reg.width === 128;
    return place === null ? [] : [{ place, whole }];
  }
  if (n.op === 'flags' || n.op === 'setflags')
    return flagFieldsOf(n).map((place) => ({ place, whole: true }));
  return [];
}

function flagFieldsOf(e: Effect): readonly FlagField[] {
  if (e.op === 'setflags') return ['flAux', 'flOp'];
  if (e.op !== 'flags') return [];
  if (e.fn === 'logic') return ['flRes', 'flOp'];
  return e.fn === 'mix' ? ['flRes', 'flAux', 'flOp'] : ['flRes', 'flX', 'flOp'];
}

function readsOf(n: Node, d: Decoded): Place[] {
  if (!isValue(n))
    return n.op === 'setflags' && Object.keys(n.set).length < 6 ? [...FLAG_PLACES] : [];
  if (n.op === 'flag' || n.op === 'cond') return [...FLAG_PLACES];
  if (n.op === 'getreg') {
    const place = registerPlace(n.reg, d.regs);
    return place === null ? [] : [place];
  }
  if (n.op !== 'ea') return [];
  return [d.base, d.index].filter((r) => r >= 0).map((r) => `gpr${r}` as const);
}
