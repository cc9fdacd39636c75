// Text made of results.

import { expect, test } from 'vitest';
import { table } from './report.ts';

test('a table has columns as wide as their widest cell, numbers to the right', () => {
  const text = table(
    ['interface', 's'],
    [
      ['native', '1.5'],
      ['kvm@6.1', '10.25'],
    ],
  );
  expect(text).toBe('interface      s\nnative       1.5\nkvm@6.1    10.25');
});
