// `pvops run FILE --on lguest`, and on the other interfaces that kernels must be built for: whatever the file is, there is a verdict or a refusal that says something.

import { expect, test } from 'vitest';
import { Chance } from './chance.ts';
import { oddFiles, runOdd } from './odd-files.ts';

const SEED = 1;
const files = oddFiles(new Chance(SEED));

test.each(['lguest', 'vmi', 'xen-pv', 'xen-pvh'])(
  '%s ends every odd file with a sentence',
  async (on) => {
    const wrong: string[] = [];
    for (const file of files) {
      const how = await runOdd(file, on);
      if (how !== null) wrong.push(`${file.name}: ${how}`);
    }
    expect(wrong).toEqual([]);
  },
);
