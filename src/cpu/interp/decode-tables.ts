// What quick-decode.ts has learned from decode.ts, as tables in linear memory: opcodes, templates of instructions, handler numbers.

import type { Decoded } from '../decoded.ts';
import { codedBytes, type Slot, slotsOf } from '../shape.ts';
import { GPR_AT, type Layout, ST_AT, type Views, XMM_AT } from '../state.ts';
import { forms, tables } from '../table.ts';
import { COUNTERS_BYTES, countersAt } from './counters.ts';
import type { FormFacts } from './handlers.ts';
import type { Shape } from './records.ts';

/**
 * What tells templates apart, 32 bits: opcode map and opcode, where an entry of the table asks the reg and rm fields of
 * ModRM and whether rm is a register, prefixes, code mode. All that decode.ts asks to choose form, sizes and operands.
 */
export const KEY_OPCODE = 0x3ff;
export const KEY_REG_SHIFT = 10;
export const KEY_REGISTER = 1 << 13;
export const KEY_RM_SHIFT = 14;
export const KEY_66 = 1 << 17;
export const KEY_67 = 1 << 18;
export const KEY_LOCK = 1 << 19;
export const KEY_F2 = 1 << 20;
export const KEY_F3 = 1 << 21;
export const KEY_W = 1 << 22;
export const KEY_32 = 1 << 23;
export const KEY_64 = 1 << 24;
export const KEY_STACK = 1 << 25;
export const KEY_LIMITED = 1 << 26;
/** Set in each key: an empty place has none. */
export const KEY_VALID = 1 << 31;

/** Prefixes by byte, u32: the bits of the key that they set; a segment's number + 1; REX. */
export const PREFIX_SEGMENT = 15;
export const PREFIX_REX = 16;

/** Of an opcode, u8 (0: not asked about yet), for 64-bit code and then for the other modes: what of ModRM the key holds. */
export const CLASS_KNOWN = 1;
export const CLASS_MODRM = 2;
export const CLASS_REG = 4;
export const CLASS_RM = 8;
export const OPCODES = 1024;

/** A template: its key, u32; the form's number in handler keys, u32; bits, u16; producer of the flags that it leaves, u8 ... */
export const T_KEY = 0;
export const T_FORM = 4;
export const T_BITS = 8;
export const T_LEAVES = 10;
/** ... bytes of immediates and of an absolute address, u8 each; operand and address size as records have them, u8 each ... */
export const T_IMM0 = 11;
export const T_IMM1 = 12;
export const T_MOFFS = 13;
export const T_OSIZE = 14;
export const T_ASIZE = 15;
/** ... and where the register of slots 0 and 1 comes from, u32 each: SLOT_*. */
export const T_SLOT = 16;
const TEMPLATE_BYTES = 32;
/** What of it is used. */
const TEMPLATE_USED = 24;

export const BIT_MEMORY = 1;
export const BIT_BRANCHES = 2;
export const BIT_ENDS = 4;
export const BIT_FALLS = 8;
export const BIT_READS_FLAGS = 16;
/** rSP as base means something else. */
export const BIT_ASKS_SP = 32;

/** A slot: field (0: no register), numbering, log2 of the stride; above them the state offset of the first register. */
export const SLOT_FIELD = 3;
export const SLOT_REG = 1;
export const SLOT_RM = 2;
export const SLOT_OPCODE = 3;
export const SLOT_BYTE = 4;
export const SLOT_LOW = 8;
export const SLOT_STRIDE_SHIFT = 4;
export const SLOT_STRIDE = 15;
export const SLOT_BASE_SHIFT = 16;

/** A handler's key: number of the form's facts, address shape (`SHAPES`), producer of the flags before it. */
export const KIND_BITS = 7;
export const KIND_SHAPE = 5;
export const SHAPES: Readonly<Record<Shape, number>> = { s: 0, f: 1, a: 2, c: 3 };
/** Producers: 0 is none that is known; and this one means that those before are left. */
export const KEPT = 31;

/** Where the tables lie, from their beginning. Both hash tables have sets of two, by `key * HASH >>> shift`. */
export const PREFIXES = 0;
export const CLASSES = PREFIXES + 256 * 4;
/** One bit for a hash of each address in `alone`. */
export const ALONE = CLASSES + 2 * OPCODES;
const ALONE_BITS = 1 << 16;
export const ALONE_MASK = ALONE_BITS - 1;
/** Where decoding stopped, and what is free for blocks: see quick-decode.ts. */
export const FRAME = ALONE + ALONE_BITS / 8;
const FRAME_BYTES = 32;
export const TEMPLATES = FRAME + FRAME_BYTES;
const TEMPLATE_SETS = 4096;
/** A handler's key (form and kind) with KEY_VALID, u32, and its number, u32. */
export const HANDLERS = TEMPLATES + TEMPLATE_SETS * 2 * TEMPLATE_BYTES;
const HANDLER_SETS = 4096;
export const HANDLER_BYTES = 8;
export const TEMPLATE_STRIDE = TEMPLATE_BYTES;
/** A multiple of RECORD_BYTES. */
export const TABLES_BYTES = HANDLERS + HANDLER_SETS * 2 * HANDLER_BYTES;
export const HASH = 0x9e3779b1;
export const TEMPLATE_SHIFT = 32 - Math.log2(TEMPLATE_SETS);
export const HANDLER_SHIFT = 32 - Math.log2(HANDLER_SETS);

