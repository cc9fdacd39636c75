// Decodes blocks in WebAssembly, as far as decode-tables.ts knows their instructions: the same records as decode.ts and records.ts make.

import { FIELDS, GPR_AT, SEG_AT, SEG_STRIDE, ZERO_AT } from '../state.ts';
import { Code, ModuleBuilder } from '../wasm/encode.ts';
import * as T from './decode-tables.ts';
import {
  R_BASE,
  R_CHAIN,
  R_CHAINABLE,
  R_DISP,
  R_FALL_CHAIN,
  R_HANDLER,
  R_IMM,
  R_INDEX,
  R_LENGTH,
  R_NEXT,
  R_OSIZE,
  R_REG,
  R_SCALE,
  R_SEGMENT,
  R_TARGET,
  RECORD_BYTES,
  SEG_CS,
  SEG_FS,
} from './records.ts';

/** Why it stopped. The block is complete: as many chains has its end. */
export const ENDS_JUMP = 0;
export const ENDS_FALL = 1;
export const ENDS_BRANCH = 2;
/** It does not know the opcode, whose class F_KEY names; the template with this key; the instruction otherwise. */
export const ASKS_CLASS = 3;
export const ASKS_TEMPLATE = 4;
export const ASKS = 5;

/** Where it stopped, in the frame, u32 each: record and code not done, producer of the flags, instructions left, key. */
export const F_AT = 0;
export const F_FROM = 4;
export const F_KNOWN = 8;
export const F_LEFT = 12;
export const F_KEY = 16;
/** Of the cache: where the next block goes, the last such place that has room for one; blocks that quick-find.ts has decoded. */
export const F_POOL = 20;
export const F_POOL_LAST = 24;
export const F_DECODED = 28;

const MAX_INSN = 15;
/** Bytes behind an instruction's beginning that may be read before it is seen to be too long. */
export const READ_AHEAD = 64;
const SS = 2;
const DS = 3;
const RSP = 4;
const RBP = 5;

/**
 * `(at, from, page, end, mode, flat, known, left) -> why it stopped`, with addresses in linear memory: the first record, the
 * code, its page, the first byte that may not be read. `mode`: that part of the key; `known`: producer of the flags.
 */
export type QuickDecode = (
  at: number,
  from: number,
  page: number,
  end: number,
  mode: number,
  flat: number,
  known: number,
  left: number,
) => number;

/** Of `decodeModule`, for tables at this address. */
export function quickDecode(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  tables: number,
): QuickDecode {
  const { exports } = new WebAssembly.Instance(module, { e: { memory, tables } });
  return exports.decode as QuickDecode;
}

export function decodeModule(): Uint8Array {
  const m = new ModuleBuilder();
  m.importMemory('e', 'memory', 1);
  const tables = m.importGlobal('e', 'tables', 'i32');
  const signed = m.addFunction(m.type(['i32', 'i32'], ['i64']), signedFunction().body());
  const registerType = m.type(['i32', 'i32', 'i32', 'i32'], ['i32']);
  const register = m.addFunction(registerType, registerFunction().body());
  const type = m.type(
    Array.from({ length: 8 }, () => 'i32' as const),
    ['i32'],
  );
  m.addFunction(type, new Decoder({ tables, signed, register }).emit().body(), 'decode');
  return m.encode();
}

/** `(address, bytes) -> the signed number there`. */
function signedFunction(): Code {
  const c = new Code(2);
  for (const [bytes, load] of [
    [1, 'i64.load8_s'],
    [4, 'i64.load32_s'],
    [2, 'i64.load16_s'],
  ] as const) {
    c.get(1).i32(bytes).op('i32.eq').iff();
    c.get(0).mem(load, 0).op('return').end();
  }
  c.get(0).mem('i64.load', 0);
  return c;
}

