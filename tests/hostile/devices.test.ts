// Devices driven with nonsense: a bounded number of seeds here, and `npm run fuzz` goes on from there.

import { afterAll, expect, test } from 'vitest';
import { build, MODELS } from './board.ts';
import { deviceNames } from './definitions.ts';
import { drive } from './drive.ts';
import { WorkCounter } from './work.ts';

const SEEDS = 6;
const STEPS = 1000;

const counter = new WorkCounter('/src/machine/');
afterAll(() => counter.close());

test('every device that is defined sits on a board that is driven', () => {
  const driven = MODELS.flatMap((model) => build(model).seats.map(({ device }) => device));
  const kinds = new Set(driven.map((name) => name.replace(/ \((pci|mmio)\)$/, '')));
  expect(deviceNames().length).toBeGreaterThan(20);
  for (const name of deviceNames()) expect(kinds).toContain(name);
});

test.each(MODELS)(
  'a %s survives nonsense in bounded work, and its restored twin does the same',
  (model) => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const wrong = drive({ model, seed, steps: STEPS, counter });
      expect(wrong, `npm run fuzz -- --only machine:${model} --seed ${seed}`).toBeNull();
    }
  },
);
