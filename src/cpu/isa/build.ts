// Records what an instruction means as IR; one method for each thing an instruction can do.

import { bug } from '../../base/errors.ts';
import type { Operand } from './define.ts';
import type {
  BinFn,
  CastFn,
  CmpFn,
  Effect,
  FlagFn,
  FloatFn,
  FloatShape,
  Node,
  Program,
  RegRef,
  SegRef,
  StatusFlag,
  UnFn,
  Value,
  Variant,
  Width,
} from './ir.ts';

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

export const CF = 1;
export const PF = 4;
export const AF = 0x10;
export const ZF = 0x40;
export const SF = 0x80;
export const OF = 0x800;

/** Names of the general registers, in encoding order, for `reg` and `setReg`. */
export const GPR = [
  'rax',
  'rcx',
  'rdx',
  'rbx',
  'rsp',
  'rbp',
  'rsi',
  'rdi',
  'r8',
  'r9',
  'r10',
  'r11',
  'r12',
  'r13',
  'r14',
  'r15',
] as const;
export type GprName = (typeof GPR)[number];

export const SEG_ES = 0;
export const SEG_CS = 1;
export const SEG_SS = 2;
export const SEG_DS = 3;
export const SEG_FS = 4;
export const SEG_GS = 5;

/**
 * The recorder that `sem` is given. Reads happen where they are recorded and once (a second read of memory is a second
 * bus access). An instruction reads, computes, writes, then sets flags: a write may fault, and a fault leaves no trace,
 * so every register, flag and state write comes after the last access that can fault (`check` refuses anything else).
 */
export class Build {
  readonly variant: Variant;
  private readonly nodes: Node[] = [];
  private ea: Value | null = null;
  private loaded: Value | null = null;
  private ended = false;

  constructor(variant: Variant) {
    this.variant = variant;
  }

  get osize(): 16 | 32 | 64 {
    return this.variant.osize;
  }
  get asize(): 16 | 32 | 64 {
    return this.variant.asize;
  }
  get mode(): 16 | 32 | 64 {
    return this.variant.mode;
  }
  /** Width of the stack pointer for implicit stack accesses: SDM 1 6.2.3. */
  get stackWidth(): 16 | 32 | 64 {
    return this.variant.stack ?? this.variant.mode;
  }

  // Operands.

  /** Reads an operand at its own size. A memory operand that is also written is probed for writing first. */
  read(o: Operand): Value {
    if (o.kind === 'imm') {
      const width = asWidth(o.size);
      return o.fixed === undefined ? this.imm(o.n, width) : this.const(width, o.fixed);
    }
    if (o.kind === 'mem') {
      const v = this.loadAt('operand', this.address(), asWidth(o.size));
      this.loaded = v;
      return v;
    }
    return this.value({ op: 'getreg', reg: regOf(o), width: asWidth(o.size) });
  }

  /** Reads an operand (an immediate, as a rule) and sign-extends or truncates it to `width`. */
  readAs(o: Operand, width: Width): Value {
    const v = this.read(o);
    return v.width > width ? this.trunc(v, width) : this.sext(v, width);
  }

  write(o: Operand, v: Value): void {
    if (o.kind === 'imm') bug('an immediate cannot be written');
    if (v.width !== o.size && !(o.kind === 'reg' && o.file !== 'gpr'))
      bug(`a write of ${v.width} bits to an operand of ${o.size}`);
    if (o.kind === 'mem') {
      this.storeTo('operand', this.address(), v, this.loaded);
      return;
    }
    this.effect({ op: 'setreg', reg: { ...regOf(o), width: v.width }, value: v });
  }

  /** Offset of the memory operand within its segment, zero-extended to 64 bits. */
  address(): Value {
    this.ea ??= this.value({ op: 'ea', width: 64 });
    return this.ea;
  }

  /** A 128-bit memory operand that must be aligned to 16 bytes (#GP(0) otherwise). A register is read as usual. */
  readAligned(o: Operand): Value {
    if (o.kind !== 'mem') return this.read(o);
    return this.value({
      op: 'load',
      seg: 'operand',
      addr: this.address(),
      rmw: false,
      aligned: true,
      width: asWidth(o.size),
    });
  }

  writeAligned(o: Operand, v: Value): void {
    if (o.kind !== 'mem') return this.write(o, v);
    this.effect({
      op: 'store',
      seg: 'operand',
      addr: this.address(),
      value: v,
      load: null,
      aligned: true,
    });
  }

