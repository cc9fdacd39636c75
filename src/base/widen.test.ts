// What a widened object holds.

import { expect, test } from 'vitest';
import { widen } from './widen.ts';

test('a widened object is the same object, with the same values', () => {
  const object = { small: 7, none: -1, zero: 0 };
  expect(widen(object, 'small', 'none', 'zero')).toBe(object);
  expect(object).toEqual({ small: 7, none: -1, zero: 0 });
});

test('a field that is not there is not made', () => {
  expect(() => widen({ here: 1 }, 'there')).toThrow('there is no field there to widen');
});