export function tablesAt(layout: Layout): number {
  return countersAt(layout) + COUNTERS_BYTES;
}

/** The part of a template's key that code mode and mode key give. */
export function keyOfMode(mode: 16 | 32 | 64, otherStack: boolean, limited: boolean): number {
  const size = mode === 64 ? KEY_64 : mode === 32 ? KEY_32 : 0;
  return KEY_VALID | size | (otherStack ? KEY_STACK : 0) | (limited ? KEY_LIMITED : 0);
}

/** What one decoder has learned, for others. */
export interface Learned {
  /** Classes of all opcodes as they stand in the tables. */
  readonly classes: Uint8Array;
  /** Templates one after the other; in place of the form's number stands its place in `forms`. */
  readonly templates: Uint8Array;
  /** Keys of forms, `Decoded.key`. */
  readonly forms: readonly string[];
}

export class DecodeTables {
  readonly at: number;
  private readonly views: Views;

  constructor(views: Views, layout: Layout) {
    this.views = views;
    this.at = tablesAt(layout);
    views.u8.fill(0, this.at, this.at + TABLES_BYTES);
    prefixes().forEach((bits, byte) => {
      views.u32[((this.at + PREFIXES) >> 2) + byte] = bits;
    });
  }

  /** Of the form and kind; 0: not known, or no longer. */
  handler(formAndKind: number): number {
    const { u32 } = this.views;
    const key = (formAndKind | KEY_VALID) >>> 0;
    const word = this.handlerSet(key) >> 2;
    if (u32[word] === key) return u32[word + 1] as number;
    return u32[word + 2] === key ? (u32[word + 3] as number) : 0;
  }

  setHandler(formAndKind: number, number: number): void {
    const { u32 } = this.views;
    const key = (formAndKind | KEY_VALID) >>> 0;
    const word = this.handlerSet(key) >> 2;
    u32.copyWithin(word + 2, word, word + 2);
    u32[word] = key;
    u32[word + 1] = number;
  }

  forgetHandlers(): void {
    this.views.u8.fill(0, this.at + HANDLERS, this.at + TABLES_BYTES);
  }

  /** This address, in linear memory, has to be asked about. */
  setAlone(address: number): void {
    const bit = (address ^ (address >>> 16)) & ALONE_MASK;
    const at = this.at + ALONE + (bit >> 3);
    this.views.u8[at] = (this.views.u8[at] as number) | (1 << (bit & 7));
  }

  clearAlone(): void {
    this.views.u8.fill(0, this.at + ALONE, this.at + ALONE + ALONE_BITS / 8);
  }

  /** `index`: the opcode's among the classes. */
  learnClass(index: number): void {
    const entry = (index < OPCODES ? tables.long : tables.legacy)[index & (OPCODES - 1)];
    let bits = CLASS_KNOWN;
    if (entry?.hasModrm) {
      bits |= CLASS_MODRM;
      for (const f of entry.lists.flat()) {
        if (f.digit >= 0 || f.exact >= 0) bits |= CLASS_REG;
        if (f.exact >= 0) bits |= CLASS_RM;
      }
    }
    this.views.u8[this.at + CLASSES + index] = bits;
  }

  /** `d` is what decode.ts made of an instruction with this key. Does nothing where a template cannot say what it would. */
  learn(key: number, d: Decoded, { id, traits, program }: FormFacts): void {
    const f = forms[d.formId]!;
    const { variant } = d;
    const moffs = f.args.some((a) => a.from === 'moffs') ? variant.asize / 8 : 0;
    if (moffs !== 0 && variant.mode === 64) return; // Its upper half may count.
    const memory = d.hasMem && moffs === 0;
    if (f.mod === 'ignored' || (memory && variant.asize === 16)) return;
    const slots = registerSlots(d, slotsOf(f, variant, memory));
    if (!slots) return;
    const { u8, u16, u32 } = this.views;
    const at = this.templateFor(key);
    const imms = f.args.map((a) => (a.from === 'imm' ? codedBytes(a.coded, variant.osize) : 0));
    u32[(at + T_KEY) >> 2] = key;
    u32[(at + T_FORM) >> 2] = id << KIND_BITS;
    u16[(at + T_BITS) >> 1] =
      (memory ? BIT_MEMORY : 0) |
      (traits.branches ? BIT_BRANCHES : 0) |
      (program.ends ? BIT_ENDS : 0) |
      (traits.falls ? BIT_FALLS : 0) |
      (traits.readsFlags ? BIT_READS_FLAGS : 0) |
      (f.form.asksSpBase ? BIT_ASKS_SP : 0);
    u8[at + T_LEAVES] = traits.leaves;
    const [imm0 = 0, imm1 = 0] = imms.filter((n) => n !== 0);
    u8[at + T_IMM0] = imm0;
    u8[at + T_IMM1] = imm1;
    u8[at + T_MOFFS] = moffs;
    u8[at + T_OSIZE] = variant.osize;
    u8[at + T_ASIZE] = variant.asize;
    u32[(at + T_SLOT) >> 2] = slots[0] ?? 0;
    u32[(at + T_SLOT + 4) >> 2] = slots[1] ?? 0;
  }

