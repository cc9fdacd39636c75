// Writes ELF files of any segments, notes and sections, for tests (gABI, chapters 4 and 5).

export interface ElfSegment {
  readonly paddr: number;
  /** As `paddr`, if not given. */
  readonly vaddr?: number;
  readonly bytes: Uint8Array;
  /** With the zeros behind; the length of `bytes`, if not given. */
  readonly memBytes?: number;
}

export interface ElfNote {
  readonly name: string;
  readonly type: number;
  readonly desc: Uint8Array;
}

export interface ElfSection {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface ElfParts {
  readonly bits: 32 | 64;
  readonly entry?: number;
  /** Of every segment (PF_R, PF_W, PF_X); none if not given. */
  readonly flags?: number;
  readonly loads?: readonly ElfSegment[];
  readonly notes?: readonly ElfNote[];
  /** SHT_PROGBITS, behind a null section and before their names. */
  readonly sections?: readonly ElfSection[];
  /** ET_REL instead of ET_EXEC. */
  readonly relocatable?: boolean;
}

interface Table {
  readonly type: number;
  readonly vaddr: number;
  readonly paddr: number;
  readonly bytes: Uint8Array;
  readonly memBytes: number;
}

export const PF_RWX = 7;
const [PT_LOAD, PT_NOTE] = [1, 4];
const [SHT_PROGBITS, SHT_STRTAB] = [1, 3];
const [ET_REL, ET_EXEC] = [1, 2];
const [EM_386, EM_X86_64] = [3, 62];
/** Bytes of the header and of each entry of the two tables. */
const SIZES = {
  32: { header: 52, segment: 32, section: 40 },
  64: { header: 64, segment: 56, section: 64 },
};

/** Header, program headers, section headers, then what they tell of, in their order. */
export function elfFile(parts: ElfParts): Uint8Array {
  const { bits, entry = 0, flags = 0, relocatable = false } = parts;
  const wide = bits === 64;
  const size = SIZES[bits];
  const segments = segmentsOf(parts);
  const sections = sectionsOf(parts.sections ?? []);
  const sectionsAt = size.header + size.segment * segments.length;
  let at = sectionsAt + size.section * sections.length;
  const held = [...segments, ...sections].reduce((sum, { bytes }) => sum + bytes.length, 0);
  const out = new Uint8Array(at + held);
  const view = new DataView(out.buffer);
  const word = (to: number, value: number) =>
    wide
      ? view.setBigUint64(to, BigInt.asUintN(64, BigInt(value)), true)
      : view.setUint32(to, value, true);
  const hold = (bytes: Uint8Array) => {
    out.set(bytes, at);
    at += bytes.length;
    return at - bytes.length;
  };

  out.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
  view.setUint16(16, relocatable ? ET_REL : ET_EXEC, true);
  view.setUint16(18, wide ? EM_X86_64 : EM_386, true);
  view.setUint32(20, 1, true);
  word(24, entry);
  word(wide ? 32 : 28, segments.length > 0 ? size.header : 0);
  word(wide ? 40 : 32, sections.length > 0 ? sectionsAt : 0);
  const counts = [size.header, size.segment, segments.length];
  counts.push(size.section, sections.length, Math.max(sections.length - 1, 0));
  for (const [n, value] of counts.entries()) view.setUint16((wide ? 52 : 40) + 2 * n, value, true);

  for (const [n, { type, vaddr, paddr, bytes, memBytes }] of segments.entries()) {
    const to = size.header + size.segment * n;
    view.setUint32(to, type, true);
    view.setUint32(to + (wide ? 4 : 24), flags, true);
    const fields = [hold(bytes), vaddr, paddr, bytes.length, memBytes];
    for (const [m, value] of fields.entries()) word(to + (wide ? 8 + 8 * m : 4 + 4 * m), value);
  }
  for (const [n, { type, nameAt, bytes }] of sections.entries()) {
    const to = sectionsAt + size.section * n;
    view.setUint32(to, nameAt, true);
    view.setUint32(to + 4, type, true);
    word(to + (wide ? 24 : 16), hold(bytes));
    word(to + (wide ? 32 : 20), bytes.length);
  }
  return out;
}

function segmentsOf({ loads = [], notes = [] }: ElfParts): Table[] {
  const tables = loads.map(
    ({ paddr, vaddr = paddr, bytes, memBytes = bytes.length }): Table => ({
      type: PT_LOAD,
      vaddr,
      paddr,
      bytes,
      memBytes,
    }),
  );
  if (notes.length === 0) return tables;
  const bytes = Uint8Array.from(notes.flatMap(noteBytes));
  return [...tables, { type: PT_NOTE, vaddr: 0, paddr: 0, bytes, memBytes: bytes.length }];
}

/** Name and value end at multiples of 4 (gABI, note section). */
function noteBytes({ name, type, desc }: ElfNote): number[] {
  const words = new Uint8Array(Uint32Array.of(name.length + 1, desc.length, type).buffer);
  const padded = (bytes: readonly number[]) => [
    ...bytes,
    ...new Array<number>(-bytes.length & 3).fill(0),
  ];
  return [...words, ...padded([...latin1(`${name}\0`)]), ...padded([...desc])];
}

function sectionsOf(
  sections: readonly ElfSection[],
): { readonly type: number; readonly nameAt: number; readonly bytes: Uint8Array }[] {
  if (sections.length === 0) return [];
  let names = '\0';
  const nameAt = (name: string) => {
    names += `${name}\0`;
    return names.length - name.length - 1;
  };
  const own = sections.map(({ name, bytes }) => ({
    type: SHT_PROGBITS,
    nameAt: nameAt(name),
    bytes,
  }));
  const last = { type: SHT_STRTAB, nameAt: nameAt('.shstrtab'), bytes: latin1(names) };
  return [{ type: 0, nameAt: 0, bytes: new Uint8Array(0) }, ...own, last];
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
