// A trace in its binary form: texts once, times as differences, in blocks that can be checked.

import { crc32, utf8Bytes } from '../../image/index.ts';
import {
  BINARY_MAGIC,
  BLOCK_BYTES,
  BLOCK_HEAD,
  VALUE,
  ZIGZAG_MAX,
  zigzag,
} from './binary-format.ts';
import type { TraceHead, TraceWriter } from './format.ts';
import type { TraceEvent } from './tracer.ts';

const HEX = /^0x(0|[1-9a-f][0-9a-f]*)$/;

export function binaryWriter(head: TraceHead): TraceWriter {
  const block = new BlockWriter();
  const NOTHING = new Uint8Array(0);
  return {
    head() {
      const text = utf8Bytes(JSON.stringify(head));
      const out = new Uint8Array(BINARY_MAGIC.length + 4 + text.length);
      out.set(BINARY_MAGIC);
      new DataView(out.buffer).setUint32(BINARY_MAGIC.length, text.length, true);
      out.set(text, BINARY_MAGIC.length + 4);
      return out;
    },
    event(event) {
      block.event(event);
      return block.bytes >= BLOCK_BYTES ? block.take() : NOTHING;
    },
    tail: () => (block.bytes > 0 ? block.take() : NOTHING),
  };
}

class BlockWriter {
  bytes = 0;
  private out = new Uint8Array(2 * BLOCK_BYTES);
  private readonly texts = new Map<string, number>();
  private readonly shapes = new Map<string, number>();
  private retired = 0;
  private nanos = 0;

  event(event: TraceEvent): void {
    const names = Object.keys(event.args);
    this.shape(event, names);
    this.text(event.caller);
    this.text(event.callers);
    this.varint(event.vcpu);
    const [retired, nanos] = [event.retired - this.retired, event.nanos - this.nanos];
    this.varint(zigzag(retired));
    this.varint(zigzag(nanos - retired));
    this.retired = event.retired;
    this.nanos = event.nanos;
    this.varint(event.instructions);
    this.value(event.effect);
    for (const name of names) this.value(event.args[name]!);
  }

  /** The block so far, with its head. */
  take(): Uint8Array {
    const content = this.out.subarray(0, this.bytes);
    const block = new Uint8Array(BLOCK_HEAD + this.bytes);
    const view = new DataView(block.buffer);
    view.setUint32(0, this.bytes, true);
    view.setUint32(4, crc32(content), true);
    block.set(content, BLOCK_HEAD);
    this.bytes = 0;
    return block;
  }

  /** What events of a kind have in common; the first of them tells it. */
  private shape({ operations, entryPoint, within }: TraceEvent, names: readonly string[]): void {
    const key = [operations.join(' '), entryPoint, within ?? '', ...names].join('\n');
    const known = this.shapes.get(key);
    this.varint(known ?? this.shapes.size);
    if (known !== undefined) return;
    this.shapes.set(key, this.shapes.size);
    this.varint(operations.length);
    for (const id of operations) this.text(id);
    this.text(entryPoint);
    this.varint(within === null ? 0 : 1);
    if (within !== null) this.text(within);
    this.varint(names.length);
    for (const name of names) this.text(name);
  }

  private text(text: string): void {
    const known = this.texts.get(text);
    this.varint(known ?? this.texts.size);
    if (known !== undefined) return;
    this.texts.set(text, this.texts.size);
    const bytes = utf8Bytes(text);
    this.varint(bytes.length);
    this.raw(bytes);
  }

  private value(value: number | string | null): void {
    if (value === null) return this.varint(VALUE.null);
    if (typeof value === 'number') return this.number(value);
    if (!HEX.test(value)) {
      this.varint(VALUE.text);
      return this.text(value);
    }
    const digits = value.length % 2 === 0 ? value.slice(2) : `0${value.slice(2)}`;
    this.varint(VALUE.hex);
    this.varint(digits.length / 2);
    this.raw(
      Uint8Array.from({ length: digits.length / 2 }, (_, n) =>
        Number.parseInt(digits.slice(2 * n, 2 * n + 2), 16),
      ),
    );
  }

  private number(value: number): void {
    if (Number.isInteger(value) && Math.abs(value) < ZIGZAG_MAX && !Object.is(value, -0)) {
      this.varint(VALUE.integer);
      return this.varint(zigzag(value));
    }
    this.varint(VALUE.float);
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value, true);
    this.raw(bytes);
  }

  /** Seven bits a byte, the lowest first; the high bit says that there is more. */
  private varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.byte(rest);
  }

  private raw(bytes: Uint8Array): void {
    for (const byte of bytes) this.byte(byte);
  }

  private byte(byte: number): void {
    if (this.bytes === this.out.length) {
      const wider = new Uint8Array(2 * this.out.length);
      wider.set(this.out);
      this.out = wider;
    }
    this.out[this.bytes++] = byte;
  }
}
