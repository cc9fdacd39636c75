// Builds WebAssembly modules: a function body instruction by instruction, then the sections around it.

import { bug } from '../../base/errors.ts';
import { opcode } from './opcodes.ts';

export type ValType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';
export type BlockType = ValType | 'void';

const TYPE_BYTE: Record<BlockType, number> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
  void: 0x40,
};

/** A growing byte string with WebAssembly's integer encodings (5.2.2). */
export class Bytes {
  private buffer = new Uint8Array(1024);
  length = 0;

  byte(b: number): void {
    if (this.length === this.buffer.length) this.grow(1);
    this.buffer[this.length++] = b;
  }
  bytes(bytes: ArrayLike<number>): void {
    if (this.length + bytes.length > this.buffer.length) this.grow(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
  }
  /** An opcode: mostly one byte, which a copy would cost too much for. */
  opcode(bytes: readonly number[]): void {
    for (let i = 0; i < bytes.length; i++) this.byte(bytes[i] as number);
  }
  /** Unsigned LEB128 of up to 32 bits. */
  u32(value: number): void {
    let n = value >>> 0;
    while (n >= 0x80) {
      this.byte((n & 0x7f) | 0x80);
      n >>>= 7;
    }
    this.byte(n);
  }
  /** Signed LEB128. */
  s32(value: number): void {
    let n = value | 0;
    if (n >= -0x40 && n < 0x40) return this.byte(n & 0x7f);
    for (;;) {
      const low = n & 0x7f;
      n >>= 7;
      if ((n === 0 && (low & 0x40) === 0) || (n === -1 && (low & 0x40) !== 0))
        return this.byte(low);
      this.byte(low | 0x80);
    }
  }
  s64(value: bigint): void {
    this.s64Halves(Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
  }
  /** Signed LEB128 of 64 bits, from their signed halves. */
  s64Halves(low: number, high: number): void {
    let lo = low | 0;
    let hi = high | 0;
    for (;;) {
      const bits = lo & 0x7f;
      lo = (lo >>> 7) | (hi << 25);
      hi >>= 7;
      const rest = (bits & 0x40) === 0 ? 0 : -1;
      if (lo === rest && hi === rest) return this.byte(bits);
      this.byte(bits | 0x80);
    }
  }
  name(s: string): void {
    this.u32(s.length);
    for (let i = 0; i < s.length; i++) this.byte(s.charCodeAt(i));
  }
  done(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }
  private grow(by: number): void {
    const bigger = new Uint8Array(Math.max(this.buffer.length * 2, this.length + by));
    bigger.set(this.buffer.subarray(0, this.length));
    this.buffer = bigger;
  }
}

/** One function body. Labels are counted by depth: `block`, `loop`, `iff` return a token that `br` takes. */
export class Code {
  readonly out = new Bytes();
  /** The text of every instruction, when asked for: golden tests and docs read it. */
  readonly text: string[] | null;
  private readonly locals: ValType[] = [];
  private readonly paramCount: number;
  private depth = 0;
  private readonly free: Record<ValType, number[]> = {
    i32: [],
    i64: [],
    f32: [],
    f64: [],
    v128: [],
  };

  constructor(paramCount: number, withText = false) {
    this.paramCount = paramCount;
    this.text = withText ? [] : null;
  }

  /** How many blocks, loops and ifs are open. */
  get level(): number {
    return this.depth;
  }

  /** A plain instruction by name; `n` is its index, lane or constant where it has one. */
  op(name: string, n = 0): this {
    const o = opcode(name) ?? bug(`no WebAssembly instruction ${name}`);
    if (o.plain >= 0) {
      this.out.byte(o.plain);
      if (this.text) this.text.push(name);
      return this;
    }
    this.out.opcode(o.bytes);
    if (o.imm === 'index') this.out.u32(n);
    else if (o.imm === 'lane') this.out.byte(n);
    else if (o.imm === 'i32') this.out.s32(n);
    else if (o.imm !== 'none') bug(`${name} needs its own method`);
    this.text?.push(o.imm === 'none' ? name : `${name} ${n}`);
    return this;
  }
  /** A load or store; `offset` is a constant added to the address on the stack. */
  mem(name: string, offset: number): this {
    const o = opcode(name) ?? bug(`no WebAssembly instruction ${name}`);
    this.out.opcode(o.bytes);
    this.out.u32(0); // Alignment is a hint; guest addresses promise none.
    this.out.u32(offset);
    if (this.text) this.text.push(`${name} offset=${offset}`);
    return this;
  }
  i32(n: number): this {
    this.out.byte(0x41);
    this.out.s32(n);
    if (this.text) this.text.push(`i32.const ${n | 0}`);
    return this;
  }
  i64(n: bigint): this {
    this.out.byte(0x42);
    this.out.s64(n);
    this.text?.push(`i64.const ${BigInt.asIntN(64, n)}`);
    return this;
  }
  /** The same from halves, as decoded operands have them: no BigInt is made. */
  i64Halves(low: number, high: number): this {
    this.out.byte(0x42);
    this.out.s64Halves(low, high);
    if (this.text) this.text.push(`i64.const ${(BigInt(high) << 32n) | BigInt(low >>> 0)}`);
    return this;
  }
  f64(n: number): this {
    this.out.byte(0x44);
    this.out.bytes(new Uint8Array(new Float64Array([n]).buffer));
    this.text?.push(`f64.const ${n}`);
    return this;
  }
  lanes(name: 'v128.const' | 'i8x16.shuffle', lanes: readonly number[]): this {
    this.out.bytes((opcode(name) ?? bug(name)).bytes);
    this.out.bytes(lanes);
    this.text?.push(`${name} ${lanes.join(' ')}`);
    return this;
  }
  get(local: number): this {
    return this.local(0x20, 'local.get', local);
  }
  set(local: number): this {
    return this.local(0x21, 'local.set', local);
  }
  tee(local: number): this {
    return this.local(0x22, 'local.tee', local);
  }
  call(index: number): this {
    return this.op('call', index);
  }
  callIndirect(type: number, tableIndex = 0): this {
    this.out.byte(0x11);
    this.out.u32(type);
    this.out.u32(tableIndex);
    this.text?.push(`call_indirect (type ${type})`);
    return this;
  }
  block(type: BlockType = 'void'): number {
    return this.open('block', 0x02, type);
  }
  loop(type: BlockType = 'void'): number {
    return this.open('loop', 0x03, type);
  }
  iff(type: BlockType = 'void'): number {
    return this.open('if', 0x04, type);
  }
  else(): this {
    return this.op('else');
  }
  end(): this {
    this.depth--;
    return this.op('end');
  }
  br(label: number): this {
    return this.branch(0x0c, 'br', label);
  }
  brIf(label: number): this {
    return this.branch(0x0d, 'br_if', label);
  }
  brTable(labels: readonly number[], otherwise: number): this {
    this.out.byte(0x0e);
    this.out.u32(labels.length);
    for (const l of labels) this.out.u32(this.depth - l);
    this.out.u32(this.depth - otherwise);
    this.text?.push(`br_table (${labels.length})`);
    return this;
  }

  /** A local that holds nothing now; give it back with `release`. */
  take(type: ValType): number {
    const reused = this.free[type].pop();
    if (reused !== undefined) return reused;
    this.locals.push(type);
    return this.paramCount + this.locals.length - 1;
  }
  release(type: ValType, local: number): void {
    this.free[type].push(local);
  }

  /** The body with its local declarations, as the code section holds it. */
  body(): Uint8Array {
    const b = new Bytes();
    const runs: { type: ValType; n: number }[] = [];
    for (const type of this.locals) {
      const last = runs.at(-1);
      if (last?.type === type) last.n++;
      else runs.push({ type, n: 1 });
    }
    b.u32(runs.length);
    for (const r of runs) {
      b.u32(r.n);
      b.byte(TYPE_BYTE[r.type]);
    }
    b.bytes(this.out.done());
    b.byte(0x0b);
    return b.done();
  }

  private local(byte: number, name: string, local: number): this {
    this.out.byte(byte);
    if (local < 0x80) this.out.byte(local);
    else this.out.u32(local);
    if (this.text) this.text.push(`${name} ${local}`);
    return this;
  }
  private open(name: string, byte: number, type: BlockType): number {
    this.out.byte(byte);
    this.out.byte(TYPE_BYTE[type]);
    this.text?.push(type === 'void' ? name : `${name} (result ${type})`);
    this.depth++;
    return this.depth;
  }
  private branch(byte: number, name: string, label: number): this {
    this.out.byte(byte);
    this.out.u32(this.depth - label);
    this.text?.push(`${name} ${this.depth - label}`);
    return this;
  }
}

export interface FuncType {
  readonly params: readonly ValType[];
  readonly results: readonly ValType[];
}

type Import = { readonly module: string; readonly name: string } & (
  | { readonly kind: 'func'; readonly type: number }
  | { readonly kind: 'memory'; readonly pages: number }
  | { readonly kind: 'table'; readonly size: number }
  | { readonly kind: 'global'; readonly type: ValType }
);

/** A module: imports first (functions are numbered from 0), then functions, in the order in which they are added. */
export class ModuleBuilder {
  private readonly types: FuncType[] = [];
  private readonly imports: Import[] = [];
  private readonly functions: { type: number; body: Uint8Array }[] = [];
  private readonly exports: { name: string; index: number }[] = [];
  private imported = 0;
  private globals = 0;

  type(params: readonly ValType[], results: readonly ValType[]): number {
    const same = this.types.findIndex(
      (t) => t.params.join() === params.join() && t.results.join() === results.join(),
    );
    if (same >= 0) return same;
    return this.types.push({ params, results }) - 1;
  }
  importFunction(
    module: string,
    name: string,
    params: readonly ValType[],
    results: readonly ValType[],
  ): number {
    this.imports.push({ module, name, kind: 'func', type: this.type(params, results) });
    return this.imported++;
  }
  importMemory(module: string, name: string, pages: number): void {
    this.imports.push({ module, name, kind: 'memory', pages });
  }
  importTable(module: string, name: string, size: number): void {
    this.imports.push({ module, name, kind: 'table', size });
  }
  /** A global that never changes. */
  importGlobal(module: string, name: string, type: ValType): number {
    this.imports.push({ module, name, kind: 'global', type });
    return this.globals++;
  }
  /** Index that the next `addFunction` will return. */
  nextFunction(): number {
    return this.imported + this.functions.length;
  }
  addFunction(type: number, body: Uint8Array, exportAs?: string): number {
    const index = this.nextFunction();
    this.functions.push({ type, body });
    if (exportAs !== undefined) this.exports.push({ name: exportAs, index });
    return index;
  }

  encode(): Uint8Array {
    const out = new Bytes();
    out.bytes([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    section(out, 1, this.types.length, (b) => {
      for (const t of this.types) {
        b.byte(0x60);
        for (const list of [t.params, t.results]) {
          b.u32(list.length);
          for (const v of list) b.byte(TYPE_BYTE[v]);
        }
      }
    });
    section(out, 2, this.imports.length, (b) => {
      for (const i of this.imports) encodeImport(b, i);
    });
    section(out, 3, this.functions.length, (b) => {
      for (const f of this.functions) b.u32(f.type);
    });
    section(out, 7, this.exports.length, (b) => {
      for (const e of this.exports) {
        b.name(e.name);
        b.byte(0);
        b.u32(e.index);
      }
    });
    section(out, 10, this.functions.length, (b) => {
      for (const f of this.functions) {
        b.u32(f.body.length);
        b.bytes(f.body);
      }
    });
    return out.done();
  }
}

function encodeImport(b: Bytes, i: Import): void {
  b.name(i.module);
  b.name(i.name);
  if (i.kind === 'func') {
    b.byte(0);
    b.u32(i.type);
  } else if (i.kind === 'table') {
    b.bytes([1, 0x70, 0]);
    b.u32(i.size);
  } else if (i.kind === 'global') {
    b.bytes([3, TYPE_BYTE[i.type], 0]);
  } else {
    b.bytes([2, 0]);
    b.u32(i.pages);
  }
}

function section(out: Bytes, id: number, count: number, fill: (b: Bytes) => void): void {
  if (count === 0) return;
  const b = new Bytes();
  b.u32(count);
  fill(b);
  out.byte(id);
  out.u32(b.length);
  out.bytes(b.done());
}
