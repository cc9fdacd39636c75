// C structure layouts: field offsets by the ABI's alignment rules, checked sizes, typed reads and writes.

import { bug } from './errors.ts';

/**
 * `u64` and `s64` are numbers and are refused outside +-2^53; `u64pair` is for fields that may hold any 64 bits
 * (page-table entries, MSRs, hostile flags). `va64` is an address as the MMU takes it: signed, exact if canonical.
 */
export type Scalar =
  | ('u8' | 'u16' | 'u32' | 'u64' | 's8' | 's16' | 's32' | 's64')
  | ('u64pair' | 'va64');
type FieldType = Scalar | `${Scalar}[${number}]`;
// biome-ignore lint/suspicious/noExplicitAny: the only way to say "a struct of any fields"; nothing is read through it.
type AnyStruct = Struct<any>;
type Field = FieldType | AnyStruct | { readonly type: FieldType | AnyStruct; readonly at: number };
export type Fields = { readonly [name: string]: Field };

/** The two halves of a 64-bit field, both unsigned. */
export interface Pair {
  readonly lo: number;
  readonly hi: number;
}

type ScalarValue<S extends Scalar> = S extends 'u64pair' ? Pair : number;
type TypeValue<T> =
  T extends Struct<infer F>
    ? StructValue<F>
    : T extends Scalar
      ? ScalarValue<T>
      : T extends `${infer S extends Scalar}[${number}]`
        ? ScalarValue<S>[]
        : never;
type FieldValue<T> = T extends { readonly type: infer U; readonly at: number }
  ? TypeValue<U>
  : TypeValue<T>;
type Writable<T> = T extends (infer E)[] ? ArrayLike<E> : T;

/** What `read` gives: a plain object, one member per field. */
export type StructValue<F extends Fields> = { -readonly [K in keyof F]: FieldValue<F[K]> };
/** What `write` takes: any subset of the fields; a nested structure is written whole. */
export type StructPatch<F extends Fields> = {
  readonly [K in keyof F]?: Writable<FieldValue<F[K]>>;
};

export interface Struct<F extends Fields> {
  readonly name: string;
  /** Bytes, tail padding included. */
  readonly size: number;
  readonly align: number;
  readonly fields: F;
  offsetOf(field: keyof F & string): number;
  bytesOf(field: keyof F & string): number;
  /** `null` when the structure leaves the view, or a `u64` or `s64` in it is not a safe integer. */
  read(view: DataView, at: number): StructValue<F> | null;
  /**
   * Writes the fields present in `patch` and no other byte. `false`, and nothing written, when the structure leaves the
   * view. A value that its field cannot hold is a bug of the caller: values come from us, addresses from guests.
   */
  write(view: DataView, at: number, patch: StructPatch<F>): boolean;
}

export interface StructOptions {
  /** `sizeof` by the C header. Checked when the module loads; with explicit offsets the fields need only fit into it. */
  readonly size: number;
  /** `__attribute__((packed))`. */
  readonly packed?: boolean;
  /** i386 aligns 64-bit members to 4 bytes (System V ABI i386 2.1), x86-64 to 8. */
  readonly abi?: 'x86-64' | 'i386';
}

interface Codec {
  readonly bytes: number;
  /** `undefined` stands for a value that a number cannot hold. */
  get(view: DataView, at: number): unknown;
  fits(value: unknown): boolean;
  set(view: DataView, at: number, value: unknown): void;
}

interface Slot {
  readonly name: string;
  readonly at: number;
  readonly codec: Codec;
}

interface Layout {
  readonly slots: readonly Slot[];
  readonly end: number;
  readonly align: number;
  readonly sparse: boolean;
}

const TWO_32 = 0x1_0000_0000;

const isWhole = (value: unknown, min: number, max: number): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;

const isPair = (value: unknown): value is Pair =>
  typeof value === 'object' &&
  value !== null &&
  'lo' in value &&
  'hi' in value &&
  isWhole(value.lo, 0, TWO_32 - 1) &&
  isWhole(value.hi, 0, TWO_32 - 1);

