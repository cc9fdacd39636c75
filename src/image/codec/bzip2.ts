// bzip2: Huffman tables, move-to-front, the Burrows-Wheeler transform and two run-length codes, undone in turn.
import { corrupt, tooLarge } from './corrupt.ts';
import { crc32Msb } from './crc.ts';
import { firstBuffer, grow } from './grow.ts';

// "bzip2 Format Specification" (Joe Tsai, 2016), sections 2.2 to 2.4.
const LEVEL_BYTES = 100_000;
const BLOCK_MAGIC = [0x314159, 0x265359];
const END_MAGIC = [0x177245, 0x385090];
const GROUP_SYMBOLS = 50;
const CODE_BITS_MAX = 20;
const SYMBOLS_MAX = 258;
const RUNA = 0;
const RUNB = 1;

interface Bits {
  readonly input: Uint8Array;
  at: number;
  /** The lowest `count` bits are those read ahead. */
  ahead: number;
  count: number;
}

/** A canonical code: per length the first code, its place among `symbols`, and the bound of its codes. */
interface Huffman {
  readonly limit: Int32Array;
  readonly base: Int32Array;
  readonly symbols: Uint16Array;
  readonly shortest: number;
}

interface Output {
  bytes: Uint8Array;
  size: number;
  readonly limit: number;
}

export function bzip2(bytes: Uint8Array, limit: number): Uint8Array {
  const b: Bits = { input: bytes, at: 0, ahead: 0, count: 0 };
  const out: Output = { bytes: firstBuffer(bytes.length, limit), size: 0, limit };
  const work: Work = { block: new Uint32Array(0) };
  do decodeStream(b, work, out);
  while (b.at < bytes.length);
  return out.bytes.subarray(0, out.size);
}

/** Kept from stream to stream: an empty one takes 14 bytes, and a block four times its size. */
interface Work {
  block: Uint32Array;
}

function decodeStream(b: Bits, work: Work, out: Output): void {
  const header = take(b, 24);
  const level = take(b, 8) - 0x30;
  if (header !== 0x425a68 || level < 1 || level > 9)
    throw corrupt('bzip2', 'it does not begin as bzip2 does');
  if (work.block.length < level * LEVEL_BYTES) work.block = new Uint32Array(level * LEVEL_BYTES);
  const block = work.block.subarray(0, level * LEVEL_BYTES);
  let combined = 0;
  for (;;) {
    const magic = [take(b, 24), take(b, 24)];
    const crc = ((take(b, 16) << 16) | take(b, 16)) >>> 0;
    if (magic[0] === END_MAGIC[0] && magic[1] === END_MAGIC[1]) {
      if (crc !== combined) throw corrupt('bzip2', 'the CRC of the whole does not match');
      b.count = 0; // Streams begin on a byte; the reader is never a whole byte ahead here.
      return;
    }
    if (magic[0] !== BLOCK_MAGIC[0] || magic[1] !== BLOCK_MAGIC[1]) {
      throw corrupt('bzip2', 'a block does not begin as blocks do');
    }
    const start = out.size;
    decodeBlock(b, block, out);
    if (crc32Msb(out.bytes.subarray(start, out.size)) !== crc) {
      throw corrupt('bzip2', 'the CRC of a block does not match');
    }
    combined = (((combined << 1) | (combined >>> 31)) ^ crc) >>> 0;
  }
}

function decodeBlock(b: Bits, block: Uint32Array, out: Output): void {
  if (take(b, 1)) throw corrupt('bzip2', 'a block is randomised, which no bzip2 since 0.9.5 does');
  const origin = take(b, 24);
  const used = symbolsInUse(b);
  const tables = take(b, 3);
  const selectorCount = take(b, 15);
  if (used.length === 0 || tables < 2 || tables > 6 || selectorCount === 0) {
    throw corrupt('bzip2', 'a block header is out of range');
  }
  const selectors = readSelectors(b, tables, selectorCount);
  const codes = Array.from({ length: tables }, () => readHuffman(b, used.length + 2));
  const length = readSymbols(b, block, used, selectors, codes);
  if (origin >= length) throw corrupt('bzip2', 'a block begins outside of itself');
  undoTransform(block, length);
  undoRuns(block, length, block[origin]! >>> 8, out);
}

/** The byte values that occur, by a two-level bit map. */
function symbolsInUse(b: Bits): Uint8Array {
  const rows = take(b, 16);
  const used: number[] = [];
  for (let row = 0; row < 16; row++) {
    if (!((rows >> (15 - row)) & 1)) continue;
    const columns = take(b, 16);
    for (let column = 0; column < 16; column++) {
      if ((columns >> (15 - column)) & 1) used.push(row * 16 + column);
    }
  }
  return Uint8Array.from(used);
}

/** Which table serves each group of fifty symbols, move-to-front coded in unary. */
function readSelectors(b: Bits, tables: number, count: number): Uint8Array {
  const front = [0, 1, 2, 3, 4, 5];
  const selectors = new Uint8Array(count);
  for (let n = 0; n < count; n++) {
    let place = 0;
    while (take(b, 1))
      if (++place >= tables) throw corrupt('bzip2', 'a table selector is out of range');
    const [table] = front.splice(place, 1) as [number];
    front.unshift(table);
    selectors[n] = table;
  }
  return selectors;
}

