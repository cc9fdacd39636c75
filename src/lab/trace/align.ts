// Two long sequences side by side: the stretches in which they differ, found in about linear time where they are much alike.

/** A stretch that differs: places in both, the ends not included. One of the two parts may be empty. */
export interface Hunk {
  readonly a: readonly [from: number, to: number];
  readonly b: readonly [from: number, to: number];
}

/** Behind a difference, so many equal ones in a row are the same place again. */
const GRAM = 3;
/** Of places about as near, the one from which on they stay equal for longest: an event repeated often fits anywhere. */
const SLACK = 2;
const RUN_MAX = 256;
/** Behind the end. */
const END = -1;

/** Goes along both while they are equal; then to the nearest place, by what both skip, from which on they are again. */
export function align(a: Int32Array, b: Int32Array): Hunk[] {
  const places = gramPlaces(b);
  const hunks: Hunk[] = [];
  let [i, j] = [0, 0];
  for (;;) {
    while (i < a.length && j < b.length && a[i] === b[j]) {
      i++;
      j++;
    }
    if (i === a.length && j === b.length) return hunks;
    const [nextI, nextJ] = meeting(a, b, i, j, places);
    hunks.push({ a: [i, nextI], b: [j, nextJ] });
    [i, j] = [nextI, nextJ];
  }
}

function meeting(
  a: Int32Array,
  b: Int32Array,
  i: number,
  j: number,
  places: Places,
): readonly [number, number] {
  let least = a.length - i + b.length - j;
  let best = { run: 0, cost: least, place: [a.length, b.length] as readonly [number, number] };
  for (let skipped = 0; skipped <= least + SLACK && i + skipped < a.length; skipped++) {
    const at = i + skipped;
    const place = places.from(hashAt(a, at), j, (n) => sameGram(a, at, b, n));
    const cost = skipped + place - j;
    if (place < 0 || cost > least + SLACK) continue;
    least = Math.min(least, cost);
    const run = runLength(a, at, b, place);
    const better = run > best.run || (run === best.run && cost < best.cost);
    if (better && cost <= least + SLACK) best = { run, cost, place: [at, place] };
  }
  return best.place;
}

/** Counts the common end as one more. */
function runLength(a: Int32Array, i: number, b: Int32Array, j: number): number {
  let n = 0;
  while (n < RUN_MAX && i + n <= a.length && (a[i + n] ?? END) === (b[j + n] ?? END)) n++;
  return n;
}

interface Places {
  /** The first place at or behind `least` with this hash that is accepted; -1: none. */
  from(hash: number, least: number, accepts: (place: number) => boolean): number;
}

function gramPlaces(b: Int32Array): Places {
  const hashes = Int32Array.from(b, (_, n) => hashAt(b, n));
  const order = Int32Array.from(b, (_, n) => n).sort((x, y) => hashes[x]! - hashes[y]! || x - y);
  return {
    from(hash, least, accepts) {
      let [low, high] = [0, order.length];
      while (low < high) {
        const middle = (low + high) >>> 1;
        const place = order[middle]!;
        const known = hashes[place]!;
        if (known < hash || (known === hash && place < least)) low = middle + 1;
        else high = middle;
      }
      for (; low < order.length && hashes[order[low]!] === hash; low++)
        if (accepts(order[low]!)) return order[low]!;
      return -1;
    },
  };
}

function hashAt(list: Int32Array, at: number): number {
  let hash = 0;
  for (let n = 0; n < GRAM; n++) hash = Math.imul(hash, 0x9e3779b1) + (list[at + n] ?? END);
  return hash | 0;
}

function sameGram(a: Int32Array, i: number, b: Int32Array, j: number): boolean {
  for (let n = 0; n < GRAM; n++) if ((a[i + n] ?? END) !== (b[j + n] ?? END)) return false;
  return true;
}
