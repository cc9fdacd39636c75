// The decoder: code bytes to a table entry with its registers, address and immediates.

import type { Decoded, DecodeFailure } from './decoded.ts';
import type { CompiledForm } from './isa/compile.ts';
import { type Shape, type Slot, shapeOf } from './shape.ts';
import { type OpcodeEntry, tables } from './table.ts';

/** Longer instructions raise #GP(0). SDM 2A 2.3.11. */
const MAX_BYTES = 15;

const UNDEFINED: DecodeFailure = { failure: 'undefined' };
const TOO_LONG: DecodeFailure = { failure: 'too-long' };
const TRUNCATED: DecodeFailure = { failure: 'truncated' };

const OPERAND_SIZE = 1;
const ADDRESS_SIZE = 2;
const LOCK = 3;
const REPNE = 4;
const REP = 5;
const SEGMENT = 6; // + segment number
const REX = 12;
const PREFIX = prefixClasses();

/** One shared array for each combination of up to two register numbers (0..19). */
const NO_REGS: readonly number[] = [];
const ONE_REG = Array.from({ length: 20 }, (_, a) => [a]);
const TWO_REGS = Array.from({ length: 400 }, (_, n) => [Math.floor(n / 20), n % 20]);
const NO_IMM: readonly [number, number] = [0, 0];
const ALL_ONES: readonly [number, number] = [-1, 0];

/** The instruction being decoded; nothing of it survives the call. */
const s = {
  bytes: new Uint8Array(0) as Uint8Array,
  at: 0,
  /** First byte that may not be read. */
  limit: 0,
  pos: 0,
  mode: 64,
  has66: false,
  has67: false,
  lock: false,
  /** 0 none, 1 F2, 2 F3: the last one counts. */
  rep: 0,
  segment: -1,
  rex: 0,
  opcode: 0,
  modrm: 0,
  base: -1,
  index: -1,
  scale: 0,
  ripRelative: false,
  disp: 0,
  otherStack: false,
  limited: false,
};

/** Decodes one instruction of code mode `mode` from `bytes[at]`, reading below `end` only. `otherStack`: SS.B is not CS.D; `limited`: CS ends below 4 GiB. */
export function decode(
  bytes: Uint8Array,
  at: number,
  end: number,
  mode: 16 | 32 | 64,
  otherStack = false,
  limited = false,
): Decoded | DecodeFailure {
  s.otherStack = otherStack;
  s.limited = limited;
  s.bytes = bytes;
  s.at = at;
  s.pos = at;
  s.limit = Math.min(end, at + MAX_BYTES, bytes.length);
  s.mode = mode;
  const map = readPrefixesAndMap();
  if (map < 0) return outOfBytes();
  const entry = (mode === 64 ? tables.long : tables.legacy)[(map << 8) | s.opcode];
  if (!entry) return UNDEFINED;
  if (entry.hasModrm) {
    if (s.pos >= s.limit) return outOfBytes();
    s.modrm = bytes[s.pos++] as number;
  }
  const form = select(entry);
  if (!form) return UNDEFINED;
  return finish(form, mode);
}

/** Opcode map, or -1 where the bytes ended. */
function readPrefixesAndMap(): number {
  s.has66 = false;
  s.has67 = false;
  s.lock = false;
  s.rep = 0;
  s.segment = -1;
  s.rex = 0;
  s.modrm = 0;
  const { bytes, limit, mode } = s;
  let pos = s.pos;
  let byte = 0;
  for (;;) {
    if (pos >= limit) return -1;
    byte = bytes[pos++] as number;
    const kind = PREFIX[byte] as number;
    if (kind === 0 || (kind === REX && mode !== 64)) break;
    s.rex = 0; // REX counts only right before the opcode. SDM 2A 2.2.1.
    if (kind === REX) s.rex = byte;
    else notePrefix(kind);
  }
  let map = 0;
  if (byte === 0x0f) {
    if (pos >= limit) return -1;
    byte = bytes[pos++] as number;
    map = byte === 0x38 ? 2 : byte === 0x3a ? 3 : 1;
    if (map > 1) {
      if (pos >= limit) return -1;
      byte = bytes[pos++] as number;
    }
  }
  s.pos = pos;
  s.opcode = byte;
  return map;
}

function notePrefix(kind: number): void {
  if (kind === OPERAND_SIZE) s.has66 = true;
  else if (kind === ADDRESS_SIZE) s.has67 = true;
  else if (kind === LOCK) s.lock = true;
  else if (kind === REPNE) s.rep = 1;
  else if (kind === REP) s.rep = 2;
  else if (s.mode !== 64 || kind >= SEGMENT + 4) s.segment = kind - SEGMENT; // 64-bit code: only FS and GS count.
}

