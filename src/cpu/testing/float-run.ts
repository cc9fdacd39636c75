// Runs a float case on the reference evaluator, and condenses results to what the manuals define.

import { decode } from '../decode.ts';
import { FSW_ES, recomputeFpuFaults, updateSummary } from '../fpu-fault.ts';
import { programOf } from '../program.ts';
import { readStatusFlags, writeStatusFlags } from '../reference/flags.ts';
import { executeOne } from '../reference.ts';
import {
  putControl,
  putMxcsr,
  putStack,
  putXmm,
  takeControl,
  takeStack,
  takeXmm,
} from '../slow/fxsave.ts';
import {
  DATA_AT,
  type FloatCase,
  type FloatGroup,
  type FloatResult,
  WINDOW,
} from './float-cases.ts';
import { createMachine, type Engine, type Machine, readRam, writeRam } from './machine.ts';

const CODE_AT = 0x10000;
const STATUS = 0x8d5;
const GPRS = [0, 1, 2, 3];
const RSI = 6;
const RDI = 7;

type Stepper = (m: Machine, c: FloatCase) => number;

/** Without an engine: the evaluator itself. */
export function createFloatRunner(engine?: Engine): (c: FloatCase) => FloatResult {
  const machine = createMachine('long-user');
  const stepper: Stepper = engine ? (m, c) => stepOn(engine, m, c) : step;
  return (c) => runOn(machine, c, stepper);
}

function runOn(m: Machine, c: FloatCase, stepper: Stepper): FloatResult {
  const { state } = m;
  writeRam(m, DATA_AT, c.data);
  for (const n of GPRS) state.setGpr(n, c.regs[n] as bigint);
  state.setGpr(RSI, BigInt(DATA_AT));
  state.setGpr(RDI, BigInt(DATA_AT));
  writeStatusFlags(state, Number(c.regs[4]) & STATUS);
  state.set('eflags', 2);
  const image = new DataView(c.fx.slice().buffer);
  m.cx.insn = { osize: 32, asize: 64, mode: 64, length: 0 };
  takeControl(state, image, true);
  takeStack(state, image, 32);
  state.set('mxcsr', image.getUint32(24, true));
  takeXmm(m.cx, image, 160);
  updateSummary(state);
  recomputeFpuFaults(state);
  state.set64('rip', BigInt(CODE_AT));
  const trap = stepper(m, c);
  const fx = new DataView(new ArrayBuffer(512));
  putControl(state, fx, true);
  putMxcsr(state, fx, 24);
  putStack(state, fx, 32);
  putXmm(m.cx, fx, 160);
  return {
    trap,
    regs: [...GPRS.map((n) => state.gpr(n)), BigInt(readStatusFlags(state))],
    data: readRam(m, DATA_AT, WINDOW),
    fx: new Uint8Array(fx.buffer),
  };
}

function step(m: Machine, c: FloatCase): number {
  const d = decode(Uint8Array.from(c.code), 0, c.code.length, 64);
  if ('failure' in d) return 6;
  const { osize, asize, mode } = d.variant;
  m.cx.insn = { osize, asize, mode, length: d.length };
  return executeOne(m.cx, d, programOf(d)) === 1 ? m.state.get('faultVector') : -1;
}

function stepOn(engine: Engine, m: Machine, c: FloatCase): number {
  if (readRam(m, CODE_AT, c.code.length).join() !== c.code.join()) {
    writeRam(m, CODE_AT, c.code);
    m.engine?.codeWritten(CODE_AT, 16);
  }
  const result = engine.step(m);
  return result === 'ok' ? -1 : result.fault;
}

/**
 * Status word bits that an instruction leaves undefined: C0, C2, C3 for all but comparisons and their like;
 * and with an unmasked exception, where processors differ. SDM 1 8.1.3.1.
 */
const DEFINES_CODES = /^(fu?com|ficom|ftst|fxam|fprem|fsin|fcos|fptan)/;
const CODES = 0x4500;
/** FCOMI and its like clear C1 on Intel's processors (SDM 2A), and keep it on AMD's. */
const KEEPS_C1 = /^fu?comi/;
const C1 = 0x200;
const STATUS_WORD = 2;
const OPCODE = 6;
const MXCSR = 24;

/** The bytes that count, in a fixed order. */
export function comparable(group: FloatGroup, r: FloatResult): number[] {
  const fx = Uint8Array.from(r.fx);
  fx.fill(0, OPCODE, MXCSR);
  const view = new DataView(fx.buffer);
  view.setUint32(MXCSR + 4, 0, true);
  const pending = (view.getUint16(STATUS_WORD, true) & FSW_ES) !== 0;
  if (pending || !DEFINES_CODES.test(group.insn.name))
    view.setUint16(STATUS_WORD, view.getUint16(STATUS_WORD, true) & ~CODES, true);
  if (KEEPS_C1.test(group.insn.name))
    view.setUint16(STATUS_WORD, view.getUint16(STATUS_WORD, true) & ~C1, true);
  for (let n = 0; n < 8; n++) fx.fill(0, 32 + n * 16 + 10, 48 + n * 16);
  const regs = r.regs.slice(0, 4).flatMap((v) => {
    const bytes = new DataView(new ArrayBuffer(8));
    bytes.setBigUint64(0, v, true);
    return [...new Uint8Array(bytes.buffer)];
  });
  // With an unmasked exception AMD's processors set the flags too; Intel's do not (SDM 2A FCOMI).
  const kept = pending && KEEPS_C1.test(group.insn.name);
  const flags = kept ? 0 : Number(r.regs[4]) & STATUS;
  return [r.trap & 0xff, ...regs, flags & 0xff, flags >> 8, ...r.data, ...fx.subarray(0, 416)];
}

/** XMM register that an instruction with `V,W` operands reads from memory or a register, and the one that it writes. */
export function sourceOf(group: FloatGroup, c: FloatCase): Uint8Array {
  const modrm = modrmOf(group, c);
  if (group.kind === 'reg') return c.fx.subarray(160 + (modrm & 7) * 16, 176 + (modrm & 7) * 16);
  const at = c.code.at(-1) as number;
  return c.data.subarray(at, at + 16);
}

export function destinationOf(group: FloatGroup, c: FloatCase, r: FloatResult): Uint8Array {
  const n = (modrmOf(group, c) >> 3) & 7;
  return r.fx.subarray(160 + n * 16, 176 + n * 16);
}

const modrmOf = ({ kind }: FloatGroup, { code }: FloatCase): number =>
  code.at(kind === 'mem' ? -2 : -1) as number;

/** 16 bits that change when anything changes that is defined. */
export function condense(bytes: readonly number[]): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
    hash ^= hash >>> 15;
  }
  return ((hash >>> 16) ^ hash) & 0xffff;
}
