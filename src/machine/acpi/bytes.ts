// Little-endian bytes for firmware tables, appended one field after the other; and their checksum.

export class ByteList {
  private readonly list: number[] = [];

  get length(): number {
    return this.list.length;
  }

  u8(...values: readonly number[]): this {
    for (const value of values) this.list.push(value & 0xff);
    return this;
  }

  u16(value: number): this {
    return this.u8(value, value >>> 8);
  }

  u32(value: number): this {
    return this.u8(value, value >>> 8, value >>> 16, value >>> 24);
  }

  u64(value: number): this {
    return this.u32(value).u32(Math.floor(value / 2 ** 32));
  }

  zeros(count: number): this {
    for (let i = 0; i < count; i++) this.list.push(0);
    return this;
  }

  /** ASCII, padded with spaces or cut to `length`. */
  text(text: string, length: number): this {
    for (let i = 0; i < length; i++) this.u8(i < text.length ? text.charCodeAt(i) : 0x20);
    return this;
  }

  bytes(bytes: ArrayLike<number>): this {
    for (let i = 0; i < bytes.length; i++) this.u8(bytes[i]!);
    return this;
  }

  done(): Uint8Array {
    return Uint8Array.from(this.list);
  }
}

/** The byte that makes the sum of `bytes` zero, given that it is zero now. */
export function checksum(bytes: Uint8Array, from = 0, to = bytes.length): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum += bytes[i]!;
  return -sum & 0xff;
}
