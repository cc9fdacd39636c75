// Lowers status flags: writing the lazy fields, and reading flags and conditions from them.

import { AF, CF, OF, PF, SF, ZF } from '../isa/build.ts';
import { operandsOf } from '../isa/check.ts';
import type { Effect, StatusFlag, Value, Width } from '../isa/ir.ts';
import { FIELDS, FL_ADC, FL_ADD, FL_FULL, FL_LOGIC, FL_MIX, FL_SBB, FL_SUB } from '../state.ts';
import { Code } from '../wasm/encode.ts';
import type { Lowering } from './lower.ts';

const FLAG_BIT: Record<StatusFlag, number> = { cf: CF, pf: PF, af: AF, zf: ZF, sf: SF, of: OF };
const ALL_STATUS = CF | PF | AF | ZF | SF | OF;
const KIND = {
  add: FL_ADD,
  adc: FL_ADC,
  sub: FL_SUB,
  sbb: FL_SBB,
  logic: FL_LOGIC,
  mix: FL_MIX,
} as const;

const sizeLog = (width: Width): number => Math.log2(width / 8);

/** Writes the lazy fields. A carry that did not come in makes adc an add and sbb a sub. */
export function emitFlags(l: Lowering, e: Effect & { op: 'flags' }): void {
  const { c, site } = l;
  const { width } = e.res;
  const wide = (v: Value) => () => {
    l.push(v);
    if (width !== 64) c.op('i64.extend_i32_u');
  };
  // What reads the old flags (inc and dec keep the carry) is computed before the first new field stands.
  for (const v of [e.x, e.aux]) if (readsFlags(v)) l.inLocal(v);
  site.setFlagField('flRes', wide(e.res));
  if (e.fn === 'mix') site.setFlagField('flAux', () => l.push(e.aux));
  else if (e.fn !== 'logic') site.setFlagField('flX', wide(e.x));
  site.setFlagField('flOp', () => {
    if (e.fn !== 'adc' && e.fn !== 'sbb') {
      c.i32(KIND[e.fn] * 4 + sizeLog(width));
      return;
    }
    const [with1, without] = e.fn === 'adc' ? [FL_ADC, FL_ADD] : [FL_SBB, FL_SUB];
    c.i32(with1 * 4 + sizeLog(width)).i32(without * 4 + sizeLog(width));
    l.push(e.aux);
    c.op('select');
  });
}

function readsFlags(v: Value): boolean {
  return v.op === 'flag' || v.op === 'cond' || operandsOf(v).some(readsFlags);
}

export function emitSetFlags(l: Lowering, set: Partial<Record<StatusFlag, Value>>): void {
  const { c, site } = l;
  let mask = 0;
  for (const flag of Object.keys(set) as StatusFlag[]) mask |= FLAG_BIT[flag];
  site.setFlagField('flAux', () => {
    if (mask === ALL_STATUS) c.i32(0);
    else {
      site.pushAllFlags();
      c.i32(~mask).op('i32.and');
    }
    for (const [flag, v] of Object.entries(set) as [StatusFlag, Value][]) {
      l.push(v);
      const shift = Math.log2(FLAG_BIT[flag]);
      if (shift > 0) c.i32(shift).op('i32.shl');
      c.op('i32.or');
    }
  });
  site.setFlagField('flOp', () => c.i32(FL_FULL * 4));
}

export function emitFlag(l: Lowering, flag: StatusFlag): void {
  if (flag === 'zf') return emitCond(l, 4);
  if (flag === 'cf') return emitCond(l, 2);
  if (flag === 'sf') return emitCond(l, 8);
  l.site.pushAllFlags();
  l.c.i32(Math.log2(FLAG_BIT[flag])).op('i32.shr_u').i32(1).op('i32.and');
}

/** Leaves 0 or 1. Odd codes are the negation of the even ones. */
export function emitCond(l: Lowering, cc: number): void {
  const { c } = l;
  if (!emitKnownCond(l, cc & ~1)) emitGenericCond(l, cc & ~1);
  if (cc & 1) c.op('i32.eqz');
}

