// Which parts of a block's programs are left out as dead.

import { expect, it } from 'vitest';
import { Assembler } from '../asm.ts';
import { decode } from '../decode.ts';
import type { Decoded } from '../decoded.ts';
import { jitForm, liveParts } from './forms.ts';

function block(text: string): Decoded[] {
  const bytes = new Assembler(64, 0).text(text).finish();
  const insns: Decoded[] = [];
  for (let at = 0; at < bytes.length; ) {
    const d = decode(bytes, at, bytes.length, 64);
    if ('failure' in d) throw new Error(d.failure);
    insns.push(d);
    at += d.length;
  }
  return insns;
}

/** For each instruction: does it still write flags? */
const settingFlags = (text: string): boolean[] =>
  liveParts(block(text).map(jitForm)).map(({ nodes }) =>
    nodes.some((n) => n.op === 'flags' || n.op === 'setflags'),
  );

it('flags that are dead keep nothing alive that they would have kept', () => {
  expect(settingFlags('inc edx; inc rdi; cmp edx, eax')).toEqual([false, false, true]);
});

it('the carry that a live INC keeps is what is before it', () => {
  expect(settingFlags('add edx, eax; inc rdi')).toEqual([true, true]);
  expect(settingFlags('add edx, eax; inc rdi; adc edx, eax')).toEqual([true, true, true]);
});