/** `(slot of a template, REX, ModRM, opcode) -> state offset of the register`, as decode.ts `registerNumber` and records.ts say. */
function registerFunction(): Code {
  const c = new Code(4);
  const [slot, rex, modrm, opcode] = [0, 1, 2, 3];
  const n = c.take('i32');
  const field = () => c.get(slot).i32(T.SLOT_FIELD).op('i32.and');
  const base = () => c.get(slot).i32(T.SLOT_BASE_SHIFT).op('i32.shr_u');
  field().op('i32.eqz').iff();
  c.i32(0).op('return').end();
  field().i32(T.SLOT_REG).op('i32.eq').iff();
  c.get(modrm).i32(3).op('i32.shr_u').i32(7).op('i32.and');
  c.get(rex).i32(4).op('i32.and').i32(1).op('i32.shl').op('i32.or').set(n);
  c.else();
  c.get(modrm).get(opcode);
  field().i32(T.SLOT_RM).op('i32.eq').op('select').i32(7).op('i32.and');
  c.get(rex).i32(1).op('i32.and').i32(3).op('i32.shl').op('i32.or').set(n);
  c.end();
  c.get(slot).i32(T.SLOT_LOW).op('i32.and').iff();
  c.get(n).i32(7).op('i32.and').set(n).end();
  // Without REX, 4..7 are AH CH DH BH.
  c.get(slot).i32(T.SLOT_BYTE).op('i32.and').op('i32.eqz').op('i32.eqz');
  c.get(rex).op('i32.eqz').op('i32.and').get(n).i32(4).op('i32.ge_u').op('i32.and').iff();
  base().get(n).i32(4).op('i32.sub').i32(3).op('i32.shl').op('i32.add');
  c.i32(1).op('i32.add').op('return').end();
  base().get(n).get(slot).i32(T.SLOT_STRIDE_SHIFT).op('i32.shr_u').i32(T.SLOT_STRIDE);
  c.op('i32.and').op('i32.shl').op('i32.add');
  return c;
}

class Decoder {
  private readonly c = new Code(8);
  private readonly at = 0;
  private readonly from = 1;
  private readonly page = 2;
  private readonly end = 3;
  private readonly mode = 4;
  private readonly flat = 5;
  private readonly known = 6;
  private readonly left = 7;
  private readonly tables = this.c.take('i32');
  private readonly pos = this.c.take('i32');
  private readonly key = this.c.take('i32');
  private readonly opcode = this.c.take('i32');
  private readonly modrm = this.c.take('i32');
  private readonly rex = this.c.take('i32');
  /** Number of the segment, -1: no prefix. */
  private readonly segment = this.c.take('i32');
  private readonly template = this.c.take('i32');
  private readonly bits = this.c.take('i32');
  /** Number of the base register; or -1. */
  private readonly base = this.c.take('i32');
  private readonly baseAt = this.c.take('i32');
  private readonly indexAt = this.c.take('i32');
  private readonly scale = this.c.take('i32');
  private readonly disp = this.c.take('i32');
  private readonly second = this.c.take('i32');
  private readonly next = this.c.take('i32');
  private readonly why = this.c.take('i32');
  private readonly t = this.c.take('i32');
  private readonly u = this.c.take('i32');
  private readonly imm = this.c.take('i64');
  private readonly functions: { tables: number; signed: number; register: number };
  private leave = 0;

  constructor(functions: { tables: number; signed: number; register: number }) {
    this.functions = functions;
  }

  emit(): Code {
    const { c } = this;
    c.op('global.get', this.functions.tables).set(this.tables);
    this.leave = c.block();
    const again = c.loop();
    this.emitBegin();
    this.emitPrefixes();
    this.emitOpcode();
    this.emitTemplate();
    this.emitAddress();
    this.emitImmediates();
    c.get(this.pos).get(this.end).op('i32.gt_u');
    c.get(this.pos).get(this.from).op('i32.sub').i32(MAX_INSN).op('i32.gt_u').op('i32.or');
    c.brIf(this.leave);
    c.get(this.pos).get(this.page).op('i32.sub').set(this.next);
    this.emitHandler();
    this.emitRecord();
    this.emitNext(again);
    c.end().end();
    for (const [at, local] of [
      [F_AT, this.at],
      [F_FROM, this.from],
      [F_KNOWN, this.known],
      [F_LEFT, this.left],
      [F_KEY, this.key],
    ] as const)
      c.get(this.tables)
        .get(local)
        .mem('i32.store', T.FRAME + at);
    return c.get(this.why);
  }

