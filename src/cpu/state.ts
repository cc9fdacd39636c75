// Where everything lives in linear memory: the layout of one vCPU's state, and views to reach it from TypeScript.

/**
 * A field of the vCPU state: its byte offset from the state's base and its size in bits.
 * Segment registers, general registers and the other arrays have one entry and a stride.
 */
export interface Field {
  readonly at: number;
  readonly bits: 8 | 16 | 32 | 64 | 128;
}

const f = (at: number, bits: Field['bits']): Field => ({ at, bits });

/** Byte offsets within a vCPU's state. All of it is little endian, naturally aligned. */
export const GPR_AT = 0x000; // 16 x u64, encoding order
export const ZERO_AT = 0x080; // always 0: the base or index that an address lacks, and the base of a flat segment
export const SEG_AT = 0x0c0; // 8 x segment: ES CS SS DS FS GS LDTR TR
export const SEG_STRIDE = 32; // base u64 @0, limit u32 @8 (last valid byte), attr u32 @12, selector u32 @16
export const SEG_BASE = 0;
export const SEG_LIMIT = 8;
export const SEG_ATTR = 12;
export const SEG_SELECTOR = 16;
export const XMM_AT = 0x300; // 16 x 128 bits
export const ST_AT = 0x400; // 8 physical x87 registers: significand u64 @0, sign and exponent u16 @8, stride 16
export const ARG_AT = 0x580; // 8 slots of 16 bytes: arguments of a slow path
export const RET_AT = 0x600; // 4 slots of 16 bytes: its results
export const SCRATCH_AT = 0x640; // 16 bytes: value of a load or store that takes the slow way (MMIO, page crossing)
export const MSR_AT = 0x660; // 52 x u64: MSRs that only hold a value, see msr.ts
export const STATE_BYTES = 0x800;

/**
 * attr of a segment: bits 8..15 and 20..23 of the descriptor's second word, as VMX has them:
 * 0-3 type, 4 S, 5-6 DPL, 7 P, 12 AVL, 13 L, 14 D/B, 15 G, and 16 = unusable (null selector).
 */
export const ATTR_S = 1 << 4;
export const ATTR_DPL_SHIFT = 5;
export const ATTR_P = 1 << 7;
export const ATTR_L = 1 << 13;
export const ATTR_D = 1 << 14;
export const ATTR_G = 1 << 15;
export const ATTR_NULL = 1 << 16;

