// Cases of user-mode integer instructions that a real CPU can run too: code, registers and two small windows of memory.

import type { Form, Insn } from '../isa/define.ts';
import { parsePattern } from './encoding.ts';
import { Random } from './random.ts';

/** Where tools/vectors/run-cases.c puts things; within the world of CPU tests. */
export const CODE_AT = 0x10000;
/** Jumps go here, everything else falls through. */
export const TAKEN_AT = CODE_AT + 0x40;
export const DATA_AT = 0x21000;
export const STACK_AT = 0x62000;
export const WINDOW = 256;
export const CASES_PER_GROUP = 24;

export interface HardwareCase {
  readonly mode: 32 | 64;
  readonly code: readonly number[];
  readonly regs: readonly bigint[];
  readonly flags: number;
  readonly data: Uint8Array;
  readonly stack: Uint8Array;
}

/** What running it left behind. `trap`: vector, or -1. */
export interface HardwareResult {
  readonly trap: number;
  readonly taken: boolean;
  readonly regs: readonly bigint[];
  readonly flags: number;
  readonly data: Uint8Array;
  readonly stack: Uint8Array;
}

/** One form at one operand size, with a register or memory operand: what a line of the recording is about. */
export interface Group {
  readonly insn: Insn;
  readonly form: Form;
  readonly mode: 32 | 64;
  readonly osize: 16 | 32 | 64;
  readonly memory: boolean;
  readonly rep: 0 | 0xf2 | 0xf3;
  readonly name: string;
}

const [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI] = [0, 1, 2, 3, 4, 5, 6, 7];
const MIDDLE = WINDOW / 2;
const STATUS = 0x8d5;
const DF = 0x400;

export function groupsOf(insns: readonly Insn[]): Group[] {
  const groups: Group[] = [];
  for (const insn of insns) {
    for (const form of insn.forms) {
      for (const mode of [32, 64] as const) groups.push(...groupsOfForm(insn, form, mode));
    }
  }
  return groups;
}

function groupsOfForm(insn: Insn, form: Form, mode: 32 | 64): Group[] {
  if (form.only === (mode === 64 ? 'no64' : '64')) return [];
  const groups: Group[] = [];
  const reps = form.rep === undefined ? [0] : form.rep === 'rep' ? [0, 0xf3] : [0, 0xf2, 0xf3];
  for (const osize of sizesOf(form, mode)) {
    for (const memory of /E/.test(form.args) ? [false, true] : [/[MO]/.test(form.args)]) {
      for (const rep of reps as Group['rep'][]) {
        const prefix = rep === 0 ? '' : rep === 0xf2 ? 'repne ' : 'rep ';
        const what = `${prefix}${insn.name} ${form.op} ${form.args}`.trim();
        const name = `${mode} ${osize} ${memory ? 'm' : 'r'} ${what}`;
        groups.push({ insn, form, mode, osize, memory, rep, name });
      }
    }
  }
  return groups;
}

function sizesOf(form: Form, mode: 32 | 64): readonly (16 | 32 | 64)[] {
  const p = parsePattern(form.op);
  if (p.w !== null && mode === 64) return [p.w ? 64 : 32];
  if (p.w === 1) return [];
  const sized = /[EGMZIOXY][vzy]|eAX/.test(form.args) || form.args === '';
  if (form.size64 === 'f64') return [mode];
  if (form.size64 === 'd64') return mode === 64 ? [16, 64] : [16, 32];
  if (!sized) return [32];
  const small = p.prefix === null && !/y/.test(form.args) ? ([16] as const) : [];
  return mode === 64 ? [...small, 32, 64] : [...small, 32];
}

/** Case `n` of a group; the same for ever. */
export function hardwareCase(group: Group, n: number): HardwareCase {
  const random = new Random(seedOf(`${group.name}#${n}`));
  const draft: Draft = {
    group,
    random,
    regs: Array.from({ length: 16 }, (_, r) => narrow(group, r, random.integer())),
    data: bytes(random),
    stack: bytes(random),
    disp: 0,
  };
  const special = SPECIAL[group.insn.name];
  draft.regs[RSP] = BigInt(STACK_AT + MIDDLE);
  if (group.memory) draft.regs[RSI] = BigInt(DATA_AT + MIDDLE + random.below(8));
  const code = encode(draft);
  special?.(draft, code);
  const flags = 0x202 | (random.u32() & STATUS) | (random.chance(30) ? DF : 0);
  const { mode } = group;
  return { mode, code: code.bytes, regs: draft.regs, flags, data: draft.data, stack: draft.stack };
}

