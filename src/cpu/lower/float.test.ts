// Floating point as the fast engines compute it, inline where they may, against the soft float: operands from every class.

import { describe, expect, test } from 'vitest';
import { Interpreter } from '../interp/engine.ts';
import {
  type FloatCase,
  type FloatGroup,
  float,
  floatCase,
  floatGroups,
} from '../testing/float-cases.ts';
import { comparable, createFloatRunner } from '../testing/float-run.ts';
import { engineOf } from '../testing/machine.ts';
import { Random } from '../testing/random.ts';

const INLINED =
  /^(add|sub|mul|div|sqrt|min|max|cmp|ucomi|comi|round|hadd|hsub|cvt)\w*(ps|pd|ss|sd|dq|si)/;
const CASES = 24;
const CODES = 3;
const MXCSR = 24;
const XMM = 160;

/**
 * The code of one of a few cases, so that engines translate few blocks; operands of all classes, and often ones that are
 * short enough for exact results; MXCSR mostly as programs have it.
 */
function caseOf(group: FloatGroup, n: number): FloatCase {
  const c = floatCase(group, n);
  const { code } = floatCase(group, Math.floor((n * CODES) / CASES));
  const r = new Random(group.seed ^ (n * 2654435761));
  const fx = new DataView(c.fx.buffer, c.fx.byteOffset);
  if (r.chance(85)) {
    const masks = r.chance(85) ? 0x3f : r.below(64);
    const flags = r.chance(50) ? 0x20 : 0;
    const zeros = r.chance(20) ? 0x8040 : 0;
    fx.setUint32(MXCSR, (flags & masks) | (masks << 7) | zeros, true);
  }
  const double = /d$|pd|sd/.test(group.insn.name);
  if (r.chance(60)) {
    for (let at = XMM; at < XMM + 64; at += 8) short(r, fx, at, double);
    const data = new DataView(c.data.buffer, c.data.byteOffset);
    for (let at = 0; at < c.data.length; at += 8) short(r, data, at, double);
  }
  return { ...c, code };
}

/** Eight bytes: a small number or a fraction of one, a power of two, now and then anything. */
function short(r: Random, view: DataView, at: number, double: boolean): void {
  const value = () => (r.below(4096) - 2048) / r.pick([1, 1, 2, 3, 64, 1 << 20]);
  if (double) {
    if (r.chance(15)) view.setBigUint64(at, float(r, 52, 11), true);
    else view.setFloat64(at, value(), true);
    return;
  }
  for (const half of [0, 4]) {
    if (r.chance(15)) view.setUint32(at + half, Number(float(r, 23, 8)), true);
    else view.setFloat32(at + half, value(), true);
  }
}

const X87 = /^f(i?(add|sub|mul|div)|ld(z|1)?$|ild|i?st|xch|chs|abs|sqrt|u?comi?p*$|icomp?$|tst)/;
const FCW = 0;
const FTW = 4;
const ST = 32;

/** The control word mostly as programs have it, or truncating; registers in use from ST(0) on, of sizes that meet. */
function x87Case(group: FloatGroup, n: number): FloatCase {
  const c = floatCase(group, n);
  const { code } = floatCase(group, Math.floor((n * CODES) / CASES));
  const r = new Random(group.seed ^ (n * 2654435761));
  const fx = new DataView(c.fx.buffer, c.fx.byteOffset);
  if (r.chance(85)) fx.setUint16(FCW, r.chance(85) ? 0x37f : 0xf7f, true);
  if (r.chance(80)) {
    const used = 0xff >> r.below(5);
    const top = (fx.getUint16(2, true) >> 11) & 7;
    fx.setUint8(FTW, ((used << top) | (used >> (8 - top))) & 0xff);
  }
  if (r.chance(80)) for (let at = ST; at < ST + 128; at += 16) sized(r, fx, at);
  const data = new DataView(c.data.buffer, c.data.byteOffset);
  if (r.chance(60))
    for (let at = 0; at < c.data.length; at += 8) short(r, data, at, group.form.args === 'Mq');
  return { ...c, code };
}

/** A number with few significant bits, all of them, or ones that cancel and carry. */
function sized(r: Random, view: DataView, at: number): void {
  const random = (BigInt(r.u32()) << 32n) | BigInt(r.u32());
  const sig = r.pick([random, random, random & ~0xffffffffffn, 0n, ~0n, ~0n << 11n, 1n]);
  const e = 0x3fff + r.pick([0, 0, 1, r.below(4), r.below(70), -r.below(70), r.below(140), 30]);
  const zero = r.chance(8);
  view.setBigUint64(at, zero ? 0n : BigInt.asUintN(64, sig) | (1n << 63n), true);
  view.setUint16(at + 8, (zero ? 0 : e) | (r.below(2) << 15), true);
}

const x87Groups = floatGroups().filter((g) => X87.test(g.insn.name));
const groups = floatGroups().filter((g) => INLINED.test(g.insn.name));

/** Every instruction is translated before it first runs. */
const AT_ONCE = { tiered: true, threshold: 1, batch: 1, maxBlock: 1 };

function* allCases(): Generator<readonly [FloatGroup, number, FloatCase]> {
  for (const [list, make] of [
    [groups, caseOf],
    [x87Groups, x87Case],
  ] as const)
    for (const group of list) for (let n = 0; n < CASES; n++) yield [group, n, make(group, n)];
}

describe.each([
  ['the interpreter', engineOf('interpreter', (p) => new Interpreter(p))],
  ['translated blocks', engineOf('jit', (p) => new Interpreter(p, AT_ONCE))],
])('%s', (_, engine) => {
  test('leaves what the soft float leaves: results, flags in MXCSR and EFLAGS, exceptions', () => {
    const reference = createFloatRunner();
    const run = createFloatRunner(engine);
    const wrong: string[] = [];
    for (const [group, n, c] of allCases()) {
      const [want, have] = [comparable(group, reference(c)), comparable(group, run(c))];
      if (want.join() !== have.join()) wrong.push(`${group.name} #${n}`);
    }
    expect(wrong).toEqual([]);
    expect(groups.length).toBeGreaterThan(100);
    expect(x87Groups.length).toBeGreaterThan(60);
  }, 120_000);
});