/** Scalar fields, by the name that the IR's `getstate` and `setstate` use. */
export const FIELDS = {
  rip: f(0x090, 64),
  /** RIP value of byte 0 of the page that the current block lies in. Engine-internal. */
  ripPage: f(0x098, 64),
  flRes: f(0x0a0, 64),
  flX: f(0x0a8, 64),
  /** How the status flags follow from flRes, flX, flAux: FL_* * 4 + log2(bytes). */
  flOp: f(0x0b0, 32),
  /** EFLAGS without the six status flags (bit 1 always set). */
  eflags: f(0x0b4, 32),
  flAux: f(0x0b8, 32),
  /** The visible parts of the segment registers, again under names that the IR can read. */
  esSelector: f(SEG_AT + 0 * SEG_STRIDE + SEG_SELECTOR, 32),
  csSelector: f(SEG_AT + 1 * SEG_STRIDE + SEG_SELECTOR, 32),
  ssSelector: f(SEG_AT + 2 * SEG_STRIDE + SEG_SELECTOR, 32),
  dsSelector: f(SEG_AT + 3 * SEG_STRIDE + SEG_SELECTOR, 32),
  fsSelector: f(SEG_AT + 4 * SEG_STRIDE + SEG_SELECTOR, 32),
  gsSelector: f(SEG_AT + 5 * SEG_STRIDE + SEG_SELECTOR, 32),
  ldtrSelector: f(SEG_AT + 6 * SEG_STRIDE + SEG_SELECTOR, 32),
  trSelector: f(SEG_AT + 7 * SEG_STRIDE + SEG_SELECTOR, 32),
  csLimit: f(SEG_AT + 1 * SEG_STRIDE + SEG_LIMIT, 32),
  fsBase: f(SEG_AT + 4 * SEG_STRIDE + SEG_BASE, 64),
  gsBase: f(SEG_AT + 5 * SEG_STRIDE + SEG_BASE, 64),
  gdtrBase: f(0x1c0, 64),
  gdtrLimit: f(0x1c8, 32),
  idtrBase: f(0x1d0, 64),
  idtrLimit: f(0x1d8, 32),
  cr0: f(0x1e0, 32),
  cr4: f(0x1e4, 32),
  cr2: f(0x1e8, 64),
  cr3: f(0x1f0, 64),
  cr8: f(0x1f8, 32),
  xcr0: f(0x1fc, 32),
  dr0: f(0x200, 64),
  dr1: f(0x208, 64),
  dr2: f(0x210, 64),
  dr3: f(0x218, 64),
  dr6: f(0x220, 64),
  dr7: f(0x228, 64),
  efer: f(0x230, 32),
  pkru: f(0x234, 32),
  star: f(0x238, 64),
  lstar: f(0x240, 64),
  cstar: f(0x248, 64),
  sfmask: f(0x250, 64),
  kernelGsBase: f(0x258, 64),
  tscAux: f(0x260, 32),
  sysenterCs: f(0x264, 32),
  sysenterEsp: f(0x268, 64),
  sysenterEip: f(0x270, 64),
  pat: f(0x278, 64),
  tscOffset: f(0x280, 64),
  miscEnable: f(0x288, 64),
  mtrrDefType: f(0x290, 64),
  /** One more than the retired count at which EFLAGS.RF is 1 (0: never was). `eflags` itself never holds RF. */
  rfAt: f(0x298, 64),
  /** One more than the retired count at which `shadow` is in force. */
  shadowAt: f(0x2a0, 64),
  /** State of the generator behind RDRAND and RDSEED. */
  random: f(0x2a8, 64),
  /** DR6 bits of debug traps that wait for the next instruction boundary. */
  pendingDebug: f(0x2b0, 32),
  /** Nanoseconds that the halted machine has skipped: the TSC counts them as it does instructions. */
  skipped: f(0x2c0, 64),
  /** A fault to be delivered at the next boundary, where a task switch has left it: vector + 1 (0: none), error code. */
  laterVector: f(0x2b4, 32),
  laterError: f(0x2b8, 32),
  laterHasError: f(0x2bc, 32),
  fcw: f(0x480, 16),
  fsw: f(0x482, 16), // TOP in bits 11..13, as the status word has it
  ftw: f(0x484, 16), // one bit per physical register: 1 = valid (not empty), as FXSAVE's abridged tag word
  fop: f(0x486, 16),
  fip: f(0x488, 64),
  fdp: f(0x490, 64),
  mxcsr: f(0x498, 32),
  /** 0..3. Kept beside SS.DPL because everything asks for it. */
  cpl: f(0x500, 32),
  /** Code mode of the current CS: 16, 32 or 64. */
  codeMode: f(0x504, 32),
  /** Shadow after STI, MOV SS, POP SS: 1 STI (blocks interrupts), 2 MOV SS (blocks debug traps too) for one instruction. */
  shadow: f(0x508, 32),
  /** The level of INTR, and a pending NMI. */
  irqLine: f(0x50c, 32),
  nmiPending: f(0x510, 32),
  /** From the delivery of an NMI to the next IRET. */
  nmiMasked: f(0x55c, 32),
  halted: f(0x514, 32),
  /** Exit policy, see policy.ts. */
  policyExceptions: f(0x518, 32),
  policy: f(0x51c, 32),
  /** Engine: instructions that may still run, checked before each block; taken away and kept in `slack` by requestExit. */
  budget: f(0x520, 32),
  slack: f(0x524, 32),
  /** Engine: the retired count at which budget and slack would be used up. */
  horizon: f(0x560, 64),
  /** Engine: address of the record being executed, stored before every slow path. */
  rec: f(0x528, 32),
  /** Address (in linear memory) of the data TLB and the fetch TLB that apply at the current privilege and AC. */
  dataTlb: f(0x52c, 32),
  fetchTlb: f(0x530, 32),
  /** A fault that a slow path or a check has raised: vector, error code, has-error. CR2 goes to `faultAddress`. */
  faultVector: f(0x534, 32),
  faultError: f(0x538, 32),
  faultHasError: f(0x53c, 32),
  faultAddress: f(0x540, 64),
  /** Engine: 1 when `run` stopped between two iterations of a repeated instruction. */
  stop: f(0x548, 32),
  /** Engine: a second cause for leaving at the next boundary: requestExit, shadow handling, trap flag. */
  attention: f(0x54c, 32),
  /** Engine: 1 while a fault has to come back from `run`, rather than go to its handler there. */
  faultsStop: f(0x568, 32),
  /** Engine: what decoding depends on besides the bytes (code mode, stack size): part of a block's key. */
  modeKey: f(0x558, 32),
  /** 0: SSE (x87) instructions may run; else the vector they fault with, see fpu-fault.ts. Kept by `recomputeFpuFaults`. */
  sseFault: f(0x550, 32),
  x87Fault: f(0x554, 32),
} as const satisfies Record<string, Field>;