interface Draft {
  readonly group: Group;
  readonly random: Random;
  readonly regs: bigint[];
  readonly data: Uint8Array;
  readonly stack: Uint8Array;
  disp: number;
}

interface Code {
  readonly bytes: number[];
  /** Register numbers of the ModRM byte. */
  readonly reg: number;
  readonly rm: number;
}

function encode({ group, random }: Draft): Code {
  const { form, mode, osize, memory, rep } = group;
  const p = parsePattern(form.op);
  const bytes: number[] = [];
  if (osize === 16) bytes.push(0x66);
  if (rep) bytes.push(rep);
  if (typeof p.prefix === 'number') bytes.push(p.prefix);
  const high = mode === 64 && random.chance(40);
  const reg = p.modrm === 'r' || p.modrm === null ? pickRegister(random, high) : (p.modrm ?? 0);
  const rm = memory ? RSI : pickRegister(random, high);
  const fixedOpcode = p.modrm === null;
  const wide = osize === 64 && form.size64 === undefined;
  const rexR = p.modrm === 'r' && reg > 7 ? 4 : 0;
  const rexB = (fixedOpcode ? p.plus === 8 && reg > 7 : rm > 7) ? 1 : 0;
  if (mode === 64 && (wide || rexR || rexB || random.chance(15)))
    bytes.push(0x40 | (wide ? 8 : 0) | rexR | rexB);
  bytes.push(...p.opcode.slice(0, -1));
  const last = p.opcode.at(-1) ?? 0;
  bytes.push(last + (p.plus === 8 ? reg & 7 : p.plus === 16 ? random.below(16) : 0));
  if (p.exact !== null) bytes.push(p.exact);
  else if (p.modrm !== null) bytes.push((memory ? 0 : 0xc0) | ((reg & 7) << 3) | (rm & 7));
  bytes.push(...immediates(group, random, bytes.length));
  return { bytes, reg, rm };
}

function immediates(group: Group, random: Random, before: number): number[] {
  const out: number[] = [];
  const value = (count: number) => {
    const all = random.integer();
    for (let n = 0; n < count; n++) out.push(Number((all >> BigInt(n * 8)) & 0xffn));
  };
  const jump = (count: number) => {
    const distance = TAKEN_AT - CODE_AT - before - count;
    for (let n = 0; n < count; n++) out.push(n === 0 ? distance : 0);
  };
  for (const code of group.form.args.split(',')) {
    if (code === 'Ib') value(1);
    else if (code === 'Iw') value(2);
    else if (code === 'Iz') value(Math.min(group.osize, 32) / 8);
    else if (code === 'Iv') value(group.osize / 8);
    else if (code === 'Jb') jump(1);
    else if (code === 'Jz') jump(4);
    else if (code[0] === 'O') {
      const at = DATA_AT + MIDDLE + random.below(8);
      for (let n = 0; n < group.mode / 8; n++) out.push(n < 4 ? (at >> (8 * n)) & 0xff : 0);
    }
  }
  return out;
}

/** Never rSP; rSI may be the address of the memory operand. */
function pickRegister(random: Random, high: boolean): number {
  const low = [RAX, RCX, RDX, RBX, RBP, RDI];
  return high ? 8 + random.below(8) : (random.pick(low) as number);
}

function narrow(group: Group, r: number, value: bigint): bigint {
  if (group.mode === 64) return value;
  return r < 8 ? value & 0xffffffffn : 0n;
}

/** Registers and memory that random values would seldom give a meaning. */
const SPECIAL: Readonly<Record<string, (d: Draft, code: Code) => void>> = {
  div: easyDividend,
  idiv: easyDividend,
  bt: nearBit,
  bts: nearBit,
  btr: nearBit,
  btc: nearBit,
  cmpxchg: equalAccumulator,
  cmpxchg8b: equalAccumulator,
  cmpxchg16b(d, code) {
    if (d.random.chance(75)) d.regs[RSI] = BigInt(DATA_AT + MIDDLE);
    equalAccumulator(d, code);
  },
  movs: stringPointers,
  stos: stringPointers,
  lods: stringPointers,
  scas: stringPointers,
  cmps: stringPointers,
  xlatb: (d) => {
    d.regs[RBX] = BigInt(DATA_AT);
  },
  leave: (d) => {
    d.regs[RBP] = BigInt(STACK_AT + d.random.below(WINDOW - 8));
  },
  enter(d, { bytes }) {
    d.regs[RBP] = BigInt(STACK_AT + MIDDLE + d.random.below(64));
    bytes[bytes.length - 3] = d.random.below(100);
    bytes[bytes.length - 2] = 0;
    bytes[bytes.length - 1] = d.random.below(5) + (d.random.chance(20) ? 32 : 0);
  },
  loop: smallCount,
  loope: smallCount,
  loopne: smallCount,
  jcxz: smallCount,
  jmp: jumpTarget,
  call: jumpTarget,
  ret(d, { bytes }) {
    view(d.stack).setUint32(MIDDLE, TAKEN_AT, true);
    view(d.stack).setUint32(MIDDLE + 4, 0, true);
    if (bytes.length > 2) bytes[bytes.length - 1] = 0;
  },
  pop: stackBase,
  push: stackBase,
};

