// One form with given operands to bytes: the decoder's work, backwards.

import { defaultOsize, mnemonic, showsOsize, visibleArgs } from '../disasm.ts';
import { type Arg, bitsOf, type CompiledForm } from '../isa/compile.ts';
import type { Register } from '../registers.ts';
import { codedBytes } from '../shape.ts';
import { addressSizeOf, type EncodedAddress, encodeAddress, little } from './address.ts';
import type { AsmOperand, ImmOperand, Label, MemOperand } from './operands.ts';

type Size = 16 | 32 | 64;

/** What the programmer asked for. 0 (osize, asize) and -1 (segment) leave it open. */
export interface Request {
  readonly mode: Size;
  readonly name: string;
  readonly operands: readonly AsmOperand[];
  readonly lock: boolean;
  readonly rep: 0 | 1 | 2;
  readonly osize: 0 | Size;
  readonly asize: 0 | Size;
  readonly segment: number;
  /** Address of the first byte. */
  readonly at: bigint;
}

/** Bytes that depend on a label not yet bound: at an offset in the instruction, counted from its end or absolute. */
export interface Fixup {
  readonly at: number;
  readonly bytes: number;
  readonly relative: boolean;
  readonly signed: boolean;
  readonly label: Label;
  readonly addend: bigint;
}

export interface Encoding {
  readonly bytes: readonly number[];
  readonly fixups: readonly Fixup[];
  readonly form: CompiledForm;
  /** Bits of the memory operand. */
  readonly memSize: number;
  /** An 8-bit jump to a label not yet bound. */
  readonly forwardShort: boolean;
}

/** Register numbers and values by their place in the code. */
interface Parts {
  reg: number;
  rm: number;
  opcode: number;
  mem: MemOperand | null;
  memSize: number;
  moffs: MemOperand | null;
  imms: { arg: Arg & { from: 'imm' }; operand: ImmOperand }[];
  needsRex: boolean;
  refusesRex: boolean;
}

/** Every way to encode the request with this form. */
export function encodings(f: CompiledForm, cc: number, r: Request): Encoding[] {
  if ((f.form.only === '64' && r.mode !== 64) || (f.form.only === 'no64' && r.mode === 64))
    return [];
  if (r.rep !== 0 && f.form.rep === undefined) return [];
  if (r.rep === 2 && f.form.rep !== 'repcc') return [];
  const made: Encoding[] = [];
  for (const osize of osizes(f, r)) {
    for (const asize of asizes(f, r)) {
      if (mnemonic(f, { osize, asize, cc }) !== r.name) continue;
      const encoding = encodeForm(f, cc, r, osize, asize);
      if (encoding) made.push(encoding);
    }
  }
  return made;
}

function osizes(f: CompiledForm, r: Request): Size[] {
  const all: Size[] = r.mode === 64 ? [16, 32, 64] : [16, 32];
  const usual = defaultOsize(f, r.mode);
  if (r.osize !== 0) return [r.osize];
  const shown = showsOsize(
    f,
    r.operands.some((o) => o.kind === 'mem'),
  );
  return shown ? all : [usual];
}

function asizes(f: CompiledForm, r: Request): Size[] {
  const all: Size[] = r.mode === 64 ? [64, 32] : r.mode === 32 ? [32, 16] : [16, 32];
  const m = r.operands.find((o) => o.kind === 'mem');
  const asked = (m?.kind === 'mem' && addressSizeOf(m)) || r.asize;
  if (asked !== 0) return all.filter((size) => size === asked);
  return f.nameBy === 'asize' ? all : [r.mode];
}

function encodeForm(
  f: CompiledForm,
  cc: number,
  r: Request,
  osize: Size,
  asize: Size,
): Encoding | null {
  const operandPrefix = osizePrefix(f, r.mode, osize);
  if (!operandPrefix) return null;
  const parts = matchAll(f, r, osize);
  if (!parts || (r.lock && !(f.form.lock && parts.mem))) return null;
  const address = parts.mem ? encodeAddress(parts.mem, asize, r.mode) : null;
  if (parts.mem && !address) return null;
  const segment = segmentPrefix(parts, r);
  const rex = rexByte(f, parts, address, operandPrefix.w, r.mode);
  if (!segment || rex === null) return null;
  const bytes: number[] = [...segment];
  if (asize !== r.mode) bytes.push(0x67);
  if (r.lock) bytes.push(0xf0);
  if (r.rep !== 0) bytes.push(r.rep === 1 ? 0xf3 : 0xf2);
  if (operandPrefix.p66) bytes.push(0x66);
  bytes.push(
    ...f.mandatory,
    ...rex,
    ...escapeBytes(f.map),
    f.opcode + (cc >= 0 ? cc : parts.opcode & 7),
  );
  return withTail(f, r, osize, asize, parts, address, bytes);
}