function emitGenericCond(l: Lowering, cc: number): void {
  const { c } = l;
  const bits: Record<number, number> = { 0: OF, 2: CF, 4: ZF, 6: CF | ZF, 8: SF, 10: PF };
  l.site.pushAllFlags();
  const mask = bits[cc];
  if (mask !== undefined) {
    c.i32(mask).op('i32.and').i32(0).op('i32.ne');
    return;
  }
  // l: SF != OF; le: that or ZF. SF is bit 7, OF bit 11: bit 7 of f ^ f >> 4 compares them.
  const f = l.temp('i32');
  c.tee(f).get(f).i32(4).op('i32.shr_u').op('i32.xor').i32(SF).op('i32.and');
  if (cc === 14) c.get(f).i32(ZF).op('i32.and').op('i32.or');
  c.i32(0).op('i32.ne');
}

/** With a known producer most conditions need no dispatch. False: nothing was emitted. */
function emitKnownCond(l: Lowering, cc: number): boolean {
  const known = l.site.knownFlags;
  if (!known) return false;
  const { c, site } = l;
  const { fn, width } = known;
  const res = () => site.pushFlagField('flRes');
  const x = () => site.pushFlagField('flX');
  if (cc === 4) {
    res();
    c.op('i64.eqz');
    return true;
  }
  if (cc === 8) {
    res();
    c.i64(BigInt(width - 1))
      .op('i64.shr_u')
      .op('i32.wrap_i64');
    return true;
  }
  if (fn === 'logic') return emitLogicCond(l, cc, res, width);
  if (fn === 'add' && cc === 2) {
    res();
    x();
    c.op('i64.lt_u');
    return true;
  }
  if (cc === 2 && (fn === 'adc' || fn === 'sbb')) return emitCarryOfCarry(l, fn);
  if (fn !== 'sub') return false;
  // y = x - res, in the low `width` bits; comparisons of x and y, shifted up so that the sign is bit 63.
  const shift = BigInt(64 - width);
  const up = () => {
    if (shift > 0n) c.i64(shift).op('i64.shl');
  };
  const compare = (name: string) => {
    x();
    up();
    x();
    res();
    c.op('i64.sub');
    up();
    c.op(name);
  };
  if (cc === 2) compare('i64.lt_u');
  else if (cc === 6) compare('i64.le_u');
  else if (cc === 12) compare('i64.lt_s');
  else if (cc === 14) compare('i64.le_s');
  else return false;
  return true;
}

/** The carry out of adc (res < x) or sbb (x < res), where equality counts when a carry came in: the kind's low bit. */
function emitCarryOfCarry(l: Lowering, fn: 'adc' | 'sbb'): true {
  const { c, site } = l;
  const compare = (name: string) => {
    site.pushFlagField(fn === 'adc' ? 'flRes' : 'flX');
    site.pushFlagField(fn === 'adc' ? 'flX' : 'flRes');
    c.op(name);
  };
  compare('i64.lt_u');
  compare('i64.eq');
  site.pushFlagField('flOp');
  c.i32(2).op('i32.shr_u').op('i32.and').op('i32.or');
  return true;
}

function emitLogicCond(l: Lowering, cc: number, res: () => void, width: Width): boolean {
  const { c } = l;
  if (cc === 0 || cc === 2) {
    c.i32(0);
  } else if (cc === 6) {
    res();
    c.op('i64.eqz');
  } else if (cc === 12 || cc === 14) {
    res();
    if (width < 64) c.i64(BigInt(64 - width)).op('i64.shl');
    c.i64(0n).op(cc === 12 ? 'i64.lt_s' : 'i64.le_s');
  } else {
    return false;
  }
  return true;
}

