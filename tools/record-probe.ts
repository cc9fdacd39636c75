// Records what other machines answer to the probe kernel, for tests/conformance/recorded.
// npm run record:probe                 those that are installed here: QEMU, Bochs
// npm run record:probe -- NAME...      those whose names begin so

import { keep, OUTSIDE_RUNS, record } from '../tests/conformance/outside.ts';

const names = process.argv.slice(2);
for (const run of OUTSIDE_RUNS) {
  if (names.length > 0 && !names.some((name) => run.name.startsWith(name))) continue;
  if (run.peer.version() !== null) keep(run, record(run));
  process.stdout.write(
    run.peer.version() === null ? `${run.name} cannot be asked here\n` : `recorded ${run.name}\n`,
  );
}