  imm(n: number, width: Width): Value {
    return this.value({ op: 'imm', n, width });
  }

  // Registers, memory, state.

  reg(name: GprName, width: Width): Value {
    return this.value({ op: 'getreg', reg: fixedReg(name, width), width });
  }

  setReg(name: GprName, v: Value): void {
    this.effect({ op: 'setreg', reg: fixedReg(name, v.width), value: v });
  }

  /** AH as a value of 8 bits; `setAh` writes it. */
  ah(): Value {
    return this.value({
      op: 'getreg',
      reg: { file: 'gpr', slot: -1, fixed: 16, width: 8 },
      width: 8,
    });
  }
  setAh(v: Value): void {
    this.effect({ op: 'setreg', reg: { file: 'gpr', slot: -1, fixed: 16, width: 8 }, value: v });
  }

  /** Which register an operand names, as a value of 32 bits: for slow paths over ST(i). */
  regNumber(o: Operand): Value {
    if (o.kind !== 'reg') return bug('only a register operand has a number');
    if (o.fixed !== undefined) return this.const(32, o.fixed);
    return this.value({ op: 'regno', slot: o.slot, width: 32 });
  }

  xmm(n: number): Value {
    return this.value({
      op: 'getreg',
      reg: { file: 'xmm', slot: -1, fixed: n, width: 128 },
      width: 128,
    });
  }

  setXmm(n: number, v: Value): void {
    this.effect({
      op: 'setreg',
      reg: { file: 'xmm', slot: -1, fixed: n, width: v.width },
      value: v,
    });
  }

  load(seg: SegRef, addr: Value, width: Width): Value {
    return this.loadAt(seg, addr, width);
  }

  store(seg: SegRef, addr: Value, v: Value): void {
    this.storeTo(seg, addr, v, null);
  }

  /** Reads memory that `storeBack` will write: probed for writing, so that the store cannot fault. */
  loadForStore(seg: SegRef, addr: Value, width: Width): Value {
    return this.value({ op: 'load', seg, addr, rmw: true, aligned: false, width });
  }
  storeBack(load: Value, v: Value): void {
    if (load.op !== 'load') bug('storeBack needs the value of loadForStore');
    this.storeTo(load.seg, load.addr, v, load);
  }

  /** Faults now as a write of `bytes` at `addr` would: for instructions with more than one write. */
  probeWrite(seg: SegRef, addr: Value, bytes: number): void {
    this.effect({ op: 'probe', seg, addr, bytes });
  }

  /** The linear address of an access that a slow path will make. */
  linear(seg: SegRef, a: Value, bytes: number, writes: boolean): Value {
    return this.value({ op: 'linear', seg, a: this.zext(a, 64), bytes, writes, width: 64 });
  }

  state(field: string, width: Width): Value {
    return this.value({ op: 'getstate', field, width });
  }
  setState(field: string, v: Value): void {
    this.effect({ op: 'setstate', field, value: v });
  }

  // Arithmetic. Both operands have one width, the result has it too.

  const(width: Width, n: number | bigint): Value {
    return this.value({
      op: 'const',
      value: width === 1 ? BigInt(n) & 1n : BigInt.asUintN(width, BigInt(n)),
      width,
    });
  }
  bin(fn: BinFn, a: Value, b: Value): Value {
    if (a.width !== b.width) bug(`${fn} of ${a.width} and ${b.width} bits`);
    return this.value({ op: 'bin', fn, a, b, width: a.width });
  }
  un(fn: UnFn, a: Value): Value {
    return this.value({ op: 'un', fn, a, width: a.width });
  }
  cmp(fn: CmpFn, a: Value, b: Value): Value {
    if (a.width !== b.width) bug(`compare of ${a.width} and ${b.width} bits`);
    return this.value({ op: 'cmp', fn, a, b, width: 1 });
  }
  isZero(a: Value): Value {
    return this.cmp('eq', a, this.const(a.width, 0));
  }
  cast(fn: CastFn, a: Value, width: Width): Value {
    return a.width === width ? a : this.value({ op: 'cast', fn, a, width });
  }
  zext(a: Value, width: Width): Value {
    return this.cast('zext', a, width);
  }
  sext(a: Value, width: Width): Value {
    return this.cast('sext', a, width);
  }
  trunc(a: Value, width: Width): Value {
    return this.cast('trunc', a, width);
  }
  select(c: Value, a: Value, b: Value): Value {
    if (c.width !== 1 || a.width !== b.width)
      bug('select needs a truth value and two values of one width');
    return this.value({ op: 'select', c, a, b, width: a.width });
  }
  and1(a: Value, b: Value): Value {
    return this.bin('and', a, b);
  }
  or1(a: Value, b: Value): Value {
    return this.bin('or', a, b);
  }
  not1(a: Value): Value {
    return this.isZero(a);
  }
  /** The sign bit, as a truth value. */
  sign(a: Value): Value {
    return this.cmp('lts', a, this.const(a.width, 0));
  }
  /** Bit `n` (a constant) as a truth value. */
  bit(a: Value, n: number): Value {
    return this.cmp(
      'ne',
      this.bin('and', a, this.const(a.width, 1n << BigInt(n))),
      this.const(a.width, 0),
    );
  }

