// Snapshots: named slots of plain state; save is copy, restore is assign, and one stable byte form for the state hash.

import { bug, InputError } from '../base/errors.ts';

export const SNAPSHOT_VERSION = 1;

export type Plain =
  | number
  | boolean
  | string
  | readonly Plain[]
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | Float64Array
  | { readonly [field: string]: Plain };

export interface Snapshot {
  readonly version: number;
  readonly slots: Readonly<Record<string, Plain>>;
}

interface Slot {
  save(): Plain;
  restore(saved: Plain): void;
}

type Typed = Uint8Array | Uint16Array | Uint32Array | Float64Array;

/** Devices and interfaces register here; order does not matter, names do. */
export class SnapshotSlots {
  private readonly slots = new Map<string, Slot>();

  add(name: string, slot: Slot): void {
    if (this.slots.has(name)) bug(`snapshot slot ${name} exists twice`);
    this.slots.set(name, slot);
  }

  /** A slot whose state is one object that its owner keeps: copied out, assigned back in place. */
  addState(name: string, state: object, restored: () => void = () => {}): void {
    this.add(name, {
      save: () => copyState(state as Plain),
      restore(saved) {
        assignState(state as Plain, saved, name);
        restored();
      },
    });
  }

  save(): Snapshot {
    const slots: Record<string, Plain> = {};
    for (const [name, slot] of this.slots) slots[name] = slot.save();
    return { version: SNAPSHOT_VERSION, slots };
  }

  restore(snapshot: Snapshot): void {
    if (snapshot.version !== SNAPSHOT_VERSION) {
      refuse(`a snapshot of version ${snapshot.version} cannot be restored`);
    }
    for (const name of this.slots.keys()) {
      if (!Object.hasOwn(snapshot.slots, name)) refuse(`the snapshot has no slot ${name}`);
    }
    for (const [name, slot] of this.slots) slot.restore(snapshot.slots[name]!);
  }

  /** Equal states give equal bytes, whatever the order of registration or of fields. */
  bytes(): Uint8Array {
    return stateBytes(this.save().slots);
  }
}

export function copyState(value: Plain): Plain {
  if (typeof value !== 'object') return value;
  if (isTyped(value)) return value.slice();
  if (isList(value)) return value.map(copyState);
  const copy: Record<string, Plain> = {};
  for (const key of Object.keys(value)) copy[key] = copyState(value[key]!);
  return copy;
}

/** Assigns in place, because handlers hold the objects; a different shape is refused. */
export function assignState(target: Plain, source: Plain, where: string): void {
  if (typeof target !== 'object' || typeof source !== 'object')
    refuse(`${where} has another shape`);
  if (isTyped(target)) {
    if (!isTyped(source) || source.constructor !== target.constructor)
      refuse(`${where} has another shape`);
    if (source.length !== target.length) refuse(`${where} has ${source.length} elements`);
    target.set(source);
    return;
  }
  if (isTyped(source) || isList(source) !== isList(target)) refuse(`${where} has another shape`);
  if (isList(target) && isList(source)) {
    (target as Plain[]).length = source.length;
  }
  const to = target as Record<string, Plain>;
  const from = source as Record<string, Plain>;
  for (const key of Object.keys(isList(target) ? source : target)) {
    const value = from[key];
    if (value === undefined) refuse(`${where}.${key} is missing`);
    const held = to[key];
    if (held === undefined) to[key] = copyState(value);
    else if (typeof held === 'object') assignState(held, value, `${where}.${key}`);
    else if (typeof held !== typeof value) refuse(`${where}.${key} has another type`);
    else to[key] = value;
  }
}

/** Tagged, length-prefixed, fields in the order of their names; numbers as little-endian doubles. */
export function stateBytes(value: Plain): Uint8Array {
  const sink = new ByteSink();
  put(sink, value);
  return sink.done();
}

function put(sink: ByteSink, value: Plain): void {
  if (typeof value === 'number') {
    if (Number.isNaN(value)) bug('NaN in machine state');
    sink.byte(1);
    sink.double(value);
    return;
  }
  if (typeof value === 'boolean') {
    sink.byte(value ? 3 : 2);
    return;
  }
  if (typeof value === 'string') {
    sink.byte(4);
    sink.text(value);
    return;
  }
  if (isTyped(value)) {
    sink.byte(5);
    sink.byte(value.BYTES_PER_ELEMENT);
    sink.double(value.length);
    if (value.BYTES_PER_ELEMENT === 1) sink.all(value as Uint8Array);
    else if (value instanceof Float64Array) for (const item of value) sink.double(item);
    else sink.integers(value as Uint16Array | Uint32Array);
    return;
  }
  if (isList(value)) {
    sink.byte(6);
    sink.double(value.length);
    for (const item of value) put(sink, item);
    return;
  }
  const keys = Object.keys(value).sort();
  sink.byte(7);
  sink.double(keys.length);
  for (const key of keys) {
    sink.text(key);
    put(sink, value[key]!);
  }
}

class ByteSink {
  private bytes = new Uint8Array(4096);
  private view = new DataView(this.bytes.buffer);
  private used = 0;

  byte(value: number): void {
    this.room(1);
    this.bytes[this.used++] = value;
  }

  double(value: number): void {
    this.room(8);
    this.view.setFloat64(this.used, value + 0, true); // + 0: there is one zero only.
    this.used += 8;
  }

  all(bytes: Uint8Array): void {
    this.room(bytes.length);
    this.bytes.set(bytes, this.used);
    this.used += bytes.length;
  }

  /** As doubles: a table of an interface may have one for each frame of the machine, so they are converted at once. */
  integers(values: Uint16Array | Uint32Array): void {
    this.all(new Uint8Array(new Float64Array(values).buffer));
  }

  text(value: string): void {
    this.double(value.length);
    this.room(value.length * 2);
    for (let i = 0; i < value.length; i++, this.used += 2) {
      this.view.setUint16(this.used, value.charCodeAt(i), true);
    }
  }

  done(): Uint8Array {
    return this.bytes.slice(0, this.used);
  }

  private room(count: number): void {
    if (this.used + count <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.used + count));
    larger.set(this.bytes);
    this.bytes = larger;
    this.view = new DataView(larger.buffer);
  }
}

function isTyped(value: Plain): value is Typed {
  return ArrayBuffer.isView(value);
}

function isList(value: Plain): value is readonly Plain[] {
  return Array.isArray(value);
}

function refuse(message: string): never {
  throw new InputError(
    'machine/snapshot',
    message,
    'restore it into the same machine model of the same version of pvops',
  );
}
