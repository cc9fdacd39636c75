// The console's record: digest, watched texts, and an end that stays small.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ConsoleLog } from './console-log.ts';

function printed(text: string) {
  const heard: string[] = [];
  const log = new ConsoleLog((found) => heard.push(found));
  log.watch('login:');
  for (const byte of Buffer.from(text)) log.put(byte);
  return { log, heard };
}

describe('a console log', () => {
  it('digests every byte, whatever was taken when', () => {
    const text = 'x\n'.repeat(100_000);
    const log = new ConsoleLog(() => {});
    for (const [n, byte] of Buffer.from(text).entries()) {
      if (log.put(byte) || n % 777 === 0) log.take();
    }
    expect(log.digest()).toBe(createHash('sha256').update(text).digest('hex'));
    expect(log.bytes).toBe(text.length);
  });

  it('hears of a watched text once each time', () => {
    expect(printed('login: x\nlogin: ').heard).toEqual(['login:', 'login:']);
  });

  it('gives the last lines without control sequences and empty lines', () => {
    const { log } = printed('one\r\n\x1b[1;31mtwo\x1b[0m\r\n\r\n\x1b[6nthr\x07ee');
    expect(log.lastLines(5)).toEqual(['one', 'two', 'three']);
    expect(log.lastLines(1)).toEqual(['three']);
  });

  it('gives UTF-8 as text and other bytes as question marks', () => {
    const log = new ConsoleLog(() => {});
    for (const byte of [...Buffer.from('é€'), 0x20, 0xff, 0xc0]) log.put(byte);
    expect(log.lastLines(1)).toEqual(['é€ ??']);
  });

  it('keeps neither long lines nor old ones whole', () => {
    const { log } = printed(`${'a'.repeat(100_000)}\n${'b\n'.repeat(50_000)}`);
    expect(log.lastLines(100_000).join('').length).toBeLessThan(16385);
  });
});
