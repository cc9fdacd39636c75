// The reference evaluator: runs the IR of one instruction on a vCPU's state, slowly and obviously. The oracle of all engines.

import { bug } from '../base/errors.ts';
import type { Decoded } from './decoded.ts';
import { type Effect, isValue, type Program, type RegRef, type Value } from './isa/ir.ts';
import {
  effectiveAddress,
  linearAddress,
  locate,
  nextRip,
  probe,
  readBytes,
  store,
  writeBytes,
} from './reference/access.ts';
import {
  conditionHolds,
  FLAG_BITS,
  flagsOf,
  readStatusFlags,
  writeStatusFlags,
} from './reference/flags.ts';
import { binary, cast, compare, unary, unsigned } from './reference/integers.ts';
import { evaluateVec } from './reference/vec.ts';
import type { Cx } from './slow/define.ts';
import { floatCode } from './slow/float-code.ts';
import { slowPath } from './slow/registry.ts';
import { ARG_AT, FIELDS, type Field, GPR_AT, RET_AT, ST_AT, XMM_AT } from './state.ts';

/** What an effect says about the rest of the instruction. */
type Step = 'on' | 'end' | 'fault';

interface Run {
  readonly cx: Cx;
  readonly d: Decoded;
  readonly values: Map<number, bigint>;
  /** Results of calls, by the id of the call: read at once, since the next call overwrites the slots. */
  readonly results: Map<number, readonly bigint[]>;
  /** Where loads that will be written back found their bytes, by the id of the load. */
  readonly hosts: Map<number, number>;
  /** RIP after the instruction; null once a slow path that ends it has set the state's. */
  rip: bigint | null;
}

/** Runs one instruction. 0: done, RIP updated. 1: a fault is raised in the state, nothing else has changed. */
export function executeOne(cx: Cx, d: Decoded, program: Program): 0 | 1 {
  const rip = cx.state.get64('rip');
  const run: Run = {
    cx,
    d,
    values: new Map(),
    results: new Map(),
    hosts: new Map(),
    rip: nextRip(cx.state, d),
  };
  for (const node of program.nodes) {
    const step = isValue(node) ? evaluate(run, node) : perform(run, node);
    if (step === 'fault') {
      cx.state.set64('rip', rip);
      return 1;
    }
    if (step === 'end') break;
  }
  if (run.rip !== null) cx.state.set64('rip', run.rip);
  return 0;
}

function knownValue(run: Run, v: Value): bigint {
  return run.values.get(v.id) ?? bug(`node ${v.id} (${v.op}) is used before it is evaluated`);
}

function evaluate(run: Run, v: Value): Step {
  const value = compute(run, v);
  if (value === null) return 'fault';
  run.values.set(v.id, unsigned(value, v.width));
  return 'on';
}

/** The value of a node; null: it faulted. */
function compute(run: Run, v: Value): bigint | null {
  const { cx, d } = run;
  const of = (x: Value) => knownValue(run, x);
  switch (v.op) {
    case 'const':
      return v.value;
    case 'imm':
      return (BigInt(d.immHi[v.n] ?? 0) << 32n) | BigInt((d.immLo[v.n] ?? 0) >>> 0);
    case 'ea':
      return effectiveAddress(cx.state, d);
    case 'next':
      return nextRip(cx.state, d);
    case 'bin':
      return binary(v.fn, v.width, of(v.a), of(v.b));
    case 'un':
      return unary(v.fn, v.width, of(v.a));
    case 'cmp':
      return compare(v.fn, v.a.width, of(v.a), of(v.b)) ? 1n : 0n;
    case 'cast':
      return cast(v.fn, v.a.width, v.width, of(v.a));
    case 'select':
      return of(v.c) !== 0n ? of(v.a) : of(v.b);
    case 'vec':
      return evaluateVec(v.fn, v.args.map(of), v.lanes);
    case 'float':
      return (
        callSlow(
          run,
          'float',
          [of(v.a), of(v.b), floatCode(v.fn, v.shape)],
          [v.width],
          [v.width === 128, v.width === 128, false],
        )?.[0] ?? null
      );
    case 'getreg':
      return readRegister(run, v.reg);
    case 'regno':
      return BigInt(registerNumber(run, v.slot));
    case 'linear':
      return linearAddress(cx, d, { ...v, offset: of(v.a), aligned: false });
    case 'load':
      return load(run, v);
    case 'flag':
      return readStatusFlags(cx.state) & FLAG_BITS[v.flag] ? 1n : 0n;
    case 'cond':
      return conditionHolds(readStatusFlags(cx.state), v.cc) ? 1n : 0n;
    case 'getstate': {
      const { at, bits } = fieldNamed(v.field);
      return readBytes(cx.state, cx.state.base + at, bits / 8);
    }
    case 'result':
      return run.results.get(v.call.id)?.[v.n] ?? bug(`call ${v.call.id} has no result ${v.n}`);
  }
}

function load(run: Run, v: Value & { op: 'load' }): bigint | null {
  const { seg, rmw, aligned, width } = v;
  const offset = knownValue(run, v.addr);
  const host = locate(run.cx, run.d, { seg, offset, bytes: width / 8, writes: rmw, aligned });
  if (host === null) return null;
  run.hosts.set(v.id, host);
  return readBytes(run.cx.state, host, width / 8);
}

