// Base64 to bytes.

import { expect, it } from 'vitest';
import { fromBase64 } from './base64.ts';

it('gives back what Buffer encoded, for every length of the last group and every byte', () => {
  const bytes = Uint8Array.from({ length: 1027 }, (_, i) => (i * 37) ^ (i >> 3));
  for (let length = 0; length <= 4; length++) {
    const some = bytes.subarray(0, length);
    expect([...fromBase64(Buffer.from(some).toString('base64'))]).toEqual([...some]);
  }
  expect([...fromBase64(Buffer.from(bytes).toString('base64'))]).toEqual([...bytes]);
});
