// The locals of a block: registers and lazy flags, loaded at entry, stored where the block is left.

import { bug } from '../../base/errors.ts';
import { FIELDS, GPR_AT, XMM_AT } from '../state.ts';
import type { Code, ValType } from '../wasm/encode.ts';
import type { Place, Plan } from './plan.ts';

export class BlockLocals {
  private readonly c: Code;
  private readonly st: number;
  private readonly plan: Plan;
  private readonly locals = new Map<Place, number>();
  /** Written since the state last had it. */
  private readonly dirty = new Set<Place>();

  constructor(c: Code, st: number, plan: Plan) {
    this.c = c;
    this.st = st;
    this.plan = plan;
    for (const place of [...plan.places].sort()) this.locals.set(place, c.take(typeOf(place)));
  }

  /** At entry. Places that no path reads before they are written need no load. */
  enter(): void {
    for (const place of this.plan.loaded) this.load(place);
  }

  has(place: Place): boolean {
    return this.locals.has(place);
  }

  of(place: Place): number {
    return this.locals.get(place) ?? bug(`${place} has no local`);
  }

  wrote(place: Place): void {
    this.dirty.add(place);
  }

  /** Where paths meet: any of them may have written anything. */
  allDirty(): void {
    for (const place of this.plan.written) this.dirty.add(place);
  }

  /** Before a slow path: what has been written so far. `certain`: this code runs on every path through the block. */
  spill(certain: boolean): void {
    for (const place of this.dirty) this.store(place);
    if (certain) this.dirty.clear();
  }

  spillFlags(): void {
    for (const place of this.dirty) if (place.startsWith('fl')) this.store(place);
  }

  /** After a slow path, which may have written any register. */
  reload(): void {
    for (const place of this.locals.keys()) this.load(place);
  }

  /** At the end of the block, and in the fault epilogue: every place that it writes anywhere. */
  storeAll(): void {
    for (const place of this.plan.written) this.store(place);
  }

  /** At the end of the block. */
  storeDirty(): void {
    for (const place of this.dirty) this.store(place);
  }

  /** Names for the text, by local. */
  names(): Map<number, string> {
    return new Map([...this.locals].map(([place, local]) => [local, place]));
  }

  private load(place: Place): void {
    this.c
      .get(this.st)
      .mem(`${typeOf(place)}.load`, offsetOf(place))
      .set(this.of(place));
  }

  private store(place: Place): void {
    this.c
      .get(this.st)
      .get(this.of(place))
      .mem(`${typeOf(place)}.store`, offsetOf(place));
  }
}

function isFlag(place: Place): place is 'flRes' | 'flX' | 'flAux' | 'flOp' {
  return place.startsWith('fl');
}

function typeOf(place: Place): ValType {
  if (isFlag(place)) return FIELDS[place].bits === 64 ? 'i64' : 'i32';
  return place.startsWith('xmm') ? 'v128' : 'i64';
}

function offsetOf(place: Place): number {
  if (isFlag(place)) return FIELDS[place].at;
  const n = Number(place.slice(3));
  return place.startsWith('xmm') ? XMM_AT + n * 16 : GPR_AT + n * 8;
}