function select(entry: OpcodeEntry): CompiledForm | null {
  const modrm = s.modrm;
  const list = entry.hasModrm
    ? entry.lists[((modrm >> 3) & 7) | (modrm >= 0xc0 ? 8 : 0)]
    : entry.lists[0];
  if (!list) return null;
  const state = (s.has66 ? 1 : 0) | (s.rep << 1);
  const w = (s.rex >> 3) & 1;
  for (let n = 0; n < list.length; n++) {
    const f = list[n] as CompiledForm;
    if (((f.allowed >> state) & 1) === 0) continue;
    if (f.rexW >= 0 && f.rexW !== w) continue;
    if (f.exact >= 0 && (modrm < f.exact || modrm >= f.exact + f.exactSpan)) continue;
    // 90 is nop, but with REX.B it is xchg with r8: SDM 2B XCHG.
    if (s.opcode === 0x90 && f.map === 0 && f.span === 1 && (s.rex & 1) !== 0) continue;
    return f;
  }
  return null;
}

function finish(f: CompiledForm, mode: 16 | 32 | 64): Decoded | DecodeFailure {
  const { form } = f;
  const isMem = f.hasModrm && s.modrm < 0xc0 && f.mod !== 'ignored';
  if (s.lock && !(form.lock === true && isMem)) return UNDEFINED;
  const asize = addressSize(mode);
  s.base = -1;
  s.index = -1;
  s.scale = 0;
  s.ripRelative = false;
  s.disp = 0;
  if (isMem && !(asize === 16 ? readAddress16() : readAddress())) return outOfBytes();
  const cc = f.isCc ? s.opcode & 15 : -1;
  const rep = form.rep === undefined || s.rep === 0 ? 0 : form.rep === 'rep' || s.rep === 2 ? 1 : 2;
  const spBase = form.asksSpBase === true && isMem && s.base === 4;
  const shape = shapeOf(
    f,
    operandSize(f, mode),
    asize,
    mode,
    rep,
    s.lock,
    cc,
    isMem,
    spBase,
    s.otherStack,
    s.limited && form.near === true,
  );
  return result(f, shape, isMem);
}

function result(f: CompiledForm, shape: Shape, isMem: boolean): Decoded | DecodeFailure {
  const regs = registers(shape.slots);
  if (!regs) return UNDEFINED;
  let disp = s.disp;
  let dispHi = disp >> 31;
  if (shape.moffs !== 0) {
    if (s.pos + shape.moffs > s.limit) return outOfBytes();
    disp = shape.moffs === 2 ? signed(2) & 0xffff : signed(4);
    dispHi = shape.moffs === 8 ? signed(4) : 0;
  }
  if (s.pos + shape.imm0 + shape.imm1 > s.limit) return outOfBytes();
  let immLo = NO_IMM;
  let immHi = NO_IMM;
  if (shape.imm0 !== 0) {
    const lo = signed(shape.imm0 === 8 ? 4 : shape.imm0);
    const hi = shape.imm0 === 8 ? signed(4) : lo >> 31;
    const second = shape.imm1 === 0 ? 0 : signed(shape.imm1);
    immLo = [lo, second];
    immHi =
      second < 0 || (hi !== 0 && hi !== -1) ? [hi, second >> 31] : hi === 0 ? NO_IMM : ALL_ONES;
  }
  return {
    insn: f.insn,
    form: f.form,
    formId: f.id,
    variant: shape.variant,
    length: s.pos - s.at,
    operands: shape.operands,
    regs,
    segment: s.segment >= 0 ? s.segment : isMem ? defaultSegment() : 3,
    hasMem: isMem || shape.moffs !== 0,
    base: s.base,
    index: s.index,
    scale: s.scale as 0 | 1 | 2 | 3,
    ripRelative: s.ripRelative,
    disp,
    dispHi,
    immLo,
    immHi,
    key: shape.key,
  };
}

function outOfBytes(): DecodeFailure {
  return s.limit === s.at + MAX_BYTES ? TOO_LONG : TRUNCATED;
}

function addressSize(mode: 16 | 32 | 64): 16 | 32 | 64 {
  if (!s.has67) return mode;
  return mode === 32 ? 16 : 32;
}

