// Which of the known names a misspelt one may have meant.

/** Names of more letters than this are cut: the work stays bounded, whatever was typed. */
const LETTERS_MAX = 64;
const DISTANCE_MAX = 2;

/** The names at most two edits away, the nearest first; also those that begin with what was typed. */
export function nearest(typed: string, names: readonly string[]): string[] {
  const word = typed.slice(0, LETTERS_MAX).toLowerCase();
  if (word === '') return [];
  return names
    .map((name) => ({ name, distance: name.startsWith(word) ? 0 : editDistance(word, name) }))
    .filter(({ name, distance }) => distance <= Math.min(DISTANCE_MAX, name.length - 1))
    .sort((a, b) => a.distance - b.distance)
    .map(({ name }) => name);
}

/** Levenshtein's: insertions, deletions and replacements. */
function editDistance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, above[j]! + 1, row[j - 1]! + 1));
    }
    above = row;
  }
  return above[b.length]!;
}