  /** Leaves where the block ends before this instruction, and where the address may be in `alone`. */
  private emitBegin(): void {
    const { c } = this;
    c.i32(ENDS_FALL).set(this.why);
    c.get(this.left).op('i32.eqz').brIf(this.leave);
    c.get(this.from).get(this.end).op('i32.ge_u').brIf(this.leave);
    c.i32(ASKS).set(this.why);
    c.get(this.from).get(this.from).i32(16).op('i32.shr_u').op('i32.xor');
    c.i32(T.ALONE_MASK).op('i32.and').tee(this.t).i32(3).op('i32.shr_u').get(this.tables);
    c.op('i32.add').mem('i32.load8_u', T.ALONE);
    c.get(this.t).i32(7).op('i32.and').op('i32.shr_u').i32(1).op('i32.and').brIf(this.leave);
  }

  private emitPrefixes(): void {
    const { c, t } = this;
    c.get(this.from).set(this.pos).get(this.mode).set(this.key);
    c.i32(0).set(this.rex).i32(-1).set(this.segment);
    const opcode = c.block();
    const prefix = c.loop();
    this.fetch(this.opcode);
    c.get(this.opcode).i32(2).op('i32.shl').get(this.tables).op('i32.add');
    c.mem('i32.load', T.PREFIXES).tee(t).op('i32.eqz').brIf(opcode);
    c.get(t).i32(T.PREFIX_REX).op('i32.and').iff();
    this.in64().op('i32.eqz').brIf(opcode);
    c.get(this.opcode).set(this.rex);
    c.else();
    c.i32(0).set(this.rex); // REX counts only right before the opcode. SDM 2A 2.2.1.
    const reps = T.KEY_F2 | T.KEY_F3;
    c.get(t).i32(reps).op('i32.and').iff(); // The last one counts.
    c.get(this.key).i32(~reps).op('i32.and').set(this.key).end();
    c.get(this.key).get(t).i32(~T.PREFIX_SEGMENT).op('i32.and').op('i32.or').set(this.key);
    // 64-bit code: only FS and GS count.
    c.get(t).i32(T.PREFIX_SEGMENT).op('i32.and').tee(t);
    c.i32(SEG_FS).i32(0);
    this.in64().op('select').op('i32.gt_u').iff();
    c.get(t).i32(1).op('i32.sub').set(this.segment).end();
    c.end();
    c.get(this.pos).get(this.from).op('i32.sub').i32(MAX_INSN).op('i32.lt_u').brIf(prefix);
    c.br(this.leave);
    c.end().end();
  }

  /** Map, opcode and ModRM, into the key as far as the opcode's class says. */
  private emitOpcode(): void {
    const { c, t, u } = this;
    c.get(this.opcode).i32(0x0f).op('i32.eq').iff();
    this.fetch(this.opcode);
    c.i32(1).set(t);
    for (const [byte, map] of [
      [0x38, 2],
      [0x3a, 3],
    ] as const) {
      c.get(this.opcode).i32(byte).op('i32.eq').iff();
      c.i32(map).set(t).end();
    }
    c.get(t).i32(1).op('i32.gt_u').iff();
    this.fetch(this.opcode);
    c.end();
    c.get(this.opcode).get(t).i32(8).op('i32.shl').op('i32.or').set(this.opcode);
    c.end();
    // 90 with REX.B is xchg with r8: SDM 2B XCHG.
    c.get(this.opcode).i32(0x90).op('i32.eq').get(this.rex).op('i32.and').brIf(this.leave);
    c.get(this.opcode).i32(0).i32(T.OPCODES);
    this.in64().op('select').op('i32.add').tee(t);
    c.get(this.tables).op('i32.add').mem('i32.load8_u', T.CLASSES).tee(u).op('i32.eqz').iff();
    c.get(t).set(this.key).i32(ASKS_CLASS).set(this.why).br(this.leave).end();
    this.addToKey(() => c.get(this.opcode));
    this.addToKey(() => c.get(this.rex).i32(8).op('i32.and').i32(19).op('i32.shl'));
    c.get(u).i32(T.CLASS_MODRM).op('i32.and').iff();
    this.fetch(this.modrm);
    c.get(u).i32(T.CLASS_REG).op('i32.and').iff();
    this.addToKey(() => {
      c.get(this.modrm).i32(0x38).op('i32.and');
      c.i32(T.KEY_REG_SHIFT - 3).op('i32.shl');
    });
    c.end();
    c.get(this.modrm).i32(0xc0).op('i32.ge_u').iff();
    this.addToKey(() => c.i32(T.KEY_REGISTER));
    c.get(u).i32(T.CLASS_RM).op('i32.and').iff();
    this.addToKey(() => c.get(this.modrm).i32(7).op('i32.and').i32(T.KEY_RM_SHIFT).op('i32.shl'));
    c.end().end().end();
  }

