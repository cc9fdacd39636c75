// Ctrl-A and what follows it.

import { expect, test } from 'vitest';
import { EscapeKeys } from './escape-keys.ts';

const filter = (keys: EscapeKeys, text: string) => {
  const { forGuest, quit } = keys.filter(Buffer.from(text));
  return [Buffer.from(forGuest).toString(), quit];
};

test('Ctrl-A x leaves, and what was typed before it still reaches the guest', () => {
  expect(filter(new EscapeKeys(), 'ls\x01xrm')).toEqual(['ls', true]);
});

test('Ctrl-A Ctrl-A is one Ctrl-A', () => {
  expect(filter(new EscapeKeys(), 'a\x01\x01x')).toEqual(['a\x01x', false]);
});

test('the two keys may come in different pieces', () => {
  const keys = new EscapeKeys();
  expect(filter(keys, '\x01')).toEqual(['', false]);
  expect(filter(keys, 'x')).toEqual(['', true]);
});

test('Ctrl-A and any other key is that key', () => {
  expect(filter(new EscapeKeys(), '\x01qx')).toEqual(['qx', false]);
});