function perform(run: Run, e: Effect): Step {
  const { cx, d } = run;
  const of = (x: Value) => knownValue(run, x);
  switch (e.op) {
    case 'setreg':
      writeRegister(run, e.reg, of(e.value));
      return 'on';
    case 'store': {
      const bytes = e.value.width / 8;
      const at = { seg: e.seg, offset: of(e.addr), bytes, writes: true, aligned: e.aligned };
      const host = e.load ? (run.hosts.get(e.load.id) ?? null) : null;
      return store(cx, d, at, of(e.value), host) ? 'on' : 'fault';
    }
    case 'probe': {
      const at = { seg: e.seg, offset: of(e.addr), bytes: e.bytes, writes: true, aligned: false };
      return probe(cx, d, at) ? 'on' : 'fault';
    }
    case 'flags':
      writeStatusFlags(cx.state, flagsOf(e.fn, e.res.width, of(e.res), of(e.x), of(e.aux)));
      return 'on';
    case 'setflags':
      setFlags(run, e);
      return 'on';
    case 'setstate': {
      const { at, bits } = fieldNamed(e.field);
      writeBytes(cx.state, cx.state.base + at, bits / 8, of(e.value));
      return 'on';
    }
    case 'fault':
      if (of(e.when) === 0n) return 'on';
      cx.state.raise(e.vector, e.error);
      return 'fault';
    case 'call':
      return performCall(run, e);
    case 'skip':
      return of(e.when) === 0n ? 'on' : 'end';
    case 'again':
      if (of(e.when) !== 0n) run.rip = cx.state.get64('rip');
      return 'on';
    case 'branch':
      if (e.when === null || of(e.when) !== 0n) run.rip = branchTarget(run, e.n);
      return 'on';
    case 'jump':
      run.rip = unsigned(of(e.target), d.variant.mode === 64 ? 64 : 32);
      return 'on';
    case 'bulk':
    case 'boundary':
      return 'on';
  }
}

function setFlags(run: Run, e: Effect & { op: 'setflags' }): void {
  let flags = readStatusFlags(run.cx.state);
  for (const [name, value] of Object.entries(e.set)) {
    const bit = FLAG_BITS[name as keyof typeof FLAG_BITS];
    flags = knownValue(run, value) !== 0n ? flags | bit : flags & ~bit;
  }
  writeStatusFlags(run.cx.state, flags);
}

function branchTarget(run: Run, n: number): bigint {
  const { mode, osize } = run.d.variant;
  const offset = BigInt(run.d.immLo[n as 0 | 1]);
  const bits = osize === 16 ? 16 : mode === 64 ? 64 : 32;
  return unsigned(nextRip(run.cx.state, run.d) + offset, bits);
}

function performCall(run: Run, e: Effect & { op: 'call' }): Step {
  if (e.ends) {
    run.cx.state.set64('rip', nextRip(run.cx.state, run.d));
    run.rip = null;
  }
  const args = e.args.map((a) => knownValue(run, a));
  const wide = e.args.map((a) => a.width === 128);
  const results = callSlow(run, e.name, args, e.results, wide);
  if (results === null) return 'fault';
  run.results.set(e.id, results);
  return 'on';
}

/** Calls a slow path; null: it faulted. */
function callSlow(
  run: Run,
  name: string,
  args: readonly bigint[],
  results: readonly number[],
  wide: readonly boolean[] = args.map((a) => a >> 64n !== 0n),
): bigint[] | null {
  const { state } = run.cx;
  args.forEach((value, n) => {
    writeBytes(state, state.base + ARG_AT + n * 16, wide[n] ? 16 : 8, value);
  });
  if (slowPath(name).run(run.cx) === 1) return null;
  return results.map((bits, n) =>
    unsigned(readBytes(state, state.base + RET_AT + n * 16, 16), bits),
  );
}

function registerNumber(run: Run, slot: number): number {
  return run.d.regs[slot] ?? bug(`${run.d.insn.name} has no register slot ${slot}`);
}

/** Byte address of a register within linear memory. */
function placeOf(run: Run, reg: RegRef): number {
  const number = reg.fixed ?? registerNumber(run, reg.slot);
  const { base } = run.cx.state;
  switch (reg.file) {
    case 'gpr':
      // 16..19: AH CH DH BH, the second byte of the first four.
      return base + GPR_AT + (number < 16 ? number * 8 : (number - 16) * 8 + 1);
    case 'xmm':
      return base + XMM_AT + number * 16;
    case 'mm':
      return base + ST_AT + number * 16;
  }
}

function readRegister(run: Run, reg: RegRef): bigint {
  return readBytes(run.cx.state, placeOf(run, reg), reg.width / 8);
}

function writeRegister(run: Run, reg: RegRef, value: bigint): void {
  const clearsUpperHalf = reg.file === 'gpr' && reg.width === 32;
  const at = placeOf(run, reg);
  writeBytes(run.cx.state, at, clearsUpperHalf ? 8 : reg.width / 8, value);
  // A written MMX register is a NaN to x87: sign and exponent become ones. SDM 1 9.2.2.
  if (reg.file === 'mm') writeBytes(run.cx.state, at + 8, 2, 0xffffn);
}

function fieldNamed(name: string): Field {
  return (FIELDS as Readonly<Record<string, Field>>)[name] ?? bug(`the state has no field ${name}`);
}
