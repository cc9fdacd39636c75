// The binary form of a trace, whose layout docs/trace-format.md describes: what its writer and its reader have in common.

import { utf8Bytes } from '../../image/index.ts';

/** The last letter is the version. */
export const BINARY_MAGIC = utf8Bytes('PVTRACE2');
/** A block: bytes of its content, CRC-32 of them, the content. */
export const BLOCK_HEAD = 8;
/** Content of a block, about; what a reader believes at most. */
export const BLOCK_BYTES = 1 << 16;
export const BLOCK_BYTES_MAX = 1 << 22;
export const HEAD_BYTES_MAX = 1 << 20;

/** How a value begins. */
export const VALUE = { null: 0, integer: 1, text: 2, hex: 3, float: 4 } as const;

export function isBinaryTrace(bytes: Uint8Array): boolean {
  return BINARY_MAGIC.every((byte, n) => bytes[n] === byte);
}

/** Numbers that 53 bits hold, those near zero short whatever their sign. */
export const zigzag = (value: number): number => (value < 0 ? -2 * value - 1 : 2 * value);
export const unzigzag = (value: number): number => (value % 2 === 0 ? value / 2 : -(value + 1) / 2);
/** What `zigzag` keeps exact. */
export const ZIGZAG_MAX = 2 ** 51;