  private emitTemplate(): void {
    const { c, template } = this;
    c.get(this.key).i32(T.HASH).op('i32.mul').i32(T.TEMPLATE_SHIFT).op('i32.shr_u');
    c.i32(2 * T.TEMPLATE_STRIDE).op('i32.mul');
    c.get(this.tables).op('i32.add').i32(T.TEMPLATES).op('i32.add').tee(template);
    c.mem('i32.load', T.T_KEY).get(this.key).op('i32.ne').iff();
    c.get(template).i32(T.TEMPLATE_STRIDE).op('i32.add').tee(template);
    c.mem('i32.load', T.T_KEY).get(this.key).op('i32.ne').iff();
    c.i32(ASKS_TEMPLATE).set(this.why).br(this.leave);
    c.end().end();
    c.get(template).mem('i32.load16_u', T.T_BITS).set(this.bits);
  }

  /** Operand in memory with 32- or 64-bit addresses, or at an absolute address. SDM 2A 2.1.5, 2.2.1.2, 2.2.1.6. */
  private emitAddress(): void {
    const { c, t, pos, disp } = this;
    c.i32(-1).set(this.base).i32(ZERO_AT).set(this.baseAt).i32(ZERO_AT).set(this.indexAt);
    c.i32(0).set(this.scale).i32(0).set(disp);
    this.has(T.BIT_MEMORY).iff();
    const done = c.block();
    c.get(this.modrm).i32(7).op('i32.and').tee(t).i32(4).op('i32.eq').iff();
    this.emitSib();
    c.end();
    const based = c.block();
    c.get(t).i32(5).op('i32.ne').get(this.modrm).i32(0xc0).op('i32.and').op('i32.or').brIf(based);
    c.get(pos).mem('i32.load', 0).set(disp);
    this.advance(4);
    // Without SIB it counts from the next instruction in 64-bit code.
    c.get(this.modrm).i32(7).op('i32.and').i32(5).op('i32.eq');
    this.in64().i32(0).op('i32.ne').op('i32.and').iff();
    c.i32(FIELDS.ripPage.at).set(this.baseAt).end();
    c.br(done);
    c.end();
    c.get(t).get(this.rex).i32(1).op('i32.and').i32(3).op('i32.shl').op('i32.or').tee(this.base);
    c.i32(3).op('i32.shl').i32(GPR_AT).op('i32.add').set(this.baseAt);
    this.has(T.BIT_ASKS_SP).op('i32.eqz').op('i32.eqz');
    c.get(this.base).i32(RSP).op('i32.eq').op('i32.and').brIf(this.leave);
    c.get(this.modrm).i32(6).op('i32.shr_u').tee(t).op('i32.eqz').brIf(done);
    c.get(t).i32(1).op('i32.eq').iff();
    c.get(pos).mem('i32.load8_s', 0).set(disp);
    this.advance(1);
    c.else();
    c.get(pos).mem('i32.load', 0).set(disp);
    this.advance(4);
    c.end().end();
    c.else();
    c.get(this.template).mem('i32.load8_u', T.T_MOFFS).tee(t).iff();
    c.get(pos).mem('i32.load', 0).get(pos).mem('i32.load16_u', 0);
    c.get(t).i32(4).op('i32.eq').op('select').set(disp);
    c.get(pos).get(t).op('i32.add').set(pos);
    c.end().end();
  }