function operandSize(f: CompiledForm, mode: 16 | 32 | 64): 16 | 32 | 64 {
  const has66 = s.has66 && !f.ignores66;
  if (mode !== 64) return (mode === 32) === has66 ? 16 : 32;
  const { size64 } = f.form;
  if ((s.rex & 8) !== 0 || size64 === 'f64') return 64;
  if (has66) return 16;
  return size64 === 'd64' ? 64 : 32;
}

/** ModRM and SIB of 32- and 64-bit addresses. SDM 2A 2.1.5, 2.2.1.2, 2.2.1.6. */
function readAddress(): boolean {
  const { bytes, modrm, rex } = s;
  const mod = modrm >> 6;
  let rm = modrm & 7;
  if (rm === 4) {
    if (s.pos >= s.limit) return false;
    const sib = bytes[s.pos++] as number;
    const index = ((sib >> 3) & 7) | ((rex & 2) << 2);
    if (index !== 4) {
      s.index = index;
      s.scale = sib >> 6;
    }
    rm = sib & 7;
    if (rm === 5 && mod === 0) return readDisplacement(4);
  } else if (rm === 5 && mod === 0) {
    s.ripRelative = s.mode === 64;
    return readDisplacement(4);
  }
  s.base = rm | ((rex & 1) << 3);
  return mod === 0 || readDisplacement(mod === 1 ? 1 : 4);
}

const BASE16 = [3, 3, 5, 5, 6, 7, 5, 3];
const INDEX16 = [6, 7, 6, 7, -1, -1, -1, -1];

/** ModRM of 16-bit addresses. SDM 2A, table 2-1. */
function readAddress16(): boolean {
  const mod = s.modrm >> 6;
  const rm = s.modrm & 7;
  if (mod === 0 && rm === 6) return readDisplacement(2);
  s.base = BASE16[rm] as number;
  s.index = INDEX16[rm] as number;
  return mod === 0 || readDisplacement(mod);
}

function readDisplacement(bytes: number): boolean {
  if (s.pos + bytes > s.limit) return false;
  s.disp = signed(bytes);
  return true;
}

/** Reads 1, 2 or 4 bytes that are known to be there. */
function signed(bytes: number): number {
  const b = s.bytes;
  const p = s.pos;
  s.pos = p + bytes;
  if (bytes === 1) return ((b[p] as number) << 24) >> 24;
  const low = (b[p] as number) | ((b[p + 1] as number) << 8);
  if (bytes === 2) return (low << 16) >> 16;
  return low | ((b[p + 2] as number) << 16) | ((b[p + 3] as number) << 24);
}

/** SS where the base is rSP or rBP (not r12, r13), else DS. SDM 1 3.7.4. */
function defaultSegment(): number {
  return s.base === 4 || s.base === 5 ? 2 : 3;
}

/** The shared array of register numbers; null where a number names no register. */
function registers(slots: readonly Slot[]): readonly number[] | null {
  if (slots.length === 0) return NO_REGS;
  const first = registerNumber(slots[0] as Slot);
  if (first < 0) return null;
  if (slots.length === 1) return ONE_REG[first] as number[];
  const second = registerNumber(slots[1] as Slot);
  return second < 0 ? null : (TWO_REGS[first * 20 + second] as number[]);
}

function registerNumber({ from, numbering }: Slot): number {
  const low = from === 'reg' ? (s.modrm >> 3) & 7 : (from === 'rm' ? s.modrm : s.opcode) & 7;
  const n = low | (from === 'reg' ? (s.rex & 4) << 1 : (s.rex & 1) << 3);
  switch (numbering) {
    case 'whole':
      return n;
    case 'byte':
      return s.rex === 0 && n >= 4 ? n + 12 : n;
    case 'low':
      return low;
    case 'seg':
      return low < 6 ? low : -1;
    case 'segTarget': // CS cannot be loaded. SDM 2B MOV.
      return low < 6 && low !== 1 ? low : -1;
    case 'cr':
      return n === 0 || n === 2 || n === 3 || n === 4 || n === 8 ? n : -1;
    case 'dr':
      return n < 8 ? n : -1;
  }
}

function prefixClasses(): Uint8Array {
  const classes = new Uint8Array(256);
  classes[0x66] = OPERAND_SIZE;
  classes[0x67] = ADDRESS_SIZE;
  classes[0xf0] = LOCK;
  classes[0xf2] = REPNE;
  classes[0xf3] = REP;
  [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65].forEach((byte, n) => {
    classes[byte] = SEGMENT + n;
  });
  classes.fill(REX, 0x40, 0x50);
  return classes;
}
