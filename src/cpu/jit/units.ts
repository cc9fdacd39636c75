// Which neighbouring blocks of a region form a unit: a loop whose registers are worth keeping in locals.

/** A block's number of instructions, and the blocks (by index) that it can jump to in the region. */
export interface UnitBlock {
  readonly insns: number;
  readonly next: readonly number[];
}

/** Blocks `first` to `last`, in their order. `loops`: a jump leads back to `first`. `inner`: loops in it, in order. */
export interface Unit {
  readonly first: number;
  readonly last: number;
  readonly loops: boolean;
  readonly inner: readonly Unit[];
}

/** V8's compilers pay for each local at each place where paths meet: large loops are left to the state. No block is longer. */
const MOST_BLOCKS = 8;
const MOST_INSNS = 80;
/** So many instructions in a row are worth it without a loop. */
const LONG = 48;

/** Units in order, none overlapping: each the largest loop that is small enough. */
export function unitsOf(blocks: readonly UnitBlock[]): Unit[] {
  const units = nested(
    loopsOf(blocks).filter((l) => fits(blocks, l) && turns(blocks, l)),
    0,
    blocks.length - 1,
  );
  const taken = (i: number) => units.some((u) => u.first <= i && i <= u.last);
  const long = blocks.flatMap((b, i) =>
    b.insns >= LONG && !taken(i) ? [{ first: i, last: i, loops: false, inner: [] }] : [],
  );
  return [...units, ...long].sort((a, b) => a.first - b.first);
}

interface Loop {
  readonly first: number;
  readonly last: number;
}

/** From each block that is jumped back to, as far as the last such jump. Widest first. */
function loopsOf(blocks: readonly UnitBlock[]): Loop[] {
  const ends = new Map<number, number>();
  blocks.forEach((b, last) => {
    for (const first of b.next) if (first <= last) ends.set(first, last);
  });
  const loops = [...ends].map(([first, last]) => ({ first, last }));
  return loops.sort((a, b) => b.last - b.first - (a.last - a.first));
}

/** Of loops that overlap without one being inside the other, the wider one counts. */
function nested(loops: readonly Loop[], from: number, to: number): Unit[] {
  const units: Unit[] = [];
  for (const { first, last } of loops) {
    if (first < from || last > to) continue;
    if (units.some((u) => first <= u.last && last >= u.first)) continue;
    const within = loops.filter((l) => l.first > first || (l.first === first && l.last < last));
    units.push({ first, last, loops: true, inner: nested(within, first, last) });
  }
  return units.sort((a, b) => a.first - b.first);
}

function fits(blocks: readonly UnitBlock[], { first, last }: Loop): boolean {
  if (last - first >= MOST_BLOCKS) return false;
  let insns = 0;
  for (let i = first; i <= last; i++) insns += blocks[i]?.insns ?? 0;
  return insns <= MOST_INSNS;
}

/** Some path leads from its first block to its end without leaving it: no call has to come back first. */
function turns(blocks: readonly UnitBlock[], { first, last }: Loop): boolean {
  const seen = new Set([first]);
  for (const b of seen) {
    for (const to of blocks[b]?.next ?? []) {
      if (to === first) return true;
      if (to > first && to <= last) seen.add(to);
    }
  }
  return false;
}
