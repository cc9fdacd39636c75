// Names for addresses of a kernel: from its own kallsyms, from a vmlinux with symbols, or from a System.map.

import { InputError } from '../base/errors.ts';
import { asciiText } from './bytes.ts';
import { type ElfFile, elfSymbols, isElf, parseElf } from './elf.ts';
import { type KernelSymbol, kallsymsOf } from './kallsyms.ts';

export interface SymbolPlace {
  readonly name: string;
  /** Bytes behind the symbol. */
  readonly offset: number;
}

export interface SymbolTable {
  readonly size: number;
  /** The function that has the instruction at a link-time address; null: none that is known. */
  find(address: number): SymbolPlace | null;
}

/** Types of `nm` for code, local and global, weak ones too. */
const CODE_TYPES = 'tTwW';
const STT_OBJECT = 1;
const STT_FUNC = 2;
const STT_SECTION = 3;
const STT_FILE = 4;
const SHF_EXECINSTR = 4;
/** `ffffffff81000000 T _stext` */
const MAP_LINE = /^([0-9a-f]{8}|[0-9a-f]{16}) ([a-zA-Z?]) (\S+)(?:\t.*)?$/;
const MAP_LINES_MAX = 4_000_000;

/** Null: the image was built without kallsyms. */
export function imageSymbols(elf: ElfFile): SymbolTable | null {
  const own = kallsymsOf(elf.bytes, elf.bits);
  return own && symbolTable(own);
}

/** What `--symbols` names: a vmlinux or a System.map; `name` is the subject of errors. */
export function readSymbols(bytes: Uint8Array, name: string): SymbolTable {
  const found = isElf(bytes) ? symbolsOfElf(parseElf(bytes, name)) : symbolsOfMap(bytes);
  if (found.length > 0) return symbolTable(found);
  throw new InputError(
    'image/no-symbols',
    `${name} has no symbols`,
    'give the vmlinux that the kernel was made of, not stripped, or its System.map.',
  );
}

export function symbolTable(symbols: readonly KernelSymbol[]): SymbolTable {
  // Of several at one address the first is taken, as kallsyms_lookup does, unless only another is code.
  const sorted = symbols
    .map((symbol, order) => ({ symbol, order, code: CODE_TYPES.includes(symbol.type) ? 0 : 1 }))
    .sort((a, b) => a.symbol.address - b.symbol.address || a.code - b.code || a.order - b.order)
    .filter(({ symbol }, n, all) => n === 0 || all[n - 1]!.symbol.address !== symbol.address);
  const addresses = Float64Array.from(sorted, ({ symbol }) => symbol.address);
  return {
    size: symbols.length,
    find(address) {
      const n = lastAtMost(addresses, address);
      const found = sorted[n];
      // Behind the last one lies anything.
      if (found?.code !== 0 || n === sorted.length - 1) return null;
      return { name: found.symbol.name, offset: address - found.symbol.address };
    },
  };
}

function lastAtMost(sorted: Float64Array, value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function symbolsOfElf(elf: ElfFile): KernelSymbol[] {
  return elfSymbols(elf).flatMap(({ name, value, info, section }) => {
    const kind = info & 15;
    if (name === '' || section === 0 || kind === STT_SECTION || kind === STT_FILE) return [];
    // Labels of assembly have no type: what they stand in tells.
    const inCode = ((elf.sections[section]?.flags ?? 0) & SHF_EXECINSTR) !== 0;
    const code = kind === STT_FUNC || (kind !== STT_OBJECT && inCode);
    return [{ address: addressOf(value, elf.bits), type: code ? 't' : 'd', name }];
  });
}

/** A line that is not of its form makes the file something else. */
function symbolsOfMap(bytes: Uint8Array): KernelSymbol[] {
  const symbols: KernelSymbol[] = [];
  let at = 0;
  for (let n = 0; at < bytes.length && n < MAP_LINES_MAX; n++) {
    const found = bytes.indexOf(10, at);
    const end = found < 0 ? bytes.length : found;
    const line = end - at > 4096 ? null : MAP_LINE.exec(asciiText(bytes, at, end));
    if (!line) return [];
    const [, digits = '', type = '', name = ''] = line;
    const bits = digits.length === 16 ? 64 : 32;
    symbols.push({ address: addressOf(BigInt(`0x${digits}`), bits), type, name });
    at = end + 1;
  }
  return symbols;
}

const addressOf = (value: bigint, bits: 32 | 64): number =>
  Number(bits === 64 ? BigInt.asIntN(64, value) : value);
