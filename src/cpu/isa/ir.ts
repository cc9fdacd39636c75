// The intermediate representation: what one instruction does, as a list of nodes in order of execution.

/** Bits of a value. 1 is a truth value; 128 an xmm register; all others are integers. */
export type Width = 1 | 8 | 16 | 32 | 64 | 128;

export type BinFn =
  | 'add'
  | 'sub'
  | 'mul'
  | 'mulhu'
  | 'mulhs'
  | 'and'
  | 'or'
  | 'xor'
  | 'shl'
  | 'shr'
  | 'sar'
  | 'rotl'
  | 'rotr'
  | 'divu'
  | 'remu'
  | 'divs'
  | 'rems';
/**
 * Shift and rotate counts have the width of the value and are below it: the meaning masks them, the IR does not.
 * Divisions truncate; an earlier `fault` has excluded a zero divisor and (signed) the quotient that does not fit `width`,
 * so they must not be computed before that fault. `clz` and `ctz` of 0 give the width.
 */
export type UnFn = 'not' | 'neg' | 'clz' | 'ctz' | 'popcnt' | 'bswap';
export type CmpFn = 'eq' | 'ne' | 'ltu' | 'lts' | 'leu' | 'les';
export type CastFn = 'zext' | 'sext' | 'trunc';

/** A register: of the instruction's operand `slot`, or a fixed one. `width` bits of it; gpr 16..19 at width 8 are AH CH DH BH. */
export interface RegRef {
  readonly file: 'gpr' | 'xmm' | 'mm';
  readonly slot: number;
  readonly fixed?: number;
  readonly width: Width;
}

/** Segment of a memory access: the decoded one, or a fixed one (0 ES 1 CS 2 SS 3 DS 4 FS 5 GS), or -1: linear, no checks. */
export type SegRef = 'operand' | number;

export type StatusFlag = 'cf' | 'pf' | 'af' | 'zf' | 'sf' | 'of';

/**
 * How the six status flags follow from an operation. `res`, `x` are values of `width` bits.
 *   add   cf = res < x (unsigned), y = res - x          adc   the same with a carry that came in (y = res - x - 1)
 *   sub   cf = x < y, y = x - res                       sbb   the same with a borrow that came in (y = x - res - 1)
 *   logic cf = of = af = 0
 *   mix   zf sf pf from res; cf of af from `aux`, a value of 32 bits with the flags at their EFLAGS places
 */
export type FlagFn = 'add' | 'adc' | 'sub' | 'sbb' | 'logic' | 'mix';

export type FloatFn = 'add' | 'sub' | 'mul' | 'div' | 'sqrt' | 'min' | 'max';
export type FloatShape = 'f32' | 'f64' | 'f32x4' | 'f64x2';

interface Base {
  readonly id: number;
}

/** Nodes that yield a value. Operands are earlier nodes. Pure ones depend on nothing but their operands. */
export type Value = Base & { readonly width: Width } & (
    | { readonly op: 'const'; readonly value: bigint }
    | { readonly op: 'imm'; readonly n: number }
    /** Offset of the decoded memory operand within its segment (zero-extended from the address size). */
    | { readonly op: 'ea' }
    /** RIP of the next instruction. */
    | { readonly op: 'next' }
    | { readonly op: 'bin'; readonly fn: BinFn; readonly a: Value; readonly b: Value }
    | { readonly op: 'un'; readonly fn: UnFn; readonly a: Value }
    | { readonly op: 'cmp'; readonly fn: CmpFn; readonly a: Value; readonly b: Value }
    | { readonly op: 'cast'; readonly fn: CastFn; readonly a: Value }
    | { readonly op: 'select'; readonly c: Value; readonly a: Value; readonly b: Value }
    /** A WebAssembly SIMD instruction by its own name, on v128 (and i32/i64 scalar) operands. `lanes`: its immediate bytes. */
    | {
        readonly op: 'vec';
        readonly fn: string;
        readonly args: readonly Value[];
        readonly lanes: readonly number[];
      }
    /** SSE arithmetic under MXCSR: rounding, NaN rules, flags; may fault (#XM). Scalars are 32 or 64 bits wide. */
    | {
        readonly op: 'float';
        readonly fn: FloatFn;
        readonly shape: FloatShape;
        readonly a: Value;
        readonly b: Value;
      }
    | { readonly op: 'getreg'; readonly reg: RegRef }
    /** The number of the register that operand `slot` names (`regs[slot]`), 32 bits: x87's ST(i), which only slow paths reach. */
    | { readonly op: 'regno'; readonly slot: number }
    /** Linear address of offset `a` in a segment, checked for an access of `bytes` where segments are not flat: for slow paths. */
    | {
        readonly op: 'linear';
        readonly seg: SegRef;
        readonly a: Value;
        readonly bytes: number;
        readonly writes: boolean;
      }
    | {
        readonly op: 'load';
        readonly seg: SegRef;
        readonly addr: Value;
        readonly rmw: boolean;
        readonly aligned: boolean;
      }
    /** A status flag; or a condition code 0..15 (SDM 1 appendix B). */
    | { readonly op: 'flag'; readonly flag: StatusFlag }
    | { readonly op: 'cond'; readonly cc: number }
    /** A field of the CPU state other than general and xmm registers, by its name in state.ts. */
    | { readonly op: 'getstate'; readonly field: string }
    /** Result `n` of an earlier call. */
    | { readonly op: 'result'; readonly call: Effect; readonly n: number }
  );

