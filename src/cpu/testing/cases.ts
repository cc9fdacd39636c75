// Random cases for every form of the instruction table: code, registers, and memory operands that mean something.

import { decode } from '../decode.ts';
import type { Decoded } from '../decoded.ts';
import type { Form, Insn } from '../isa/define.ts';
import { type State, XMM_AT } from '../state.ts';
import { type Candidate, randomEncoding } from './encoding.ts';
import { type Machine, resetMachine, writeRam } from './machine.ts';
import { Random } from './random.ts';
import {
  HIGH_ALIAS_32,
  HIGH_ALIAS_64,
  isLong,
  modeOf,
  type Region,
  SETUPS,
  type Setup,
  WORLD,
} from './world.ts';

const PAGE = 4096;
const ATTEMPTS = 60;

export interface Case {
  readonly setup: Setup;
  readonly seed: number;
  readonly insn: Insn;
  readonly form: Form;
  readonly d: Decoded;
  readonly bytes: Uint8Array;
  /** Linear address of the code. */
  readonly at: number;
  /** Linear address that the memory operand was aimed at. */
  readonly target: bigint;
}

export interface CaseOptions {
  readonly seed: number;
  /** Cases for each form and setup. */
  readonly perForm: number;
  readonly setups?: readonly Setup[];
  readonly only?: (insn: Insn, form: Form) => boolean;
}

/** Calls back for random valid encodings of every form; gives the forms for which none was found. */
export function forEveryForm(
  table: readonly Insn[],
  options: CaseOptions,
  callback: (c: Case) => void,
): string[] {
  const never: string[] = [];
  let seed = options.seed;
  for (const insn of table) {
    for (const form of insn.forms) {
      if (options.only && !options.only(insn, form)) continue;
      let found = 0;
      for (const setup of options.setups ?? SETUPS) {
        for (let n = 0; n < options.perForm; n++) {
          const c = randomCase(insn, form, setup, seed++);
          if (!c) continue;
          found++;
          callback(c);
        }
      }
      if (found === 0) never.push(`${insn.name} ${form.op} ${form.args}`);
    }
  }
  return never;
}

/** One case; null: no valid encoding of the form was found in this setup. */
export function randomCase(insn: Insn, form: Form, setup: Setup, seed: number): Case | null {
  const random = new Random(Math.imul(seed, 0x9e3779b1));
  const mode = modeOf(setup);
  if ((form.only === '64' && mode !== 64) || (form.only === 'no64' && mode === 64)) return null;
  for (let n = 0; n < ATTEMPTS; n++) {
    const candidate = randomEncoding(form, mode, random);
    const d = decode(Uint8Array.from(candidate.bytes), 0, candidate.bytes.length, mode);
    if ('failure' in d || d.form !== form) continue;
    const target = randomTarget(random, setup, operandBytes(d));
    const at =
      WORLD.code.at + (random.chance(10) ? PAGE - 1 - random.below(d.length) : random.below(64));
    const bytes = aim(candidate, d, target, at, setup);
    const aimed = decode(bytes, 0, bytes.length, mode);
    if ('failure' in aimed || aimed.form !== form) continue;
    return { setup, seed, insn, form, d: aimed, bytes, at, target };
  }
  return null;
}

/** Puts a machine into the case's initial state. */
export function prepareCase(m: Machine, c: Case): void {
  resetMachine(m, c.setup);
  randomState(m, c.seed);
  aimRegisters(m.state, c);
  writeRam(m, c.at, c.bytes);
  m.state.set64('rip', BigInt(c.setup === 'real' ? c.at - WORLD.code.at : c.at));
}

export function describeCase(c: Case): string {
  const code = [...c.bytes].map((b) => b.toString(16).padStart(2, '0')).join(' ');
  return `${c.insn.name} (${c.form.op}; ${c.form.args}) in ${c.setup}: ${code}, seed ${c.seed}, operand at ${c.target.toString(16)}`;
}

/** Random registers and flags; those that usually hold addresses mostly do. */
export function randomState(m: Machine, seed: number): void {
  const random = new Random(seed ^ 0x5bd1e995);
  const { state } = m;
  const long = isLong(m.setup);
  const bits = long ? 64 : 32;
  for (let n = 0; n < (long ? 16 : 8); n++) state.setGpr(n, BigInt.asUintN(bits, random.integer()));
  const place = (n: number) => {
    const linear = randomTarget(random, m.setup, 8);
    state.setGpr(n, BigInt.asUintN(bits, m.setup === 'real' ? linear & 0x7fffn : linear));
  };
  for (const n of [3, 5, 6, 7]) if (random.chance(75)) place(n);
  if (random.chance(60)) state.setGpr(1, BigInt(random.below(20)));
  const stack = WORLD.stack.at + 0x4000 + random.below(0x1000);
  state.setGpr(
    4,
    BigInt((m.setup === 'real' ? stack - WORLD.stack.at : stack) & (random.chance(90) ? ~7 : ~0)),
  );
  if (random.chance(8)) place(4);
  if (random.chance(70)) state.setGpr(5, state.gpr(4) + BigInt(random.below(64) * 8));
  for (let n = 0; n < 32; n++) m.views.u64[((state.base + XMM_AT) >> 3) + n] = random.floats();
  for (let n = 0; n < 8; n++) randomSt(m, random, n);
  state.set('ftw', random.pick([0, 0xff, 0xff, random.below(256)]));
  state.set('fsw', random.below(8) << 11);
  if (random.chance(20)) state.set('mxcsr', 0x1f80 | (random.below(4) << 13));
  if (random.chance(20)) state.set('fcw', 0x7f | (random.below(16) << 8));
  state.set('flAux', random.u32() & 0x8d5);
  if (random.chance(25)) state.set('eflags', state.get('eflags') | 0x400);
}

