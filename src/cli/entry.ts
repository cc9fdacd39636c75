// The file that is executed, dist/pvops.mjs: starts the program, which stands beside it, as quickly as can be.

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { cacheDirectory } from '../host/node/cache-directory.ts';
import { evaluateCached } from '../host/node/code-cache.ts';
import { tuneV8 } from '../host/node/tune.ts';

/** The value of the program's file, see vite.config.ts. */
type Program = (exports: object, require: NodeJS.Require, filename: string) => void;

const STATUS_USAGE = 2;

tuneV8();
const path = fileURLToPath(new URL('./pvops-program.cjs', import.meta.url));
const { value, keep } = evaluateCached(join(cacheDirectory(), 'code'), path, use());
// At the end, when all that such a run needs has been compiled. What was wrong usage has no runs.
if (isMainThread) {
  process.once('exit', (status) => {
    if (status !== STATUS_USAGE) keep(process.cpuUsage().user / 1e6);
  });
}
(value as Program)({}, createRequire(import.meta.url), fileURLToPath(import.meta.url));

/** Subcommands have their own code; workers of the matrix do what `run` does. */
function use(): string {
  const word = isMainThread ? process.argv[2] : 'run';
  return word !== undefined && /^[a-z]{1,16}$/.test(word) ? word : 'other';
}
