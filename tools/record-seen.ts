// `npm run record:seen -- MATRIX.json...`: what real kernels asked of each interface, into src/lab/recorded/seen.gen.ts.

import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readMatrix } from '../src/lab/matrix/json.ts';

const TARGET = join(dirname(fileURLToPath(import.meta.url)), '../src/lab/recorded/seen.gen.ts');

/** Interface, operation, kernels. Only cells that came up, and entry points that serve one operation: others are no proof. */
const found = new Map<string, Map<string, Set<string>>>();
for (const path of process.argv.slice(2)) {
  for (const cell of readMatrix(JSON.parse(readFileSync(path, 'utf8')), path).cells) {
    if (cell.verdict !== 'up' || cell.interface.includes(' without ')) continue;
    const seen = found.get(cell.interface) ?? new Map<string, Set<string>>();
    found.set(cell.interface, seen);
    for (const { operations } of cell.operations) {
      const [id, ...others] = operations;
      if (id === undefined || others.length > 0) continue;
      seen.set(id, (seen.get(id) ?? new Set()).add(cell.kernel));
    }
  }
}

const sorted = <T>(map: ReadonlyMap<string, T>): [string, T][] =>
  [...map].sort(([a], [b]) => (a < b ? -1 : 1));
const interfaces = sorted(found).map(([on, operations]) => {
  const rows = sorted(operations).map(
    ([id, kernels]) =>
      `    '${id}': [${[...kernels]
        .sort()
        .map((name) => `'${name}'`)
        .join(', ')}],`,
  );
  return [`  '${on}': {`, ...rows, '  },'].join('\n');
});
writeFileSync(
  TARGET,
  `// Operations that real kernels certainly asked for in boots to their init, by interface. Written by npm run record:seen.

export const RECORDED: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
${interfaces.join('\n')}
};
`,
);