  /** Leaves the number of the base in `t`, without REX. */
  private emitSib(): void {
    const { c, t, u } = this;
    this.fetch(t);
    c.get(t).i32(3).op('i32.shr_u').i32(7).op('i32.and');
    c.get(this.rex).i32(2).op('i32.and').i32(2).op('i32.shl').op('i32.or').tee(u);
    c.i32(4).op('i32.ne').iff();
    c.get(u).i32(3).op('i32.shl').i32(GPR_AT).op('i32.add').set(this.indexAt);
    c.get(t).i32(6).op('i32.shr_u').set(this.scale);
    c.end();
    c.get(t).i32(7).op('i32.and').set(t);
  }

  private emitImmediates(): void {
    const { c, t, pos } = this;
    const advance = () => c.get(pos).get(t).op('i32.add').set(pos);
    c.i64(0n).set(this.imm).i32(0).set(this.second);
    c.get(this.template).mem('i32.load8_u', T.T_IMM0).tee(t).iff();
    c.get(pos).get(t).call(this.functions.signed).set(this.imm);
    advance();
    c.get(this.template).mem('i32.load8_u', T.T_IMM1).tee(t).iff();
    c.get(pos).get(t).call(this.functions.signed).op('i32.wrap_i64').set(this.second);
    advance();
    c.end().end();
  }

  /** Its number into the record. Which segment, and which shape of address: decode.ts `defaultSegment`, records.ts `shapeOf`. */
  private emitHandler(): void {
    const { c, t, u, segment } = this;
    c.get(segment).i32(0).op('i32.lt_s').iff();
    c.i32(SS).i32(DS);
    c.get(this.base).i32(RSP).op('i32.eq').get(this.base).i32(RBP).op('i32.eq').op('i32.or');
    c.op('select').set(segment).end();
    const shape = (name: keyof typeof T.SHAPES) => c.i32(T.SHAPES[name] << T.KIND_SHAPE);
    this.in64().iff();
    shape('s');
    shape('f');
    c.get(this.indexAt).i32(ZERO_AT).op('i32.eq').get(segment).i32(SEG_FS).op('i32.lt_u');
    c.op('i32.and').get(this.template).mem('i32.load8_u', T.T_ASIZE).i32(64).op('i32.eq');
    c.op('i32.and').op('select').set(t);
    c.else();
    shape('f');
    shape('c');
    c.get(segment).i32(SEG_CS).op('i32.ne').get(segment).i32(SEG_FS).op('i32.lt_u').op('i32.and');
    c.get(this.flat).op('i32.and').op('select').set(t);
    c.end();
    c.get(t).get(this.known).i32(0);
    this.has(T.BIT_READS_FLAGS).op('select').op('i32.or');
    c.get(this.template).mem('i32.load', T.T_FORM).op('i32.or').i32(T.KEY_VALID).op('i32.or');
    c.tee(t).i32(T.HASH).op('i32.mul').i32(T.HANDLER_SHIFT).op('i32.shr_u');
    c.i32(2 * T.HANDLER_BYTES).op('i32.mul');
    c.get(this.tables).op('i32.add').i32(T.HANDLERS).op('i32.add').tee(u);
    c.mem('i32.load', 0).get(t).op('i32.ne').iff();
    c.get(u).i32(T.HANDLER_BYTES).op('i32.add').tee(u);
    c.mem('i32.load', 0).get(t).op('i32.ne').brIf(this.leave);
    c.end();
    c.get(this.at).get(u).mem('i32.load', 4).mem('i32.store16', R_HANDLER);
  }