function easyDividend(d: Draft): void {
  const { regs, random } = d;
  if (random.chance(60)) regs[RDX] = narrow(d.group, RDX, random.pick([0n, 0n, -1n, 1n]));
  regs[RDX] = BigInt.asUintN(d.group.mode, regs[RDX] as bigint);
  if (random.chance(50)) regs[RAX] = BigInt(random.below(0x400));
}

/** A bit offset in a register must stay within the window. */
function nearBit(d: Draft, { reg }: Code): void {
  if (!d.group.memory || !d.group.form.args.includes('G')) return;
  d.regs[reg] = BigInt.asUintN(d.group.mode, BigInt(d.random.below(1400) - 700));
}

function equalAccumulator(d: Draft, { rm }: Code): void {
  if (!d.random.chance(50)) return;
  if (!d.group.memory) {
    d.regs[RAX] = d.regs[rm] as bigint;
    return;
  }
  const at = Number(d.regs[RSI]) - DATA_AT;
  const name = d.group.insn.name;
  const bits = name === 'cmpxchg8b' ? 32 : d.group.mode;
  const read = (offset: number) => {
    const value = view(d.data).getBigUint64(at + offset, true);
    return BigInt.asUintN(bits, value);
  };
  d.regs[RAX] = read(0);
  if (name !== 'cmpxchg') d.regs[RDX] = read(bits / 8);
}

function stringPointers(d: Draft): void {
  const place = () => BigInt(DATA_AT + MIDDLE - 24 + d.random.below(48));
  d.regs[RSI] = place();
  d.regs[RDI] = place();
  if (d.group.rep) d.regs[RCX] = BigInt(d.random.below(9));
  if (!/scas|cmps/.test(d.group.insn.name) || !d.random.chance(60)) return;
  // Long equal runs, so that a comparison goes on for a while.
  d.data.fill(d.random.below(256), MIDDLE - 40, MIDDLE + 40 + d.random.below(80));
  const same = BigInt(d.data[MIDDLE] as number) * 0x0101010101010101n;
  if (d.random.chance(50)) d.regs[RAX] = narrow(d.group, RAX, same);
}

function smallCount(d: Draft): void {
  if (d.random.chance(70)) d.regs[RCX] = BigInt(d.random.below(3));
}

function jumpTarget(d: Draft, { rm }: Code): void {
  if (!d.group.form.args.includes('E')) return;
  if (!d.group.memory) {
    d.regs[rm] = BigInt(TAKEN_AT);
    return;
  }
  const at = Number(d.regs[RSI] as bigint) - DATA_AT;
  view(d.data).setBigUint64(at, BigInt(TAKEN_AT), true);
}

/** Half of the memory operands of push and pop are relative to rSP: [rsp + 8]. */
function stackBase(d: Draft, { bytes }: Code): void {
  if (!d.group.memory || d.random.chance(50)) return;
  const modrm = bytes.length - 1;
  bytes[modrm] = ((bytes[modrm] as number) & 0x38) | 0x44;
  bytes.push(0x24, 8);
}

function bytes(random: Random): Uint8Array {
  const out = new Uint8Array(WINDOW);
  for (let n = 0; n < WINDOW; n += 8) view(out).setBigUint64(n, random.integer(), true);
  return out;
}

function view(of: Uint8Array): DataView {
  return new DataView(of.buffer, of.byteOffset, of.byteLength);
}

/** FNV-1a. */
function seedOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let n = 0; n < text.length; n++) {
    hash = Math.imul(hash ^ text.charCodeAt(n), 0x01000193) >>> 0;
  }
  return hash;
}