/** Bits of `modeKey` above the code mode: SS.B is not the code's size; ES, SS and DS are flat; CS ends below 4 GiB. */
export const MODE_KEY_STACK = 0x80;
export const MODE_KEY_FLAT = 0x100;
export const MODE_KEY_LIMIT = 0x200;

export type FieldName = keyof typeof FIELDS;
/** Fields that engines use as they please, and the flags' representation: no part of what a vCPU is. */
export const ENGINE_FIELDS: readonly FieldName[] = [
  ...(['ripPage', 'flRes', 'flX', 'flOp', 'flAux', 'modeKey'] as const),
  ...(['budget', 'slack', 'horizon', 'rec', 'stop', 'faultsStop', 'attention'] as const),
  ...(['faultVector', 'faultError', 'faultHasError', 'faultAddress'] as const),
];

/** By name: a Map finds it in half the time of an object with so many properties, and slow paths ask for several at each exit. */
const PLACES: ReadonlyMap<string, Field> = new Map(Object.entries(FIELDS));
const placeOf = (name: FieldName | Field): Field =>
  typeof name === 'string' ? (PLACES.get(name) as Field) : name;

/** Kinds of lazy flags, see ir.ts FlagFn. `full`: all six are in flAux at their EFLAGS places. */
export const FL_ADD = 0;
export const FL_ADC = 1;
export const FL_SUB = 2;
export const FL_SBB = 3;
export const FL_LOGIC = 4;
export const FL_MIX = 5;
export const FL_FULL = 6;

/** The linear memory: [0, 64 KiB) unused, states, TLBs, engine areas, then guest RAM from `ramBase`. */
export interface Layout {
  /** Address of the vCPU's state. */
  readonly state: number;
  /** What is counted in place of exits, see counted.ts. */
  readonly counted: number;
  /** Address of three data TLBs (supervisor, supervisor with AC or without SMAP, user), see tlb.ts, and of one that stays empty. */
  readonly dataTlbs: number;
  /** Address of two fetch TLBs (supervisor, user). */
  readonly fetchTlbs: number;
  /** Which of their entries may hold something, see tlb.ts. */
  readonly tlbLists: number;
  /** One attribute byte for each frame of RAM, see mmu.ts. */
  readonly frameAttrs: number;
  /** Decoded records and the jump cache: tier 0's and the JIT's own. */
  readonly engine: number;
  readonly engineBytes: number;
  readonly ramBase: number;
  readonly ramBytes: number;
}

export const DATA_TLB_ENTRIES = 16384;
/**
 * The entry for an address, by the low half of it: the page's number with the bits above 16 MiB folded in, so that two
 * buffers a power of two apart do not take each other's entries. `Access.entry` of the lowering computes the same.
 */
export const DATA_TLB_FOLD = 12;
const INDEX_MASK = DATA_TLB_ENTRIES - 1;
export function dataTlbIndex(lo: number): number {
  return ((lo ^ (lo >>> DATA_TLB_FOLD)) >>> 12) & INDEX_MASK;
}
/** A data TLB entry: read tag i64 @0, write tag i64 @8, addend u32 @16 (linear-memory address = low 32 bits of va + addend), frame u32 @20, flags u32 @24. */
export const DATA_TLB_STRIDE = 32;
/** Reaches 16 MiB: kernels have that much code, and entries for it that are global. */
export const FETCH_TLB_ENTRIES = 4096;
/** A fetch TLB entry: tag i64 @0, guest-physical address of the page u32 @8, flags u32 @12. */
export const FETCH_TLB_STRIDE = 16;
/** Entries that can hold something. */
export const TLB_ENTRIES = 3 * DATA_TLB_ENTRIES + 2 * FETCH_TLB_ENTRIES;
/** Of `Layout.tlbLists`: how many entries are listed, how many as global ones; and not 0 while only the MMU itself may translate data accesses. */
export const LISTED_COUNT = 0;
export const GLOBAL_COUNT = 4;
export const MMU_ONLY = 8;
/** There, too: where a walk in WebAssembly has found a device instead of RAM, the guest-physical address of its page. */
export const DEVICE_PAGE = 12;
/** Bytes, each for some regions of 2 MiB (and of 1 GiB): 1 if a part of a large page there was entered. */
export const MEGA_FILTER = 0x100;
export const GIGA_FILTER = 0x200;
export const FILTER_BYTES = 0x100;
/** Addresses of entries, i32 each. */
export const LISTED = 0x300;
export const LISTED_GLOBAL = LISTED + 4 * TLB_ENTRIES;
const TLB_LISTS_BYTES = LISTED_GLOBAL + 4 * TLB_ENTRIES;
/** A tag is the virtual page address (va & ~0xfff) as a signed number; this one never matches. */
export const NO_TAG = 1n;

