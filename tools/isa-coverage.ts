// Says which instructions of a program our table lacks: `npx tsx tools/isa-coverage.ts FILE...` (ELF files).

import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { Code, Decoder, DecoderOptions, Instruction, Mnemonic } from 'iced-x86';
import { decode } from '../src/cpu/decode.ts';
import { parseElf, sectionBytes } from '../src/image/elf.ts';

const SHF_EXECINSTR = 4;
const EXAMPLES = 3;

export interface Coverage {
  /** Instructions that iced knows. */
  total: number;
  /** Bytes that iced cannot decode: data between functions. */
  invalid: number;
  /** iced's mnemonic and opcode -> how often our table lacks it, and some examples in hex. */
  readonly missing: Map<string, { count: number; readonly examples: string[] }>;
  /** Both know it and differ in length. */
  readonly disagreements: string[];
}

export const emptyCoverage = (): Coverage => ({
  total: 0,
  invalid: 0,
  missing: new Map(),
  disagreements: [],
});

/** Decodes code bytes in iced's order and compares. */
export function compareCode(code: Uint8Array, bits: 16 | 32 | 64, into: Coverage): void {
  const decoder = new Decoder(bits, code, DecoderOptions.None);
  const insn = new Instruction();
  while (decoder.canDecode) {
    const at = decoder.position;
    decoder.decodeOut(insn);
    if (insn.code === Code.INVALID) {
      into.invalid++;
      continue;
    }
    into.total++;
    const d = decode(code, at, code.length, bits);
    const hex = () => Buffer.from(code.subarray(at, at + insn.length)).toString('hex');
    if ('failure' in d) noteMissing(into, insn, hex());
    else if (d.length !== insn.length)
      into.disagreements.push(
        `${hex()}: iced has ${insn.length} bytes, we ${d.length} (${d.insn.name})`,
      );
  }
  insn.free();
  decoder.free();
}

function noteMissing(into: Coverage, insn: Instruction, hex: string): void {
  const name = `${(Mnemonic[insn.mnemonic] ?? '?').toLowerCase()} (${Code[insn.code]})`;
  const entry = into.missing.get(name) ?? { count: 0, examples: [] };
  entry.count++;
  if (entry.examples.length < EXAMPLES) entry.examples.push(hex);
  into.missing.set(name, entry);
}

/** All executable sections of an ELF file; of one without sections, the executable segments. */
export function elfCoverage(file: Uint8Array): Coverage {
  const elf = parseElf(file);
  const coverage = emptyCoverage();
  const sections = elf.sections.filter((s) => (s.flags & SHF_EXECINSTR) !== 0);
  for (const section of sections) compareCode(sectionBytes(elf, section), elf.bits, coverage);
  if (sections.length > 0) return coverage;
  for (const segment of elf.segments.filter((s) => (s.flags & 1) !== 0))
    compareCode(
      file.subarray(segment.offset, segment.offset + segment.fileBytes),
      elf.bits,
      coverage,
    );
  return coverage;
}

/** VEX and EVEX are left out of the list: no CPU that pvops offers has AVX. */
function report(path: string): string {
  const { total, invalid, missing, disagreements } = elfCoverage(readFileSync(path));
  const isVector = (name: string) => /\((VEX|EVEX|XOP|MVEX|D3NOW)_/.test(name);
  const listed = [...missing]
    .filter(([name]) => !isVector(name))
    .sort((a, b) => b[1].count - a[1].count);
  const lines = listed.map(
    ([name, { count, examples }]) =>
      `${String(count).padStart(8)}  ${name.padEnd(40)} ${examples.join(' ')}`,
  );
  const summary = `${path}: ${total} instructions, ${invalid} bytes are none, ${disagreements.length} lengths differ, ${listed.length} kinds missing (and ${missing.size - listed.length} of AVX and its like)`;
  return [summary, ...lines, ...disagreements.slice(0, 20), ''].join('\n');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const path of process.argv.slice(2)) process.stdout.write(report(path));
}