/** The function (state) -> status flags, computed from the lazy fields. */
export function flagsFunction(): Code {
  const c = new Code(1);
  const [op, res, x, y, size, out] = [
    c.take('i32'),
    c.take('i64'),
    c.take('i64'),
    c.take('i64'),
    c.take('i64'),
    c.take('i32'),
  ];
  const st = 0;
  c.get(st)
    .mem('i32.load', FIELDS.flOp.at)
    .tee(op)
    .i32(FL_FULL * 4)
    .op('i32.ge_u')
    .iff();
  c.get(st).mem('i32.load', FIELDS.flAux.at).op('return');
  c.end();
  c.get(st).mem('i64.load', FIELDS.flRes.at).set(res);
  c.get(st).mem('i64.load', FIELDS.flX.at).set(x);
  // size = 64 - bits: values are shifted up by it where their sign counts.
  c.i64(64n)
    .i64(8n)
    .get(op)
    .i32(3)
    .op('i32.and')
    .op('i64.extend_i32_u')
    .op('i64.shl')
    .op('i64.sub')
    .set(size);
  // ZF, SF, PF from the result.
  c.get(res).op('i64.eqz').i32(6).op('i32.shl');
  c.get(res)
    .get(size)
    .op('i64.shl')
    .i64(56n)
    .op('i64.shr_u')
    .op('i32.wrap_i64')
    .i32(SF)
    .op('i32.and')
    .op('i32.or');
  c.get(res)
    .op('i32.wrap_i64')
    .i32(0xff)
    .op('i32.and')
    .op('i32.popcnt')
    .i32(1)
    .op('i32.and')
    .op('i32.eqz')
    .i32(2)
    .op('i32.shl')
    .op('i32.or');
  c.set(out);
  c.get(op).i32(2).op('i32.shr_u').tee(op).i32(FL_MIX).op('i32.eq').iff();
  c.get(st).mem('i32.load', FIELDS.flAux.at).get(out).op('i32.or').op('return');
  c.end();
  c.get(op).i32(FL_LOGIC).op('i32.eq').iff();
  c.get(out).op('return');
  c.end();
  // y as ir.ts says; the carry that came in is op & 1 (ADC, SBB are the odd ones).
  c.get(op).i32(FL_ADC).op('i32.le_u').iff('i64');
  c.get(res)
    .get(x)
    .op('i64.sub')
    .get(op)
    .op('i64.extend_i32_u')
    .i64(1n)
    .op('i64.and')
    .op('i64.sub');
  c.else();
  c.get(x)
    .get(res)
    .op('i64.sub')
    .get(op)
    .op('i64.extend_i32_u')
    .i64(1n)
    .op('i64.and')
    .op('i64.sub');
  c.end();
  c.set(y);
  // AF: bit 4 of x ^ y ^ res.
  c.get(x)
    .get(y)
    .op('i64.xor')
    .get(res)
    .op('i64.xor')
    .op('i32.wrap_i64')
    .i32(AF)
    .op('i32.and')
    .get(out)
    .op('i32.or')
    .set(out);
  // Now with the sign in bit 63.
  for (const v of [x, y, res]) c.get(v).get(size).op('i64.shl').set(v);
  c.get(op).i32(FL_ADC).op('i32.le_u').iff('i32');
  // CF: res < x, or with a carry in res <= x. OF: x and y alike, res not.
  c.get(res).get(x).op('i64.lt_u').get(res).get(x).op('i64.eq').get(op).op('i32.and').op('i32.or');
  c.get(x).get(res).op('i64.xor').get(y).get(res).op('i64.xor').op('i64.and');
  c.i64(63n).op('i64.shr_u').op('i32.wrap_i64').i32(11).op('i32.shl').op('i32.or');
  c.else();
  c.get(x).get(y).op('i64.lt_u').get(x).get(y).op('i64.eq').get(op).op('i32.and').op('i32.or');
  c.get(x).get(y).op('i64.xor').get(x).get(res).op('i64.xor').op('i64.and');
  c.i64(63n).op('i64.shr_u').op('i32.wrap_i64').i32(11).op('i32.shl').op('i32.or');
  c.end();
  c.get(out).op('i32.or');
  return c;
}