/** ModRM, address and immediates, and what of them waits for labels. */
function withTail(
  f: CompiledForm,
  r: Request,
  osize: Size,
  asize: Size,
  parts: Parts,
  address: EncodedAddress | null,
  bytes: number[],
): Encoding | null {
  const fixups: Fixup[] = [];
  if (f.hasModrm) pushModrm(f, r, asize, parts, address, bytes, fixups);
  if (parts.moffs && !pushMoffs(parts.moffs, asize, bytes, fixups)) return null;
  const immBytes = parts.imms.reduce((sum, i) => sum + codedBytes(i.arg.coded, osize), 0);
  const next = r.at + BigInt(bytes.length + immBytes);
  let forwardShort = false;
  for (const { arg, operand } of parts.imms) {
    const width = codedBytes(arg.coded, osize);
    if (operand.short && width !== 1) return null;
    if (operand.label?.address === null) {
      if (width === 1 && !arg.relative) return null;
      forwardShort = width === 1 && !operand.short;
      pushPending(operand.label, operand.value, arg.relative, osize, width, bytes, fixups);
      continue;
    }
    const value = operand.value + (operand.label?.address ?? 0n);
    const fitted = arg.relative
      ? fitRelative(value - next, width, osize, r.mode)
      : fitImmediate(value, arg, width, osize);
    if (fitted === null) return null;
    bytes.push(...little(fitted, width));
  }
  return bytes.length > 15
    ? null
    : { bytes, fixups, form: f, memSize: parts.memSize, forwardShort };
}

function pushModrm(
  f: CompiledForm,
  r: Request,
  asize: Size,
  { rm, reg, mem }: Parts,
  address: EncodedAddress | null,
  bytes: number[],
  fixups: Fixup[],
): void {
  if (f.exact >= 0) {
    bytes.push(f.exact + (f.exactSpan === 8 ? rm & 7 : 0));
    return;
  }
  const start = bytes.length;
  const [modrm = 0, ...rest] = address ? address.bytes : [0xc0 | (rm & 7)];
  bytes.push(modrm | ((f.digit >= 0 ? f.digit : reg & 7) << 3), ...rest);
  if (!mem?.label || !address) return;
  fixups.push({
    at: start + address.dispAt,
    bytes: asize === 16 ? 2 : 4,
    relative: r.mode === 64 && !mem.base && !mem.index,
    signed: r.mode === 64,
    label: mem.label,
    addend: mem.disp,
  });
}

function pushPending(
  label: Label,
  addend: bigint,
  relative: boolean,
  osize: Size,
  width: number,
  bytes: number[],
  fixups: Fixup[],
): void {
  const signed = relative || osize === 64;
  fixups.push({ at: bytes.length, bytes: width, relative, signed, label, addend });
  bytes.push(...little(0n, width));
}

function pushMoffs(m: MemOperand, asize: Size, bytes: number[], fixups: Fixup[]): boolean {
  if (m.disp < 0n || m.disp >= 1n << BigInt(asize)) return false;
  const width = asize / 8;
  if (m.label)
    fixups.push({
      at: bytes.length,
      bytes: width,
      relative: false,
      signed: false,
      label: m.label,
      addend: m.disp,
    });
  bytes.push(...little(m.label ? 0n : m.disp, width));
  return true;
}

/** What makes the operand size: 66, REX.W, neither; null: the form cannot have it in this mode. */
function osizePrefix(f: CompiledForm, mode: Size, osize: Size): { p66: boolean; w: number } | null {
  const forcedW = f.rexW === 1 ? 1 : 0;
  if (mode !== 64) {
    if (osize === 64 || forcedW) return null;
    if (osize === mode) return { p66: false, w: 0 };
    return f.ignores66 ? null : { p66: true, w: 0 };
  }
  const { size64 } = f.form;
  if (osize === 64)
    return size64 || forcedW
      ? { p66: false, w: forcedW }
      : f.rexW === 0
        ? null
        : { p66: false, w: 1 };
  if (forcedW || size64 === 'f64') return null;
  if (osize === 32) return size64 ? null : { p66: false, w: 0 };
  return f.ignores66 ? null : { p66: true, w: 0 };
}

function matchAll(f: CompiledForm, r: Request, osize: Size): Parts | null {
  const args = visibleArgs(f);
  if (args.length !== r.operands.length) return null;
  const parts: Parts = {
    reg: 0,
    rm: 0,
    opcode: 0,
    mem: null,
    memSize: 0,
    moffs: null,
    imms: [],
    needsRex: false,
    refusesRex: false,
  };
  for (let n = 0; n < args.length; n++) {
    const arg = args[n]?.arg as Arg;
    if (!matchOne(parts, arg, r.operands[n] as AsmOperand, osize, r.mode, n)) return null;
  }
  return parts;
}