const ENGINE_BYTES = 48 << 20;

export function layoutFor(ramBytes: number): Layout {
  const state = 0x10000;
  const counted = state + STATE_BYTES;
  const dataTlbs = state + 0x10000;
  const fetchTlbs = dataTlbs + 4 * DATA_TLB_ENTRIES * DATA_TLB_STRIDE;
  const tlbLists = fetchTlbs + 2 * FETCH_TLB_ENTRIES * FETCH_TLB_STRIDE;
  const frameAttrs = tlbLists + TLB_LISTS_BYTES;
  const engine = (frameAttrs + (ramBytes >>> 12) + 0xffff) & ~0xffff;
  return {
    state,
    counted,
    dataTlbs,
    fetchTlbs,
    tlbLists,
    frameAttrs,
    engine,
    engineBytes: ENGINE_BYTES,
    ramBase: engine + ENGINE_BYTES,
    ramBytes,
  };
}

/** Views of the linear memory. The memory never grows, so they stay valid. */
export interface Views {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly i64: BigInt64Array;
  readonly u64: BigUint64Array;
  readonly f64: Float64Array;
  /** For what is not aligned. */
  readonly data: DataView;
}

export function viewsOf(memory: WebAssembly.Memory): Views {
  const b = memory.buffer;
  return {
    u8: new Uint8Array(b),
    u16: new Uint16Array(b),
    i32: new Int32Array(b),
    u32: new Uint32Array(b),
    i64: new BigInt64Array(b),
    u64: new BigUint64Array(b),
    f64: new Float64Array(b),
    data: new DataView(b),
  };
}

/** One vCPU's state, for slow paths: 32-bit fields as numbers, 64-bit ones as halves, bigint or signed address. */
export class State {
  readonly base: number;
  readonly views: Views;
  /** All of it, by words. Signed: of a number beyond 2^31 that a call passes, V8 makes an object. */
  readonly words: Int32Array;

  constructor(views: Views, base: number) {
    this.views = views;
    this.base = base;
    this.words = views.i32.subarray(base >> 2, (base + STATE_BYTES) >> 2);
  }

