// Runs a hardware case on the reference evaluator, and condenses results to what the SDM defines.

import { decode } from '../decode.ts';
import { programOf } from '../program.ts';
import { readStatusFlags, writeStatusFlags } from '../reference/flags.ts';
import { executeOne } from '../reference.ts';
import {
  CODE_AT,
  DATA_AT,
  type Group,
  type HardwareCase,
  type HardwareResult,
  STACK_AT,
  TAKEN_AT,
  WINDOW,
} from './hardware-cases.ts';
import { createMachine, type Machine, readRam, writeRam } from './machine.ts';

const STATUS = 0x8d5;
const DF = 0x400;
const [CF, PF, AF, ZF, SF, OF] = [1, 4, 0x10, 0x40, 0x80, 0x800];
const MOST_ITERATIONS = 64;

export interface HardwareRunner {
  run(c: HardwareCase): HardwareResult;
}

export function createHardwareRunner(): HardwareRunner {
  const long = createMachine('long-user');
  const protectedMode = createMachine('protected-user');
  return { run: (c) => runOn(c.mode === 64 ? long : protectedMode, c) };
}

function runOn(m: Machine, c: HardwareCase): HardwareResult {
  const { state } = m;
  writeRam(m, DATA_AT, c.data);
  writeRam(m, STACK_AT, c.stack);
  c.regs.forEach((value, n) => {
    state.setGpr(n, value);
  });
  writeStatusFlags(state, c.flags & STATUS);
  state.set('eflags', (c.flags & ~STATUS) | 2);
  state.set64('rip', BigInt(CODE_AT));
  const trap = step(m, c);
  return {
    trap,
    taken: state.get64('rip') === BigInt(TAKEN_AT),
    regs: c.regs.map((_, n) => state.gpr(n)),
    flags: (readStatusFlags(state) & STATUS) | (state.get('eflags') & DF),
    data: readRam(m, DATA_AT, WINDOW),
    stack: readRam(m, STACK_AT, WINDOW),
  };
}

/** All iterations of the instruction; the vector of its fault, or -1. */
function step(m: Machine, c: HardwareCase): number {
  const d = decode(Uint8Array.from(c.code), 0, c.code.length, c.mode);
  if ('failure' in d) return 6;
  const { osize, asize, mode } = d.variant;
  m.cx.insn = { osize, asize, mode, length: d.length };
  for (let n = 0; n < MOST_ITERATIONS; n++) {
    if (executeOne(m.cx, d, programOf(d)) === 1) return m.state.get('faultVector');
    if (m.state.get64('rip') !== BigInt(CODE_AT)) return -1;
  }
  return -2;
}

/** 16 bits that change when anything changes that the SDM defines. */
export function condense(group: Group, c: HardwareCase, r: HardwareResult): number {
  let hash = 0x811c9dc5;
  const add = (value: number) => {
    hash = Math.imul(hash ^ value, 0x01000193) >>> 0;
    hash ^= hash >>> 15;
  };
  add(r.trap);
  add(r.taken ? 1 : 0);
  for (const value of r.regs) {
    add(Number(value & 0xffffffffn));
    add(Number(value >> 32n));
  }
  add(r.flags & (STATUS | DF) & ~undefinedFlags(group, c));
  for (const byte of r.data) add(byte);
  for (const byte of r.stack) add(byte);
  return ((hash >>> 16) ^ hash) & 0xffff;
}

/** Flags that the SDM leaves undefined, by its pages in volume 2 ("Flags Affected"). */
const UNDEFINED: Readonly<Record<string, number>> = {
  and: AF,
  or: AF,
  xor: AF,
  test: AF,
  mul: SF | ZF | AF | PF,
  imul: SF | ZF | AF | PF,
  div: STATUS,
  idiv: STATUS,
  bt: OF | SF | AF | PF,
  bts: OF | SF | AF | PF,
  btr: OF | SF | AF | PF,
  btc: OF | SF | AF | PF,
  bsf: CF | OF | SF | AF | PF,
  bsr: CF | OF | SF | AF | PF,
  lzcnt: OF | SF | AF | PF,
  aaa: OF | SF | ZF | PF,
  aas: OF | SF | ZF | PF,
  aam: OF | AF | CF,
  aad: OF | AF | CF,
  daa: OF,
  das: OF,
};
const SHIFTS = ['shl', 'shr', 'sar', 'shld', 'shrd'];
const ROTATES = ['rol', 'ror', 'rcl', 'rcr'];

export function undefinedFlags(group: Group, c: HardwareCase): number {
  const { name } = group.insn;
  const rotate = ROTATES.includes(name);
  if (!rotate && !SHIFTS.includes(name)) return UNDEFINED[name] ?? 0;
  const width = /Eb/.test(group.form.args) ? 8 : group.osize;
  const count = shiftCount(group, c) & (width === 64 ? 63 : 31);
  if (count === 0) return 0;
  const of = count === 1 ? 0 : OF;
  if (rotate) return of;
  if ((name === 'shld' || name === 'shrd') && count > width) return STATUS;
  const cf = (name === 'shl' || name === 'shr') && count >= width ? CF : 0;
  return of | cf | AF;
}

function shiftCount({ form }: Group, c: HardwareCase): number {
  if (form.args.endsWith('1')) return 1;
  if (form.args.endsWith('CL')) return Number((c.regs[1] as bigint) & 0xffn);
  return c.code.at(-1) as number;
}
