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

const ask = (text: string) => {
  const shown: string[] = [];
  const { forGuest, quit, requests } = new EscapeKeys((part) => shown.push(part)).filter(
    Buffer.from(text),
  );
  return { left: Buffer.from(forGuest).toString(), quit, requests, shown: shown.join('') };
};

test("Ctrl-] opens a line whose word is asked of the guest, and keys around it are the guest's", () => {
  expect(ask('a\x1dshutdown\rb')).toEqual({
    left: 'ab',
    quit: false,
    requests: ['poweroff'],
    shown: '\r\npvops> shutdown\r\n',
  });
  expect(ask('\x1dsysrq h\r\x1dballoon 300\r').requests).toEqual(['sysrq h', 'balloon 300']);
});

test('a line may be corrected, given up, or wrong', () => {
  expect(ask('\x1drebot\x7f\x7foot\r').requests).toEqual(['reboot']);
  expect(ask('\x1dreboot\x1bls')).toMatchObject({ left: 'ls', requests: [] });
  expect(ask('\x1dboot\r')).toMatchObject({
    requests: [],
    shown: expect.stringContaining('suspend'),
  });
});

test('quit leaves', () => {
  expect(ask('\x1dquit\rx')).toMatchObject({ left: '', quit: true });
});