function randomSt(m: Machine, random: Random, n: number): void {
  const at = (m.state.base + 0x400 + n * 16) >> 3;
  const normal = random.chance(70);
  m.views.u64[at] = random.u64() | (normal ? 1n << 63n : 0n);
  const exponent = normal ? 0x3ff0 + random.below(40) : random.pick([0, 1, 0x7fff, 0x7ffe, 0x3fff]);
  m.views.u64[at + 1] = BigInt(exponent | (random.below(2) << 15));
}

function operandBytes(d: Decoded): number {
  const mem = d.operands.find((o) => o.kind === 'mem');
  return mem && mem.size > 0 ? Math.ceil(mem.size / 8) : 8;
}

/** A linear address at which something can be learnt. */
function randomTarget(random: Random, setup: Setup, bytes: number): bigint {
  if (setup === 'real') return BigInt(0x20000 + randomOffset(random, bytes, 15 * PAGE));
  const alias = random.chance(12) ? (isLong(setup) ? HIGH_ALIAS_64 : HIGH_ALIAS_32) : 0n;
  const region = pickRegion(random);
  const { at, pages } = WORLD[region];
  if (region === 'data' || region === 'low')
    return alias + BigInt(at + randomOffset(random, bytes, pages * PAGE));
  if (isLong(setup) && random.chance(10)) return 0x7ffffffffffcn + BigInt(random.below(8));
  // Around the region's edges: crossings from and into what is allowed.
  const edge = random.pick([at, at + pages * PAGE]) - random.below(bytes + 1);
  return alias + BigInt(random.chance(50) ? edge : at + randomOffset(random, bytes, pages * PAGE));
}

function pickRegion(random: Random): Region {
  if (random.chance(75)) return 'data';
  return random.pick(['low', 'readOnly', 'unmapped', 'supervisor', 'mmio', 'stack'] as const);
}

function randomOffset(random: Random, bytes: number, room: number): number {
  if (room > PAGE && random.chance(12)) {
    const boundary = PAGE * (1 + random.below(room / PAGE - 1));
    return boundary - random.below(bytes);
  }
  const at = random.below(room - 64);
  return random.chance(75) ? at & ~15 : at;
}

/** Patches a displacement that stands alone (absolute, RIP relative, moffs). */
function aim(c: Candidate, d: Decoded, target: bigint, at: number, setup: Setup): Uint8Array {
  const bytes = Uint8Array.from(c.bytes.slice(0, d.length));
  if (!d.hasMem || d.base >= 0 || d.index >= 0 || c.dispBytes < 2) return bytes;
  const origin = d.ripRelative ? BigInt(at + d.length) : 0n;
  const disp = target - segmentBase(d, setup) - origin;
  for (let n = 0; n < c.dispBytes; n++)
    bytes[c.dispAt + n] = Number((disp >> BigInt(8 * n)) & 0xffn);
  return bytes;
}

/** Bases as `world.ts` sets them. */
function segmentBase(d: Decoded, setup: Setup): bigint {
  if (setup === 'real') return 0x20000n;
  return d.segment === 4 ? 0x3000n : d.segment === 5 ? 0x20000n : 0n;
}

/** Solves base + index * scale + disp = target for the base, or for the index where there is no base. */
function aimRegisters(state: State, c: Case): void {
  const { d } = c;
  if (!d.hasMem || d.base === d.index) return;
  const disp = (BigInt(d.dispHi) << 32n) + BigInt(d.disp >>> 0);
  const offset = c.target - segmentBase(d, c.setup) - disp;
  const set = (n: number, value: bigint) => {
    const mask = (1n << BigInt(d.variant.asize)) - 1n;
    const wide = d.variant.asize === 64 ? value : (state.gpr(n) & ~mask) | (value & mask);
    state.setGpr(n, BigInt.asUintN(isLong(c.setup) ? 64 : 32, wide));
  };
  const index = d.index < 0 ? 0n : state.gpr(d.index) << BigInt(d.scale);
  if (d.base >= 0) set(d.base, offset - index);
  else if (d.index >= 0) set(d.index, offset >> BigInt(d.scale));
}