function matchOne(
  parts: Parts,
  arg: Arg,
  o: AsmOperand,
  osize: Size,
  mode: Size,
  position: number,
): boolean {
  const bits = (code: string) => bitsOf(code, osize, mode);
  switch (arg.from) {
    case 'rm':
      if (o.kind === 'mem') return arg.allows !== 'reg' && takeMemory(parts, o, bits(arg.memSize));
      parts.rm = arg.allows === 'mem' ? -1 : registerNumber(parts, o, arg.file, bits(arg.regSize));
      return parts.rm >= 0;
    case 'sti':
      parts.rm = registerNumber(parts, o, 'st', 80);
      return parts.rm >= 0;
    case 'reg':
      parts.reg = registerNumber(parts, o, arg.file, bits(arg.regSize));
      return parts.reg >= 0 && !(arg.file === 'seg' && position === 0 && parts.reg === 1);
    case 'opcode':
      parts.opcode = registerNumber(parts, o, arg.file, bits(arg.regSize));
      return parts.opcode >= 0;
    case 'fixed':
      return (
        o.kind === 'reg' &&
        o.file === arg.file &&
        o.number === arg.n &&
        o.size === bits(arg.regSize)
      );
    case 'one':
      return o.kind === 'imm' && o.value === 1n && o.label === null;
    case 'imm':
      if (o.kind !== 'imm') return false;
      parts.imms.push({ arg, operand: o });
      return true;
    case 'moffs':
      if (o.kind !== 'mem' || o.base || o.index || o.rip !== 0) return false;
      parts.moffs = o;
      return o.size === 0 || o.size === bits(arg.memSize);
    case 'string':
      return false;
  }
}

function takeMemory(parts: Parts, o: MemOperand, size: number): boolean {
  if (o.size !== 0 && size !== 0 && o.size !== size) return false;
  parts.mem = o;
  parts.memSize = size;
  return true;
}

/** The number as the code has it, or -1: not such a register. */
function registerNumber(parts: Parts, o: AsmOperand, file: Register['file'], size: number): number {
  if (o.kind !== 'reg' || o.file !== file || (o.size !== -1 && o.size !== size)) return -1;
  if (file !== 'gpr' || size !== 8) return o.number;
  if (o.number >= 16) {
    parts.refusesRex = true;
    return o.number - 12;
  }
  if (o.number >= 4) parts.needsRex = true;
  return o.number;
}

function rexByte(
  f: CompiledForm,
  parts: Parts,
  address: EncodedAddress | null,
  w: number,
  mode: Size,
): number[] | null {
  const r = f.digit < 0 ? parts.reg >> 3 : 0;
  const b = address ? address.rexB : (parts.rm | parts.opcode) >> 3;
  const x = address ? address.rexX : 0;
  const bits = (w << 3) | (r << 2) | (x << 1) | b;
  if (bits === 0 && !parts.needsRex) return [];
  return mode !== 64 || parts.refusesRex ? null : [0x40 | bits];
}

const SEGMENT_PREFIX = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];

function segmentPrefix(parts: Parts, r: Request): number[] | null {
  const m = parts.mem ?? parts.moffs;
  const wanted = m && m.segment >= 0 ? m.segment : r.segment;
  const base = parts.mem?.base?.number;
  const usual = base === 4 || base === 5 ? 2 : 3;
  if (wanted < 0 || wanted === usual) return [];
  return r.mode === 64 && wanted < 4 ? null : [SEGMENT_PREFIX[wanted] as number];
}

function escapeBytes(map: number): number[] {
  return map === 0 ? [] : map === 1 ? [0x0f] : [0x0f, map === 2 ? 0x38 : 0x3a];
}

/** A displacement wraps at the size of the instruction pointer. */
export function fitRelative(
  distance: bigint,
  bytes: number,
  osize: number,
  mode: number,
): bigint | null {
  const d = BigInt.asIntN(mode === 64 && osize !== 16 ? 64 : osize, distance);
  return BigInt.asIntN(bytes * 8, d) === d ? d : null;
}

function fitImmediate(
  value: bigint,
  arg: Arg & { from: 'imm' },
  bytes: number,
  osize: number,
): bigint | null {
  const bits = bytes * 8;
  const size = arg.extended ? Math.max(osize, bits) : bits;
  if (value < -(1n << BigInt(size - 1)) || value >= 1n << BigInt(size)) return null;
  if (size === bits) return value;
  const wide = BigInt.asIntN(size, value);
  return BigInt.asIntN(bits, wide) === wide ? wide : null;
}