  /** A WebAssembly SIMD instruction by name (`i8x16.add`, `i8x16.shuffle` with 16 lanes, `i32x4.extract_lane` with one ...). */
  vec(
    fn: string,
    args: readonly Value[],
    lanes: readonly number[] = [],
    width: Width = 128,
  ): Value {
    return this.value({ op: 'vec', fn, args, lanes, width });
  }

  /** SSE arithmetic under MXCSR. For `sqrt`, `b` is the same value as `a`. */
  float(fn: FloatFn, shape: FloatShape, a: Value, b: Value): Value {
    return this.value({ op: 'float', fn, shape, a, b, width: a.width });
  }

  // Flags.

  addFlags(res: Value, x: Value): void {
    this.flags('add', res, x);
  }
  subFlags(res: Value, x: Value): void {
    this.flags('sub', res, x);
  }
  /** With carry: `carry` is the truth value that was added. The engine keeps the right one of add and adc. */
  adcFlags(res: Value, x: Value, carry: Value): void {
    this.carryFlags('adc', res, x, carry);
  }
  sbbFlags(res: Value, x: Value, borrow: Value): void {
    this.carryFlags('sbb', res, x, borrow);
  }
  logicFlags(res: Value): void {
    this.flags('logic', res, res);
  }
  /** zf, sf, pf from `res`; cf, of, af as given (absent: cleared). */
  mixFlags(res: Value, set: { cf?: Value; of?: Value; af?: Value }): void {
    let aux = this.const(32, 0);
    const put = (v: Value | undefined, mask: number) => {
      if (v) aux = this.bin('or', aux, this.select(v, this.const(32, mask), this.const(32, 0)));
    };
    put(set.cf, CF);
    put(set.of, OF);
    put(set.af, AF);
    this.effect({ op: 'flags', fn: 'mix', res, x: res, aux });
  }
  /** Sets the named flags and keeps the others. */
  setFlags(set: Partial<Record<StatusFlag, Value>>): void {
    this.effect({ op: 'setflags', set });
  }
  flag(flag: StatusFlag): Value {
    return this.value({ op: 'flag', flag, width: 1 });
  }
  /** Condition code 0..15: o no b ae e ne be a s ns p np l ge le g. */
  cond(cc: number): Value {
    return this.value({ op: 'cond', cc, width: 1 });
  }

  // Control.

