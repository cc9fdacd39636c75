// Lowers 64-bit division inline where the dividend is no wider than the divisor, as compilers' always is; else its slow path.

import type { Effect, Value } from '../isa/ir.ts';
import { RET_AT } from '../state.ts';
import { guarded } from './float.ts';
import type { Lowering } from './lower.ts';

/** False: the call is no division; nothing is emitted. */
export function emitDivide(l: Lowering, e: Effect & { readonly op: 'call' }): boolean {
  if (e.name !== 'div64' && e.name !== 'idiv64') return false;
  const signed = e.name === 'idiv64';
  const { c } = l;
  const [high, low, divisor] = e.args.map((a) => l.inLocal(a as Value)) as [number, number, number];
  const quotient = l.temp('i64');
  const remainder = l.temp('i64');
  guarded(
    c,
    (slow, done) => {
      c.get(high);
      if (signed) c.get(low).i64(63n).op('i64.shr_s').op('i64.xor');
      c.i64(0n).op('i64.ne').brIf(slow);
      // Zero divides nothing, and -1 not the least number.
      c.get(divisor)
        .i64(signed ? 1n : 0n)
        .op('i64.add');
      c.i64(signed ? 1n : 0n)
        .op('i64.le_u')
        .brIf(slow);
      c.get(low)
        .get(divisor)
        .op(signed ? 'i64.div_s' : 'i64.div_u')
        .tee(quotient);
      c.get(divisor).op('i64.mul').set(remainder);
      c.get(low).get(remainder).op('i64.sub').set(remainder).br(done);
    },
    () => {
      l.callFloat(e.name, e.args, null);
      for (const [n, local] of [quotient, remainder].entries())
        c.get(l.site.st)
          .mem('i64.load', RET_AT + n * 16)
          .set(local);
    },
  );
  l.keepResult(e, quotient, 0);
  l.keepResult(e, remainder, 1);
  return true;
}
