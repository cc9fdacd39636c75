// The table of bench:exits, from given figures.

import { expect, it } from 'vitest';
import { exitTable } from './exits-report.ts';

it('says of each exit what it costs beside an IN, and whether that is within its target', () => {
  const text = exitTable(
    [
      { on: 'kvm', kind: 'call', nanos: 100, ratio: 2 },
      { on: 'xen-pv', kind: 'table', nanos: 600, ratio: 12 },
    ],
    { count: 10, rounds: 3, portNanos: 50 },
  );
  expect(text).toContain('| kvm | null hypercall | 100 | 2.00 | 3 | met |');
  expect(text).toContain('| xen-pv | store to a page table | 600 | 12.00 | 10 | MISSED |');
});