function readHuffman(b: Bits, symbolCount: number): Huffman {
  const lengths = new Uint8Array(symbolCount);
  let length = take(b, 5);
  for (let n = 0; n < symbolCount; n++) {
    for (;;) {
      if (length < 1 || length > CODE_BITS_MAX)
        throw corrupt('bzip2', 'a code length is out of range');
      if (!take(b, 1)) break;
      length += take(b, 1) ? -1 : 1;
    }
    lengths[n] = length;
  }
  const limit = new Int32Array(CODE_BITS_MAX + 2).fill(-1);
  const base = new Int32Array(CODE_BITS_MAX + 2);
  const symbols = new Uint16Array(SYMBOLS_MAX);
  let placed = 0;
  let code = 0;
  for (let bits = 1; bits <= CODE_BITS_MAX; bits++) {
    base[bits] = placed - code;
    for (let n = 0; n < symbolCount; n++) {
      if (lengths[n] !== bits) continue;
      symbols[placed++] = n;
      code++;
    }
    limit[bits] = code;
    code <<= 1;
  }
  return { limit, base, symbols, shortest: Math.min(...lengths) };
}

/** Huffman, zero runs and move-to-front; the bytes go to the low ends of `block`, their number is returned. */
function readSymbols(
  b: Bits,
  block: Uint32Array,
  used: Uint8Array,
  selectors: Uint8Array,
  codes: readonly Huffman[],
): number {
  const front = used.slice();
  const endSymbol = used.length + 1;
  let length = 0;
  let run = 0;
  let weight = 1;
  for (let n = 0; ; n++) {
    const group = Math.floor(n / GROUP_SYMBOLS);
    if (group >= selectors.length)
      throw corrupt('bzip2', 'a block has more symbols than selectors');
    const symbol = readSymbol(b, codes[selectors[group]!]!);
    if (symbol === RUNA || symbol === RUNB) {
      run += weight << symbol;
      weight <<= 1;
      if (run > block.length) throw corrupt('bzip2', 'a block is longer than its level allows');
      continue;
    }
    if (length + run + 1 > block.length + (symbol === endSymbol ? 1 : 0)) {
      throw corrupt('bzip2', 'a block is longer than its level allows');
    }
    if (run > 0) {
      block.fill(front[0]!, length, length + run);
      length += run;
      run = 0;
      weight = 1;
    }
    if (symbol === endSymbol) return length;
    const place = symbol - 1;
    const byte = front[place]!;
    front.copyWithin(1, 0, place);
    front[0] = byte;
    block[length++] = byte;
  }
}

function readSymbol(b: Bits, huffman: Huffman): number {
  const { limit, base } = huffman;
  let bits = huffman.shortest;
  let code = take(b, bits);
  while (code >= limit[bits]!) {
    if (++bits > CODE_BITS_MAX) throw corrupt('bzip2', 'a code is not in its table');
    code = (code << 1) | take(b, 1);
  }
  return huffman.symbols[base[bits]! + code]!;
}

/** Puts into the upper 24 bits of each entry where the next byte of the text is. */
function undoTransform(block: Uint32Array, length: number): void {
  const starts = new Uint32Array(257);
  for (let n = 0; n < length; n++) starts[(block[n]! & 0xff) + 1]!++;
  for (let n = 1; n < 257; n++) starts[n] = starts[n]! + starts[n - 1]!;
  for (let n = 0; n < length; n++) {
    const byte = block[n]! & 0xff;
    const place = starts[byte]!;
    starts[byte] = place + 1;
    block[place] = (block[place]! & 0xff) | (n << 8);
  }
}

/** Follows the chain and undoes the outer run-length code: four equal bytes are followed by a count of more. */
function undoRuns(block: Uint32Array, length: number, first: number, out: Output): void {
  let place = first;
  let last = -1;
  let equal = 0;
  for (let n = 0; n < length; n++) {
    const entry = block[place]!;
    const byte = entry & 0xff;
    place = entry >>> 8;
    if (out.size + 256 > out.bytes.length) reserve(out);
    if (equal === 4) {
      if (out.size + byte > out.limit) throw tooLarge('bzip2', out.limit);
      out.bytes.fill(last, out.size, out.size + byte);
      out.size += byte;
      equal = 0;
      last = -1;
      continue;
    }
    equal = byte === last ? equal + 1 : 1;
    last = byte;
    if (out.size >= out.limit) throw tooLarge('bzip2', out.limit);
    out.bytes[out.size++] = byte;
  }
}

/** Room for one more run, as far as the limit allows; writes beyond it are refused before they happen. */
function reserve(out: Output): void {
  if (out.bytes.length >= out.limit) return;
  out.bytes = grow(out.bytes, Math.min(out.limit, out.size + 256), out.limit, 'bzip2');
}

/** The next `bits` (up to 24), the highest first. */
function take(b: Bits, bits: number): number {
  while (b.count < bits) {
    if (b.at >= b.input.length) throw corrupt('bzip2', 'it ends too early');
    b.ahead = (b.ahead << 8) | b.input[b.at++]!;
    b.count += 8;
  }
  b.count -= bits;
  const value = b.ahead >>> b.count;
  b.ahead &= (1 << b.count) - 1;
  return value;
}
