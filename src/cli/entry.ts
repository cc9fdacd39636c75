// The file that is executed, dist/pvops.mjs: starts the program, which stands beside it, as quickly as can be.

import { existsSync } from 'node:fs';
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

const require = createRequire(import.meta.url);
// What the program needs of Node, before V8 is tuned: with other flags it does not take the code that Node was built with.
require('node:child_process');
require('node:events');
require('node:fs/promises');
require('node:perf_hooks');
require('node:process');
require('node:tty');
require('node:util');
require('node:zlib');

tuneV8();
const path = fileURLToPath(new URL('./pvops-program.cjs', import.meta.url));
if (!existsSync(path)) {
  process.stderr.write(
    `pvops: the program ${path} is missing\nhint: it stands beside the file that starts it: copy both, or say npm run build\n`,
  );
  process.exit(STATUS_USAGE);
}
const { value, keep } = evaluateCached(join(cacheDirectory(), 'code'), path, use());
// At the end, when all that such a run needs has been compiled. What was wrong usage has no runs.
if (isMainThread) {
  process.once('exit', (status) => {
    if (status !== STATUS_USAGE) keep(process.cpuUsage().user / 1e6);
  });
}
(value as Program)({}, require, fileURLToPath(import.meta.url));

/** Subcommands have their own code; workers of the matrix do what `run` does. */
function use(): string {
  const word = isMainThread ? process.argv[2] : 'run';
  return word !== undefined && /^[a-z]{1,16}$/.test(word) ? word : 'other';
}
