// Traces read back from their binary form, up to the first block that is cut off or damaged.

import { crc32, utf8Text } from '../../image/index.ts';
import {
  BINARY_MAGIC,
  BLOCK_BYTES_MAX,
  BLOCK_HEAD,
  HEAD_BYTES_MAX,
  unzigzag,
  VALUE,
} from './binary-format.ts';
import { notTrace, type Trace, traceHead } from './read.ts';
import type { TraceEvent } from './tracer.ts';

/** `name` is the subject of errors. `cut`: there is more, and it cannot be read. */
export function readBinaryTrace(bytes: Uint8Array, name: string): Trace {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const headAt = BINARY_MAGIC.length + 4;
  const headBytes = bytes.length < headAt ? -1 : view.getUint32(BINARY_MAGIC.length, true);
  if (headBytes < 0 || headBytes > HEAD_BYTES_MAX || headAt + headBytes > bytes.length)
    throw notTrace(name, 'it is cut off in its head');
  const head = traceHead(utf8Text(bytes.subarray(headAt, headAt + headBytes)), name);
  const events: TraceEvent[] = [];
  const tables = new Tables();
  for (let at = headAt + headBytes; at < bytes.length; ) {
    const length = at + BLOCK_HEAD <= bytes.length ? view.getUint32(at, true) : BLOCK_BYTES_MAX + 1;
    const end = at + BLOCK_HEAD + length;
    if (length > BLOCK_BYTES_MAX || end > bytes.length) return { head, events, cut: true };
    const content = bytes.subarray(at + BLOCK_HEAD, end);
    if (crc32(content) !== view.getUint32(at + 4, true)) return { head, events, cut: true };
    if (!tables.block(content, events))
      throw notTrace(name, `its block at byte ${at} makes no sense`);
    at = end;
  }
  return { head, events, cut: false };
}

type Shape = Pick<TraceEvent, 'operations' | 'entryPoint' | 'within'> & {
  readonly names: readonly string[];
};

/** What blocks refer to, as the blocks before have told it. A content that leaves its bounds is `bad`. */
class Tables {
  private readonly texts: string[] = [];
  private readonly shapes: Shape[] = [];
  private retired = 0;
  private nanos = 0;
  private bytes: Uint8Array = new Uint8Array(0);
  private at = 0;
  private bad = false;

  block(content: Uint8Array, events: TraceEvent[]): boolean {
    [this.bytes, this.at, this.bad] = [content, 0, false];
    while (this.at < content.length) {
      const event = this.event();
      if (this.bad) return false;
      events.push(event);
    }
    return true;
  }

  private event(): TraceEvent {
    const { names, ...shape } = this.shape();
    const caller = this.text();
    const callers = this.text();
    const vcpu = this.varint();
    const retired = unzigzag(this.varint());
    this.retired += retired;
    this.nanos += retired + unzigzag(this.varint());
    const instructions = this.varint();
    const effect = this.value();
    const args: Record<string, number | string> = {};
    for (const name of names) args[name] = this.value() ?? 0;
    return {
      ...shape,
      ...{
        args,
        effect,
        vcpu,
        retired: this.retired,
        nanos: this.nanos,
        caller,
        callers,
        instructions,
      },
    };
  }

  private shape(): Shape {
    const n = this.varint();
    const known = this.shapes[n];
    if (known) return known;
    if (n !== this.shapes.length) this.bad = true;
    const operations = this.list() as unknown as Shape['operations'];
    const entryPoint = this.text();
    const within = this.varint() === 0 ? null : this.text();
    const shape = { operations, entryPoint, within, names: this.list() };
    this.shapes.push(shape);
    return shape;
  }

  private list(): string[] {
    const count = this.varint();
    if (count > this.bytes.length - this.at) this.bad = true;
    return this.bad ? [] : Array.from({ length: count }, () => this.text());
  }

  private text(): string {
    const n = this.varint();
    const known = this.texts[n];
    if (known !== undefined) return known;
    if (n !== this.texts.length) this.bad = true;
    const text = utf8Text(this.raw(this.varint()));
    this.texts.push(text);
    return text;
  }

  private value(): number | string | null {
    switch (this.varint()) {
      case VALUE.null:
        return null;
      case VALUE.integer:
        return unzigzag(this.varint());
      case VALUE.text:
        return this.text();
      case VALUE.hex:
        return this.hex();
      case VALUE.float: {
        const raw = this.raw(8).slice();
        return raw.length === 8 ? new DataView(raw.buffer).getFloat64(0, true) : 0;
      }
      default:
        this.bad = true;
        return null;
    }
  }

  private hex(): string {
    const raw = this.raw(this.varint());
    const digits = Array.from(raw, (byte) => byte.toString(16).padStart(2, '0')).join('');
    return `0x${digits.replace(/^0+(?=.)/, '')}`;
  }

  private varint(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 0x80) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    this.bad = true;
    return 0;
  }

  private raw(length: number): Uint8Array {
    if (length > this.bytes.length - this.at) this.bad = true;
    if (this.bad) return new Uint8Array(0);
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
}
