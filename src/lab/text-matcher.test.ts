// The search in a stream, against a search in the whole.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TextMatcher } from './text-matcher.ts';

const ends = (text: string, stream: string): number[] => {
  const matcher = new TextMatcher(text);
  return [...Buffer.from(stream)].flatMap((byte, n) => (matcher.next(byte) ? [n] : []));
};

test('a text is found wherever it ends, overlaps included', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 40 });
  const words = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(letters, words, (stream, word) => {
      const expected = Array.from(stream, (_, n) => n).filter((n) =>
        stream.slice(0, n + 1).endsWith(word),
      );
      expect(ends(word, stream)).toEqual(expected);
    }),
  );
});

test('a text beyond ASCII is matched by its UTF-8 bytes, and half a character by none', () => {
  expect(ends('é€', 'aé€')).toEqual([5]);
  expect(ends('\ud800', 'a\ufffd')).toEqual([3]);
});

test('the empty text is never found', () => {
  expect(ends('', 'abc')).toEqual([]);
});
