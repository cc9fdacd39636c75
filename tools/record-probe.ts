// Records what QEMU answers to the probe kernel (`npm run record:probe`), for tests/conformance/recorded.

import { keep, OUTSIDE_RUNS, record } from '../tests/conformance/outside.ts';

for (const run of OUTSIDE_RUNS) {
  keep(run, record(run));
  process.stdout.write(`recorded ${run.name}\n`);
}