  private emitRecord(): void {
    const { c, at, t } = this;
    c.get(at).get(this.template).mem('i32.load16_u', T.T_OSIZE).mem('i32.store16', R_OSIZE);
    c.get(at).get(this.next).mem('i32.store', R_NEXT); // Clears what stands beside it.
    c.get(at).get(this.pos).get(this.from).op('i32.sub').mem('i32.store8', R_LENGTH);
    for (const n of [0, 1]) {
      c.get(at)
        .get(this.template)
        .mem('i32.load', T.T_SLOT + n * 4);
      c.get(this.rex).get(this.modrm).get(this.opcode).call(this.functions.register);
      c.mem('i32.store16', R_REG + n * 2);
    }
    c.get(at).get(this.baseAt).mem('i32.store16', R_BASE);
    c.get(at).get(this.indexAt).mem('i32.store16', R_INDEX);
    c.get(at).get(this.scale).mem('i32.store16', R_SCALE);
    c.get(at);
    c.i32(ZERO_AT);
    c.get(this.segment).i32(SEG_STRIDE).op('i32.mul').i32(SEG_AT).op('i32.add');
    this.in64().i32(0).op('i32.ne');
    c.get(this.segment).i32(SEG_FS).op('i32.lt_u').op('i32.and').op('select');
    c.mem('i32.store16', R_SEGMENT);
    this.has(T.BIT_BRANCHES).iff();
    c.get(at).get(this.next).get(this.imm).op('i32.wrap_i64').op('i32.add').tee(t);
    c.mem('i32.store', R_TARGET);
    c.get(at).get(t).i32(4096).op('i32.lt_u');
    c.get(this.next).i32(4096).op('i32.lt_u').i32(1).op('i32.shl').op('i32.or');
    c.mem('i32.store8', R_CHAINABLE);
    c.get(at).i32(0).mem('i32.store', R_FALL_CHAIN);
    c.get(at).i32(0).mem('i32.store', R_CHAIN);
    c.else();
    c.get(at).get(this.disp).get(this.next).i32(0);
    c.get(this.baseAt).i32(FIELDS.ripPage.at).op('i32.eq').op('select').op('i32.add');
    c.get(this.second);
    this.has(T.BIT_MEMORY).get(this.template).mem('i32.load8_u', T.T_MOFFS).op('i32.or');
    c.op('select').mem('i32.store', R_DISP);
    c.get(at).get(this.imm).mem('i64.store', R_IMM);
    c.end();
  }

  private emitNext(again: number): void {
    const { c, t } = this;
    c.get(this.template).mem('i32.load8_u', T.T_LEAVES).tee(t).i32(T.KEPT).op('i32.ne').iff();
    c.get(t).set(this.known).end();
    c.get(this.at).i32(RECORD_BYTES).op('i32.add').set(this.at);
    c.get(this.pos).set(this.from);
    c.get(this.left).i32(1).op('i32.sub').set(this.left);
    this.has(T.BIT_ENDS).op('i32.eqz').brIf(again);
    c.i32(ENDS_BRANCH).i32(ENDS_JUMP);
    this.has(T.BIT_BRANCHES).op('select').set(this.why);
    this.has(T.BIT_FALLS).iff();
    c.i32(ENDS_FALL).set(this.why).end();
    c.br(this.leave);
  }

  private fetch(to: number): void {
    const { c, pos } = this;
    c.get(pos).mem('i32.load8_u', 0).set(to);
    this.advance(1);
  }

  private advance(bytes: number): void {
    this.c.get(this.pos).i32(bytes).op('i32.add').set(this.pos);
  }

  private addToKey(push: () => void): void {
    this.c.get(this.key);
    push();
    this.c.op('i32.or').set(this.key);
  }

  /** Leaves something other than 0 in 64-bit code. */
  private in64(): Code {
    return this.c.get(this.mode).i32(T.KEY_64).op('i32.and');
  }

  private has(bit: number): Code {
    return this.c.get(this.bits).i32(bit).op('i32.and');
  }
}