function small(
  bits: 8 | 16 | 32,
  signed: boolean,
  get: (view: DataView, at: number) => number,
  set: (view: DataView, at: number, value: number) => void,
): Codec {
  const min = signed ? -(2 ** (bits - 1)) : 0;
  const max = signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
  return {
    bytes: bits / 8,
    get,
    fits: (value) => isWhole(value, min, max),
    set: (view, at, value) => set(view, at, value as number),
  };
}

function wide(signed: boolean): Codec {
  return {
    bytes: 8,
    get(view, at) {
      const hi = signed ? view.getInt32(at + 4, true) : view.getUint32(at + 4, true);
      const value = hi * TWO_32 + view.getUint32(at, true);
      return Number.isSafeInteger(value) ? value : undefined;
    },
    fits: (value) => Number.isSafeInteger(value) && (signed || (value as number) >= 0),
    set(view, at, value) {
      const hi = Math.floor((value as number) / TWO_32);
      view.setUint32(at, (value as number) - hi * TWO_32, true);
      view.setInt32(at + 4, hi, true);
    },
  };
}

const address: Codec = {
  ...wide(true),
  get: (view, at) => view.getInt32(at + 4, true) * TWO_32 + view.getUint32(at, true),
};

const pair: Codec = {
  bytes: 8,
  get: (view, at): Pair => ({ lo: view.getUint32(at, true), hi: view.getUint32(at + 4, true) }),
  fits: isPair,
  set(view, at, value) {
    view.setUint32(at, (value as Pair).lo, true);
    view.setUint32(at + 4, (value as Pair).hi, true);
  },
};

const scalars: Readonly<Record<Scalar, Codec>> = {
  u8: small(
    8,
    false,
    (v, at) => v.getUint8(at),
    (v, at, x) => v.setUint8(at, x),
  ),
  u16: small(
    16,
    false,
    (v, at) => v.getUint16(at, true),
    (v, at, x) => v.setUint16(at, x, true),
  ),
  u32: small(
    32,
    false,
    (v, at) => v.getUint32(at, true),
    (v, at, x) => v.setUint32(at, x, true),
  ),
  u64: wide(false),
  s8: small(
    8,
    true,
    (v, at) => v.getInt8(at),
    (v, at, x) => v.setInt8(at, x),
  ),
  s16: small(
    16,
    true,
    (v, at) => v.getInt16(at, true),
    (v, at, x) => v.setInt16(at, x, true),
  ),
  s32: small(
    32,
    true,
    (v, at) => v.getInt32(at, true),
    (v, at, x) => v.setInt32(at, x, true),
  ),
  s64: wide(true),
  u64pair: pair,
  va64: address,
};

export function struct<const F extends Fields>(
  name: string,
  fields: F,
  options: StructOptions,
): Struct<F> {
  const { slots, end, align, sparse } = layOut(name, fields, options);
  const { size } = options;
  const sizeof = Math.ceil(end / align) * align;
  if (sparse ? size < end : size !== sizeof) {
    bug(`struct ${name}: declared as ${size} bytes, but its fields take ${sparse ? end : sizeof}`);
  }
  const fitsView = (view: DataView, at: number): boolean =>
    Number.isInteger(at) && at >= 0 && at + size <= view.byteLength;
  const slotOf = (field: string): Slot =>
    slots.find((s) => s.name === field) ?? bug(`struct ${name} has no field ${field}`);
  return {
    name,
    size,
    align,
    fields,
    offsetOf: (field) => slotOf(field).at,
    bytesOf: (field) => slotOf(field).codec.bytes,
    read(view, at) {
      return fitsView(view, at) ? (readSlots(slots, view, at) as StructValue<F> | null) : null;
    },
    write(view, at, patch) {
      checkPatch(name, slots, patch);
      if (!fitsView(view, at)) return false;
      writeSlots(slots, view, at, patch);
      return true;
    },
  };
}

