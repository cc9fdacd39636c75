// Which blocks become units.

import { expect, it } from 'vitest';
import { type UnitBlock, unitsOf } from './units.ts';

const block = (insns: number, ...next: number[]): UnitBlock => ({ insns, next });

it('a block that jumps to itself is a unit, and so is a long one without a loop', () => {
  expect(unitsOf([block(3, 0, 1), block(4), block(50)])).toEqual([
    { first: 0, last: 0, loops: true, inner: [] },
    { first: 2, last: 2, loops: false, inner: [] },
  ]);
});

it('loops nest in the widest one that is small enough', () => {
  const outer = [block(2, 1), block(3, 1, 2), block(2, 0, 3), block(1)];
  const inner = { first: 1, last: 1, loops: true, inner: [] };
  expect(unitsOf(outer)).toEqual([{ first: 0, last: 2, loops: true, inner: [inner] }]);
  const loops = unitsOf([block(79, 1), ...outer.slice(1)]).filter((u) => u.loops);
  expect(loops).toEqual([inner]);
});

it('of two loops that cross, one is a unit', () => {
  const crossing = [block(1, 1), block(1, 2), block(1, 0, 3), block(1, 1, 4), block(1)];
  expect(unitsOf(crossing)).toHaveLength(1);
});

it('what comes back only through a call is no loop', () => {
  expect(unitsOf([block(3), block(2, 0, 2), block(1)])).toEqual([]);
});