/** Nodes that do something. */
export type Effect = Base &
  /** Writes a register; 32 bits into a gpr clear its upper half, 8 and 16 keep the rest; xmm: `width` 128 whole, less: low part only, rest kept. */
  (
    | { readonly op: 'setreg'; readonly reg: RegRef; readonly value: Value }
    | {
        readonly op: 'store';
        readonly seg: SegRef;
        readonly addr: Value;
        readonly value: Value;
        readonly load: Value | null;
        readonly aligned: boolean;
      }
    /** Faults as a write of `bytes` at `addr` would, and writes nothing. */
    | { readonly op: 'probe'; readonly seg: SegRef; readonly addr: Value; readonly bytes: number }
    | {
        readonly op: 'flags';
        readonly fn: FlagFn;
        readonly res: Value;
        readonly x: Value;
        readonly aux: Value;
      }
    /** Sets the named flags, keeps the others. */
    | { readonly op: 'setflags'; readonly set: Partial<Record<StatusFlag, Value>> }
    | { readonly op: 'setstate'; readonly field: string; readonly value: Value }
    | {
        readonly op: 'fault';
        readonly when: Value;
        readonly vector: number;
        readonly error: number | null;
      }
    /** A slow path in TypeScript (`cpu/slow`), by name. `ends`: it may change RIP, mode, mappings: the last node. */
    | {
        readonly op: 'call';
        readonly name: string;
        readonly args: readonly Value[];
        readonly results: readonly Width[];
        readonly ends: boolean;
      }
    /** Ends the instruction when true: RIP = next. First in a `rep` string instruction; before the flags of a shift by zero. */
    | { readonly op: 'skip'; readonly when: Value }
    /** Last node of a repeated string instruction: when true, RIP stays. */
    | { readonly op: 'again'; readonly when: Value }
    /** Relative jump to next + immediate `n`, when `when` (null: always). Truncated to the operand size. */
    | { readonly op: 'branch'; readonly when: Value | null; readonly n: number }
    /** A block ends behind this instruction, since it may have made an interrupt due after the next one. The last node. */
    | { readonly op: 'boundary' }
    /** Jump to an offset within CS. */
    | { readonly op: 'jump'; readonly target: Value }
    /** Hint: whole iterations of this string instruction may be done at once. Engines may ignore it. */
    | {
        readonly op: 'bulk';
        readonly fn: 'movs' | 'stos' | 'lods' | 'scas' | 'cmps';
        readonly bytes: number;
      }
  );

export type Node = Value | Effect;

/** What the IR of an instruction was recorded for. */
export interface Variant {
  readonly osize: 16 | 32 | 64;
  readonly asize: 16 | 32 | 64;
  readonly mode: 16 | 32 | 64;
  readonly rep: 'none' | 'rep' | 'repne';
  readonly lock: boolean;
  /** Condition code of a `+cc` opcode; -1 else. */
  readonly cc: number;
  /** Width of the stack pointer for implicit stack accesses, where SS.B disagrees with `mode` (16 or 32; never in 64-bit code). */
  readonly stack?: 16 | 32;
  /** CS ends below 4 GiB: near branches look at its limit. */
  readonly limited?: boolean;
  /** Only for forms with `asksSpBase`: the base of the memory operand is rSP. */
  readonly spBase?: boolean;
}

export interface Program {
  readonly nodes: readonly Node[];
  readonly variant: Variant;
  /** It ends a basic block: it jumps, repeats, or its call `ends`. */
  readonly ends: boolean;
}

/** Whether an instruction that ends its block is left downwards too: control can reach the one behind it by itself. */
export function fallsThrough({ nodes }: Program): boolean {
  const last = nodes.at(-1)?.op;
  return last === 'again' || last === 'boundary' || nodes.some((n) => n.op === 'skip');
}

export function isValue(node: Node): node is Value {
  return 'width' in node;
}