  /** RIP of the next instruction, 64 bits. */
  next(): Value {
    return this.value({ op: 'next', width: 64 });
  }
  /** Relative jump by immediate 0, when `when` holds (null: always). */
  branch(when: Value | null, n = 0): void {
    this.effect({ op: 'branch', when, n });
    this.ended = true;
  }
  /** Jump to an offset within CS. The caller has checked it (`checkTarget`) before its first write. */
  jump(target: Value): void {
    this.effect({ op: 'jump', target: this.zext(target, 64) });
    this.ended = true;
  }
  /** #GP(0) unless `target` is canonical (64-bit code) or within the limit of CS. */
  checkTarget(target: Value): void {
    if (this.mode !== 64) {
      if (this.variant.limited) this.faultIf(this.beyondLimit(target), 13, 0);
      return;
    }
    const top = this.bin('sar', this.bin('shl', target, this.const(64, 16)), this.const(64, 16));
    this.faultIf(this.cmp('ne', top, target), 13, 0);
  }
  /** #GP(0) if the relative branch is taken (null: always) and leads beyond the limit of CS. Before the first write. */
  checkBranch(when: Value | null, n = 0): void {
    if (!this.variant.limited) return;
    const sum = this.bin('add', this.next(), this.sext(this.imm(n, this.osize), 64));
    const beyond = this.beyondLimit(this.zext(this.trunc(sum, this.osize), 64));
    this.faultIf(when === null ? beyond : this.and1(when, beyond), 13, 0);
  }
  private beyondLimit(target: Value): Value {
    return this.cmp('ltu', this.state('csLimit', 32), this.trunc(target, 32));
  }
  skipIf(when: Value): void {
    this.effect({ op: 'skip', when });
  }
  againIf(when: Value): void {
    this.effect({ op: 'again', when });
    this.ended = true;
  }
  bulk(fn: 'movs' | 'stos' | 'lods' | 'scas' | 'cmps', bytes: number): void {
    this.effect({ op: 'bulk', fn, bytes });
  }
  faultIf(when: Value, vector: number, error: number | null): void {
    this.effect({ op: 'fault', when, vector, error });
  }
  /** #UD, #GP(0) ... always. */
  fault(vector: number, error: number | null): void {
    this.faultIf(this.const(1, 1), vector, error);
    this.ended = true;
  }

  /** Calls a slow path that yields `results` and changes neither RIP, mode, mappings nor the exit policy. */
  call(name: string, args: readonly Value[], results: readonly Width[] = []): Value[] {
    const call = this.effect({ op: 'call', name, args, results, ends: false });
    return results.map((width, n) => this.value({ op: 'result', call, n, width }));
  }
  /** Calls a slow path that finishes the instruction: RIP is already `next`; it may change anything. */
  callEnd(name: string, args: readonly Value[] = []): void {
    this.effect({ op: 'call', name, args, results: [], ends: true });
    this.ended = true;
  }

  /** The block ends here: what a call before it has asked for is looked at after the next instruction. */
  boundary(): void {
    this.effect({ op: 'boundary' });
    this.ended = true;
  }

  finish(): Program {
    return { nodes: markReadModifyWrite(this.nodes), variant: this.variant, ends: this.ended };
  }

  private flags(fn: FlagFn, res: Value, x: Value): void {
    this.effect({ op: 'flags', fn, res, x, aux: this.const(32, 0) });
  }
  private carryFlags(fn: 'adc' | 'sbb', res: Value, x: Value, carry: Value): void {
    this.effect({ op: 'flags', fn, res, x, aux: this.zext(carry, 32) });
  }
  private loadAt(seg: SegRef, addr: Value, width: Width): Value {
    return this.value({ op: 'load', seg, addr, rmw: false, aligned: false, width });
  }
  private storeTo(seg: SegRef, addr: Value, v: Value, load: Value | null): void {
    this.effect({ op: 'store', seg, addr, value: v, load, aligned: false });
  }
  private value(n: DistributiveOmit<Value, 'id'>): Value {
    const node = { ...n, id: this.nodes.length } as Value;
    this.nodes.push(node);
    return node;
  }
  private effect(n: DistributiveOmit<Effect, 'id'>): Effect {
    const node = { ...n, id: this.nodes.length } as Effect;
    this.nodes.push(node);
    return node;
  }
}

/** A load whose address a later store writes back is marked, so that it faults as the write would. */
function markReadModifyWrite(nodes: readonly Node[]): readonly Node[] {
  for (const n of nodes) {
    if (n.op === 'store' && n.load?.op === 'load') (n.load as { rmw: boolean }).rmw = true;
  }
  return nodes;
}

function regOf(o: Operand & { kind: 'reg' }): RegRef {
  if (o.file !== 'gpr' && o.file !== 'xmm' && o.file !== 'mm')
    bug(`${o.file} registers are read through slow paths`);
  const base = { file: o.file, slot: o.slot, width: asWidth(o.size) } as const;
  return o.fixed === undefined ? base : { ...base, fixed: o.fixed };
}

function fixedReg(name: GprName, width: Width): RegRef {
  return { file: 'gpr', slot: -1, fixed: GPR.indexOf(name), width };
}

function asWidth(size: number): Width {
  if (size === 1 || size === 8 || size === 16 || size === 32 || size === 64 || size === 128)
    return size;
  return bug(`an operand of ${size} bits has no direct value: use a slow path`);
}
