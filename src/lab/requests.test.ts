// Words of requests.

import { expect, it } from 'vitest';
import { requestOf } from './requests.ts';

it.each([
  ['shutdown', 'poweroff'],
  [' sysrq  h ', 'sysrq h'],
  ['balloon 256', 'balloon 256'],
  ['quit', 'quit'],
  ['balloon 0', null],
  ['balloon many', null],
  ['sysrq hh', null],
  ['constructor', null],
  ['', null],
])('%j is asked as %j', (words, request) => {
  expect(requestOf(words)).toBe(request);
});
