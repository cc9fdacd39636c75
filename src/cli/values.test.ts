// Option values: what is taken and what is refused.

import { expect, test } from 'vitest';
import {
  parseChoice,
  parseEngine,
  parseSeconds,
  parseSize,
  parseText,
  parseWhole,
} from './values.ts';

test('sizes have binary units, and mebibytes if none is given', () => {
  expect(parseSize('512M', '--memory')).toBe(512 * 2 ** 20);
  expect(parseSize('1g', '--memory')).toBe(2 ** 30);
  expect(parseSize('64', '--memory')).toBe(64 * 2 ** 20);
  expect(parseSize('128MiB', '--memory')).toBe(128 * 2 ** 20);
});

test('times have units, and seconds if none is given', () => {
  expect(parseSeconds('120s', '--timeout')).toBe(120);
  expect(parseSeconds('2m', '--timeout')).toBe(120);
  expect(parseSeconds('0.5', '--timeout')).toBe(0.5);
  expect(parseSeconds('5ms', '--timeout')).toBeCloseTo(0.005);
});

test.each(['', '-1', '1e9', 'M', '12T', '0x10', '9'.repeat(20), '1 G', 'NaN'])(
  "'%s' is no size",
  (text) => {
    expect(() => parseSize(text, '--memory')).toThrow(/--memory cannot be/);
  },
);

test.each(['', '-1s', 's', '1d', 'Infinity', '1e3'])("'%s' is no time", (text) => {
  expect(() => parseSeconds(text, '--timeout')).toThrow(/--timeout cannot be/);
});

test('the engine that nobody names is the JIT', () => {
  expect(parseEngine('auto')).toBe('jit');
  expect(parseEngine('reference')).toBe('reference');
  expect(() => parseEngine('turbo')).toThrow(/--engine/);
});

test('numbers, choices and texts are refused by the name of their option', () => {
  expect(parseWhole('7', '--seed')).toBe(7);
  expect(() => parseWhole('1.5', '--seed')).toThrow(/--seed/);
  expect(() => parseChoice('turbo', '--engine', ['interpreter'])).toThrow(/--engine/);
  expect(() => parseText('', '--expect-text')).toThrow(/--expect-text/);
});