  /** `formOf`: the number of a form by its key. */
  load({ classes, templates, forms: keys }: Learned, formOf: (key: string) => number): void {
    const { u8, u32 } = this.views;
    const data = new DataView(templates.buffer, templates.byteOffset);
    u8.set(classes, this.at + CLASSES);
    for (let from = 0; from < templates.length; from += TEMPLATE_USED) {
      const at = this.templateFor(data.getUint32(from + T_KEY, true));
      u8.set(templates.subarray(from, from + TEMPLATE_USED), at);
      const form = keys[data.getUint32(from + T_FORM, true)] ?? '';
      u32[(at + T_FORM) >> 2] = formOf(form) << KIND_BITS;
    }
  }

  /** `keys`: of the forms learned, by number; a template of another one is left out. */
  save(keys: ReadonlyMap<number, string>, order: readonly string[]): Learned {
    const { u8, u32 } = this.views;
    const places = new Map(order.map((key, n) => [key, n]));
    const bytes: number[] = [];
    for (let at = this.at + TEMPLATES; at < this.at + HANDLERS; at += TEMPLATE_BYTES) {
      const key = keys.get((u32[(at + T_FORM) >> 2] as number) >>> KIND_BITS);
      const place = key === undefined ? undefined : places.get(key);
      if (u32[at >> 2] === 0 || place === undefined) continue;
      const entry = u8.slice(at, at + TEMPLATE_USED);
      new DataView(entry.buffer).setUint32(T_FORM, place, true);
      bytes.push(...entry);
    }
    const classes = u8.slice(this.at + CLASSES, this.at + CLASSES + 2 * OPCODES);
    return { classes, templates: Uint8Array.from(bytes), forms: order };
  }

  private handlerSet(key: number): number {
    const set = Math.imul(key, HASH) >>> HANDLER_SHIFT;
    return this.at + HANDLERS + set * 2 * HANDLER_BYTES;
  }

  /** The place for a new template; what has been longest in its set goes. */
  private templateFor(key: number): number {
    const set = Math.imul(key, HASH) >>> TEMPLATE_SHIFT;
    const at = this.at + TEMPLATES + set * 2 * TEMPLATE_BYTES;
    this.views.u8.copyWithin(at + TEMPLATE_BYTES, at, at + TEMPLATE_BYTES);
    return at;
  }
}

function prefixes(): number[] {
  const bits = Array.from({ length: 256 }, () => 0);
  bits[0x66] = KEY_66;
  bits[0x67] = KEY_67;
  bits[0xf0] = KEY_LOCK;
  bits[0xf2] = KEY_F2;
  bits[0xf3] = KEY_F3;
  [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65].forEach((byte, n) => {
    bits[byte] = n + 1;
  });
  bits.fill(PREFIX_REX, 0x40, 0x50);
  return bits;
}

/** By slot, as T_SLOT has them; null: a register that is none of these. */
function registerSlots(d: Decoded, slots: readonly Slot[]): number[] | null {
  if (slots.length > 2) return null;
  const made: number[] = [];
  for (const o of d.operands) {
    if (o.kind !== 'reg' || o.fixed !== undefined) continue;
    const place = REGISTERS[o.file];
    const slot = slots[o.slot];
    if (!place || !slot) return null;
    made[o.slot] =
      (place.at << SLOT_BASE_SHIFT) |
      (place.stride << SLOT_STRIDE_SHIFT) |
      FIELD[slot.from] |
      (slot.numbering === 'byte' ? SLOT_BYTE : slot.numbering === 'low' ? SLOT_LOW : 0);
  }
  return made;
}

const FIELD: Readonly<Record<Slot['from'], number>> = {
  reg: SLOT_REG,
  rm: SLOT_RM,
  opcode: SLOT_OPCODE,
};

/** As `registerOffset` of records.ts; `stride` is its logarithm. */
const REGISTERS: Readonly<Record<string, { at: number; stride: number }>> = {
  gpr: { at: GPR_AT, stride: 3 },
  xmm: { at: XMM_AT, stride: 4 },
  mm: { at: ST_AT, stride: 4 },
  st: { at: 0, stride: 0 },
};
