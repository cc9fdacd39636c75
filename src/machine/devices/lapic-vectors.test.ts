// Sets of vectors: the highest is known after any order of changes.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { VectorSet } from './lapic-vectors.ts';

test('the highest vector is that of the words, whatever was added, removed or assigned', () => {
  const change = fc.tuple(fc.constantFrom('add', 'remove'), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const words = new Uint32Array(8);
      const set = new VectorSet(words);
      const model = new Set<number>();
      for (const [what, vector] of changes) {
        set[what as 'add' | 'remove'](vector);
        if (what === 'add') model.add(vector);
        else model.delete(vector);
        expect(set.highest).toBe(Math.max(-1, ...model));
        expect(set.has(vector)).toBe(what === 'add');
      }
      expect(new VectorSet(words).highest).toBe(set.highest);
    }),
  );
});