function layOut(name: string, fields: Fields, options: StructOptions): Layout {
  const slots: Slot[] = [];
  let end = 0;
  let next = 0;
  let align = 1;
  let sparse = false;
  for (const [field, spec] of Object.entries(fields)) {
    // JavaScript sorts integer-like keys first, which would reorder the structure.
    if (!/^[A-Za-z_]\w*$/.test(field)) bug(`struct ${name}: '${field}' is not a C field name`);
    const explicit = typeof spec === 'object' && 'at' in spec;
    const part = codecOf(name, explicit ? spec.type : spec, options);
    const at = explicit ? spec.at : Math.ceil(next / part.align) * part.align;
    if (!Number.isInteger(at) || at < 0) bug(`struct ${name}: ${field} cannot be at ${at}`);
    slots.push({ name: field, at, codec: part.codec });
    sparse ||= explicit;
    align = Math.max(align, part.align);
    next = at + part.codec.bytes;
    end = Math.max(end, next);
  }
  return { slots, end, align, sparse };
}

function codecOf(
  name: string,
  type: FieldType | AnyStruct,
  options: StructOptions,
): { codec: Codec; align: number } {
  if (typeof type === 'object') {
    return { codec: nested(type), align: options.packed ? 1 : type.align };
  }
  const [, scalar = '', count] = /^(\w+?)(?:\[(\d+)\])?$/.exec(type) ?? [];
  const element = Object.hasOwn(scalars, scalar) ? scalars[scalar as Scalar] : undefined;
  if (!element || count === '0') bug(`struct ${name}: '${type}' is not a field type`);
  const align = options.packed ? 1 : Math.min(element.bytes, options.abi === 'i386' ? 4 : 8);
  return { codec: count === undefined ? element : arrayOf(element, Number(count)), align };
}

function arrayOf(element: Codec, count: number): Codec {
  const { bytes } = element;
  return {
    bytes: bytes * count,
    get(view, at) {
      const values: unknown[] = [];
      for (let i = 0; i < count; i++) {
        const value = element.get(view, at + i * bytes);
        if (value === undefined) return undefined;
        values.push(value);
      }
      return values;
    },
    fits(value) {
      const list = value as ArrayLike<unknown> | null;
      return (
        typeof list === 'object' && list?.length === count && Array.from(list).every(element.fits)
      );
    },
    set(view, at, value) {
      const list = value as ArrayLike<unknown>;
      for (let i = 0; i < count; i++) element.set(view, at + i * bytes, list[i]);
    },
  };
}

function nested(inner: AnyStruct): Codec {
  const names = Object.keys(inner.fields);
  return {
    bytes: inner.size,
    get: (view, at) => inner.read(view, at) ?? undefined,
    // The inner write checks each member; a missing one would leave stale bytes behind.
    fits: (value) =>
      typeof value === 'object' && value !== null && names.every((n) => Object.hasOwn(value, n)),
    set: (view, at, value) => inner.write(view, at, value as object),
  };
}

function readSlots(slots: readonly Slot[], view: DataView, at: number): object | null {
  const value: Record<string, unknown> = {};
  for (const slot of slots) {
    const part = slot.codec.get(view, at + slot.at);
    if (part === undefined) return null;
    value[slot.name] = part;
  }
  return value;
}

/** Before the first byte is written: a refused value leaves no trace. */
function checkPatch(name: string, slots: readonly Slot[], patch: object): void {
  for (const [field, value] of Object.entries(patch)) {
    const slot = slots.find((s) => s.name === field);
    if (!slot) bug(`struct ${name} has no field ${field}`);
    if (!slot.codec.fits(value)) bug(`struct ${name}: ${field} cannot hold ${String(value)}`);
  }
}

function writeSlots(slots: readonly Slot[], view: DataView, at: number, patch: object): void {
  for (const slot of slots) {
    if (!Object.hasOwn(patch, slot.name)) continue;
    slot.codec.set(view, at + slot.at, (patch as Record<string, unknown>)[slot.name]);
  }
}