  /** By name; hot paths give the field itself (`FIELDS.cpl`), which needs no lookup. */
  get(name: FieldName | Field): number {
    const { at, bits } = placeOf(name);
    if (bits === 16) return this.views.u16[(this.base + at) >> 1] as number;
    return this.views.u32[(this.base + at) >> 2] as number;
  }
  set(name: FieldName | Field, value: number): void {
    const { at, bits } = placeOf(name);
    if (bits === 16) this.views.u16[(this.base + at) >> 1] = value;
    else this.views.u32[(this.base + at) >> 2] = value;
  }
  /** The same for a field of 32 bits: as little as V8 can make of it, for what is asked at every exit. */
  word({ at }: Field): number {
    return this.views.u32[(this.base + at) >> 2] as number;
  }
  setWord({ at }: Field, value: number): void {
    this.views.u32[(this.base + at) >> 2] = value;
  }
  get64(name: FieldName): bigint {
    return this.views.u64[(this.base + placeOf(name).at) >> 3] as bigint;
  }
  set64(name: FieldName, value: bigint): void {
    this.views.u64[(this.base + placeOf(name).at) >> 3] = value;
  }
  /** A 64-bit field that holds an address, as a signed number (exact for canonical addresses). */
  getVa(name: FieldName | Field): number {
    return this.vaAt(placeOf(name).at);
  }
  setVa(name: FieldName | Field, va: number): void {
    this.setVaAt(placeOf(name).at, va);
  }
  vaAt(at: number): number {
    const i = (this.base + at) >> 2;
    return (this.views.i32[i + 1] as number) * 4294967296 + (this.views.u32[i] as number);
  }
  setVaAt(at: number, va: number): void {
    const i = (this.base + at) >> 2;
    this.views.u32[i] = va >>> 0;
    this.views.i32[i + 1] = Math.floor(va / 4294967296);
  }
  setHalves({ at }: Field, low: number, high: number): void {
    const i = (this.base + at) >> 2;
    this.views.u32[i] = low;
    this.views.u32[i + 1] = high;
  }
  gpr(n: number): bigint {
    return this.views.u64[(this.base + GPR_AT + n * 8) >> 3] as bigint;
  }
  setGpr(n: number, value: bigint): void {
    this.views.u64[(this.base + GPR_AT + n * 8) >> 3] = value;
  }
  /** Low half of a general register, unsigned. */
  gpr32(n: number): number {
    return this.views.u32[(this.base + GPR_AT + n * 8) >> 2] as number;
  }
  /** Its high half, unsigned. */
  gprHigh(n: number): number {
    return this.views.u32[((this.base + GPR_AT + n * 8) >> 2) + 1] as number;
  }
  setGprHalves(n: number, lo: number, hi: number): void {
    const i = (this.base + GPR_AT + n * 8) >> 2;
    this.views.u32[i] = lo;
    this.views.u32[i + 1] = hi;
  }
  /** A whole register, from a signed number that is exact. */
  setGprSigned(n: number, value: number): void {
    this.setVaAt(GPR_AT + n * 8, value);
  }
  /** Writes 32 bits and clears the upper half, as 32-bit instructions do. */
  setGpr32(n: number, value: number): void {
    const i = (this.base + GPR_AT + n * 8) >> 2;
    this.views.u32[i] = value;
    this.views.u32[i + 1] = 0;
  }
  seg(n: number, field: typeof SEG_LIMIT | typeof SEG_ATTR | typeof SEG_SELECTOR): number {
    return this.views.u32[(this.base + SEG_AT + n * SEG_STRIDE + field) >> 2] as number;
  }
  setSeg(
    n: number,
    field: typeof SEG_LIMIT | typeof SEG_ATTR | typeof SEG_SELECTOR,
    value: number,
  ): void {
    this.views.u32[(this.base + SEG_AT + n * SEG_STRIDE + field) >> 2] = value;
  }
  segBase(n: number): number {
    return this.vaAt(SEG_AT + n * SEG_STRIDE + SEG_BASE);
  }
  setSegBase(n: number, va: number): void {
    this.setVaAt(SEG_AT + n * SEG_STRIDE + SEG_BASE, va);
  }
  /** Argument `n` of the slow path being called. */
  arg32(n: number): number {
    return this.views.u32[(this.base + ARG_AT + n * 16) >> 2] as number;
  }
  argHigh(n: number): number {
    return this.views.u32[((this.base + ARG_AT + n * 16) >> 2) + 1] as number;
  }
  arg64(n: number): bigint {
    return this.views.u64[(this.base + ARG_AT + n * 16) >> 3] as bigint;
  }
  argVa(n: number): number {
    return this.vaAt(ARG_AT + n * 16);
  }
  argSet64(n: number, value: bigint): void {
    this.views.u64[(this.base + ARG_AT + n * 16) >> 3] = value;
  }
  ret32(n: number, value: number): void {
    this.views.u32[(this.base + RET_AT + n * 16) >> 2] = value;
    this.views.u32[((this.base + RET_AT + n * 16) >> 2) + 1] = 0;
  }
  ret64(n: number, value: bigint): void {
    this.views.u64[(this.base + RET_AT + n * 16) >> 3] = BigInt.asUintN(64, value);
  }
  /** Engines stop at the next boundary; what they may still run is kept in `slack`. */
  withholdBudget(): void {
    this.setWord(FIELDS.slack, this.word(FIELDS.slack) + this.word(FIELDS.budget));
    this.setWord(FIELDS.budget, 0);
  }
  giveBackBudget(): void {
    this.setWord(FIELDS.budget, this.word(FIELDS.budget) + this.word(FIELDS.slack));
    this.setWord(FIELDS.slack, 0);
  }
  /** Records a fault; the caller returns 1 at once. `error` null: the vector has no error code. */
  raise(vector: number, error: number | null): 1 {
    this.setWord(FIELDS.faultVector, vector);
    this.setWord(FIELDS.faultError, error ?? 0);
    this.setWord(FIELDS.faultHasError, error === null ? 0 : 1);
    return 1;
  }
}
