// Repeated MOVS and STOS, as many iterations at once as lie in mapped pages, in WebAssembly: slow/bulk.ts says what it means.

import { EFLAGS_DF } from '../control-bits.ts';
import {
  ARG_AT,
  DATA_TLB_ENTRIES,
  DATA_TLB_FOLD,
  DATA_TLB_STRIDE,
  FIELDS,
  GPR_AT,
  MODE_KEY_FLAT,
} from '../state.ts';
import { Code } from '../wasm/encode.ts';
import { R_LENGTH } from './records.ts';

const RAX = 0;
const RCX = 1;
const RSI = 6;
const RDI = 7;
const PAGE_BYTES = 4096;
/** `fn` of ir.ts `bulk`: 0 MOVS, 1 STOS; the others have no quick way, nor has slow/bulk.ts. */
const STOS = 1;
/** Where an entry has the tags. */
export const TLB_READ = 0;
export const TLB_WRITE = 8;
const TLB_ADDEND = 16;

/** `(va, bytes, data TLB) -> address of what may be read (`tag` 0) or written (8) there, or 0`: only what the TLB maps, in one page. */
export function hitFunction(tag: number): Code {
  const c = new Code(3);
  const entry = c.take('i32');
  c.get(0).op('i32.wrap_i64').tee(entry).get(entry).i32(DATA_TLB_FOLD).op('i32.shr_u');
  c.op('i32.xor').i32(7).op('i32.shr_u');
  c.i32((DATA_TLB_ENTRIES - 1) * DATA_TLB_STRIDE).op('i32.and');
  c.get(2).op('i32.add').set(entry);
  c.get(0).get(1).op('i64.extend_i32_u').op('i64.add').i64(1n).op('i64.sub');
  c.i64(-4096n).op('i64.and').get(entry).mem('i64.load', tag).op('i64.ne').iff();
  c.i32(0).op('return').end();
  c.get(0).op('i32.wrap_i64').get(entry).mem('i32.load', TLB_ADDEND).op('i32.add');
  return c;
}

