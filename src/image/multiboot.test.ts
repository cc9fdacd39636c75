// Multiboot headers: found where the specification allows them, refused where they contradict themselves.

import { describe, expect, it } from 'vitest';
import { InputError } from '../base/errors.ts';
import { multibootHeader, multibootLoad } from './multiboot.ts';

const MAGIC = 0x1badb002;

function file(at: number, words: readonly number[], bytes = 16384): Uint8Array {
  const out = new Uint8Array(bytes);
  const view = new DataView(out.buffer);
  words.forEach((word, n) => {
    view.setUint32(at + 4 * n, word >>> 0, true);
  });
  return out;
}

const header = (flags: number, ...addresses: number[]) => [
  MAGIC,
  flags,
  -(MAGIC + flags),
  ...addresses,
];
const loaded = (bytes: Uint8Array) => multibootLoad(bytes, multibootHeader(bytes)!, 'it');

describe('a multiboot header', () => {
  it('is found on any aligned place of the first 8 KiB, and nowhere else', () => {
    expect(multibootHeader(file(0, header(3)))?.offset).toBe(0);
    expect(multibootHeader(file(8180, header(3)))?.offset).toBe(8180);
    expect(multibootHeader(file(8184, header(3)))).toBeNull();
    expect(multibootHeader(file(2, header(3)))).toBeNull();
    expect(multibootHeader(new Uint8Array(5))).toBeNull();
  });

  it('counts only with its checksum', () => {
    expect(multibootHeader(file(64, [MAGIC, 3, 0]))).toBeNull();
  });

  it('says by its addresses which part of the file goes where', () => {
    const bytes = file(0x100, header(0x10003, 0x200080, 0x200000, 0x200400, 0x201000, 0x200010));
    const { segments, entry } = loaded(bytes);
    expect(entry).toBe(0x200010);
    expect(segments).toHaveLength(1);
    expect(segments[0]).toMatchObject({ gpa: 0x200000, memBytes: 0x1000 });
    expect(segments[0]!.bytes).toEqual(bytes.subarray(0x80, 0x480)); // 0x80 bytes before the header.
  });

  it('takes the file to its end where load_end_addr is 0', () => {
    const bytes = file(0, header(0x10000, 0x100000, 0x100000, 0, 0, 0x100000), 100);
    expect(loaded(bytes).segments[0]).toMatchObject({ memBytes: 100 });
  });

  it.each([
    ['a load address behind the header', [0x100000, 0x100004, 0, 0, 0]],
    ['more before the header than the file has', [0x100000, 0x0f0000, 0, 0, 0]],
    ['an end beyond the file', [0x100000, 0x100000, 0x200000, 0, 0]],
    ['a bss that ends before the data', [0x100000, 0x100000, 0x100080, 0x100040, 0]],
  ])('is refused with %s', (_, addresses) => {
    const bytes = file(0, header(0x10000, ...addresses), 256);
    expect(() => loaded(bytes)).toThrow(InputError);
  });

  it('is refused when it demands what multiboot 1 does not have', () => {
    expect(() => loaded(file(0, header(0x8)))).toThrow(/features/);
  });

  it('is refused without addresses in a file that is not ELF', () => {
    expect(() => loaded(file(0, header(3)))).toThrow(/not an ELF file/);
  });
});
