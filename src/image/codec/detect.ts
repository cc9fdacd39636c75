// The one table of compressed formats: their magic numbers and decoders.
import { hasMagic } from '../bytes.ts';
import { bzip2 } from './bzip2.ts';
import { gzip } from './gzip.ts';
import { lz4 } from './lz4.ts';
import { lzma } from './lzma.ts';
import { lzop } from './lzop.ts';
import { xz } from './xz.ts';
import { zstd } from './zstd.ts';

export interface Codec {
  readonly name: string;
  readonly magic: readonly number[];
  /** Pure; never gives more than `limit` bytes; InputError on damaged data. */
  readonly decode: (bytes: Uint8Array, limit: number) => Uint8Array;
}

export const CODECS: readonly Codec[] = [
  { name: 'gzip', magic: [0x1f, 0x8b], decode: gzip },
  { name: 'xz', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], decode: xz },
  { name: 'zstd', magic: [0x28, 0xb5, 0x2f, 0xfd], decode: zstd },
  { name: 'lz4', magic: [0x02, 0x21, 0x4c, 0x18], decode: lz4 },
  { name: 'bzip2', magic: [0x42, 0x5a, 0x68], decode: bzip2 },
  { name: 'lzo', magic: [0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a], decode: lzop },
  // No magic proper: lc=3 lp=0 pb=2 and the low bytes of the dictionary size, as all tools write.
  { name: 'lzma', magic: [0x5d, 0x00, 0x00], decode: lzma },
];

/** The codec whose magic number begins `bytes`, or null. */
export function detect(bytes: Uint8Array): Codec | null {
  return CODECS.find((codec) => hasMagic(bytes, codec.magic)) ?? null;
}