/** `(state) -> 1 all that can be done at once is done, 0 ask slow/bulk.ts`, with the address size of 64-bit code or of flat 32-bit code. `hits`: functions by index. */
export function bulkFunction(hits: { read: number; write: number }): Code {
  const c = new Code(1);
  const st = 0;
  const [fn, bytes, n, room] = [c.take('i32'), c.take('i32'), c.take('i32'), c.take('i32')];
  const [from, to] = [c.take('i32'), c.take('i32')];
  const [source, destination, v] = [c.take('i64'), c.take('i64'), c.take('i64')];
  const field = (name: 'budget' | 'codeMode' | 'dataTlb' | 'eflags' | 'modeKey' | 'rec') =>
    c.get(st).mem('i32.load', FIELDS[name].at);
  const argument = (i: number) => c.get(st).mem('i32.load', ARG_AT + i * 16);
  const leave = (answer: number) => c.iff() && c.i32(answer).op('return').end();
  /** A register as an address or a count: outside 64-bit code it has 32 bits. */
  const narrowed = (local: number) => {
    field('codeMode').i32(64).op('i32.ne').iff();
    c.get(local).i64(0xffffffffn).op('i64.and').set(local).end();
  };
  const atMost = (push: () => void) => {
    push();
    c.set(room).get(n).get(room).get(n).get(room).op('i32.lt_s').op('select').set(n);
  };
  const roomAt = (va: number) => {
    c.i32(PAGE_BYTES)
      .get(va)
      .op('i32.wrap_i64')
      .i32(PAGE_BYTES - 1)
      .op('i32.and')
      .op('i32.sub');
    c.get(bytes).op('i32.div_u');
  };
  const advance = (register: number, push: () => void) => {
    const at = GPR_AT + register * 8;
    c.get(st).mem('i64.load', at);
    push();
    c.op('i64.extend_i32_s').op('i64.add').set(v);
    narrowed(v);
    c.get(st).get(v).mem('i64.store', at);
  };

  argument(0).tee(fn).i32(STOS).op('i32.gt_u');
  leave(1);
  field('eflags').i32(EFLAGS_DF).op('i32.and');
  leave(1);
  argument(1).set(bytes);
  argument(2);
  field('codeMode').op('i32.ne');
  leave(0);
  field('codeMode').i32(64).op('i32.ne').iff();
  emitUnlessFlat32(c, field, bytes);
  c.end();

  c.get(st)
    .mem('i64.load', GPR_AT + RDI * 8)
    .set(destination);
  narrowed(destination);
  c.get(st)
    .mem('i64.load', GPR_AT + RCX * 8)
    .set(v);
  narrowed(v);
  // One less than all, or more than a page holds.
  c.get(v).op('i32.wrap_i64').i32(1).op('i32.sub').i32(PAGE_BYTES);
  c.get(v).i64(BigInt(PAGE_BYTES)).op('i64.le_u').op('select').set(n);
  atMost(() => field('budget'));
  atMost(() => roomAt(destination));
  c.get(fn).op('i32.eqz').iff();
  c.get(st)
    .mem('i64.load', GPR_AT + RSI * 8)
    .get(st)
    .mem('i64.load', ARG_AT + 3 * 16);
  c.op('i64.add').set(source);
  narrowed(source);
  atMost(() => roomAt(source));
  c.end();
  c.get(n).i32(1).op('i32.le_s');
  leave(1);
  c.get(destination).i32(1);
  field('dataTlb').call(hits.write).tee(to).op('i32.eqz');
  leave(1);
  c.get(n).get(bytes).op('i32.mul').set(room);
  c.get(fn).iff();
  // Bytes that are not alike are not for here.
  c.get(st)
    .mem('i64.load', GPR_AT + RAX * 8)
    .tee(v)
    .get(v)
    .i64(0xffn)
    .op('i64.and');
  c.i64(0x0101010101010101n).op('i64.mul').op('i64.xor');
  c.i64(64n).get(bytes).op('i64.extend_i32_u').i64(3n).op('i64.shl').op('i64.sub').op('i64.shl');
  c.op('i64.eqz').op('i32.eqz');
  leave(0);
  c.get(to).get(v).op('i32.wrap_i64').get(room).op('memory.fill');
  c.else();
  c.get(source).i32(1);
  field('dataTlb').call(hits.read).tee(from).op('i32.eqz');
  leave(1);
  // A destination shortly ahead of the source repeats a pattern, which one copy would not.
  c.get(to).get(from).op('i32.gt_u').get(to).get(from).get(room).op('i32.add').op('i32.lt_u');
  c.op('i32.and');
  leave(1);
  c.get(to).get(from).get(room).op('memory.copy');
  advance(RSI, () => c.get(room));
  c.end();
  c.get(st);
  field('budget').get(n).op('i32.sub').mem('i32.store', FIELDS.budget.at);
  advance(RCX, () => c.i32(0).get(n).op('i32.sub'));
  advance(RDI, () => c.get(room));
  c.i32(1);
  return c;
}

/** Leaves with 0 unless 32-bit code accesses flat segments; REP, and the operand size prefix of words, are its only prefixes. */
function emitUnlessFlat32(
  c: Code,
  field: (name: 'codeMode' | 'modeKey' | 'rec') => Code,
  bytes: number,
): void {
  field('codeMode').i32(32).op('i32.ne');
  field('modeKey').i32(MODE_KEY_FLAT).op('i32.and').op('i32.eqz').op('i32.or');
  field('rec').mem('i32.load8_u', R_LENGTH);
  c.i32(3).i32(2).get(bytes).i32(2).op('i32.eq').op('select').op('i32.ne').op('i32.or').iff();
  c.i32(0).op('return').end();
}
