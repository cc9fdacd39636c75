// Records what other machines answer to the probe kernel, for tests/conformance/recorded.
// npm run record:probe                            those that are installed here: QEMU, Bochs
// npm run record:probe -- NAME...                 those whose names begin so; `xen` is the real Xen, which takes minutes
//   [--qemu] [--folder F] [--seconds N]           of the real Xen: on QEMU, not Bochs; where its image is made; how long it may take

import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  headed,
  imageOf,
  keep,
  OUTSIDE_RUNS,
  type OutsideRun,
  record,
} from '../tests/conformance/outside.ts';
import { bochs, qemu } from '../tests/conformance/peers.ts';
import { boot, commandLine, hypervisorVersion, makeImage } from './xen-reference/dom0.ts';

const { values, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    qemu: { type: 'boolean', default: false },
    folder: { type: 'string', default: join(tmpdir(), 'xen-reference') },
    seconds: { type: 'string', default: '3600' },
  },
});

for (const run of OUTSIDE_RUNS) {
  const { name, peer } = run;
  if (names.length === 0 ? !peer : !names.some((start) => name.startsWith(start))) continue;
  if (peer && !peer.version()) print(`${name} cannot be asked here`);
  else {
    keep(run, peer ? record(run, peer) : await recordOnXen(run));
    print(`recorded ${name}`);
  }
}

/** A guest of the real Xen: its console is the control domain's to tell. */
async function recordOnXen(run: OutsideRun): Promise<string> {
  const machine = values.qemu ? 'qemu' : 'bochs';
  const kind = run.on === 'xen-pvh' ? run.on : 'xen-pv';
  mkdirSync(values.folder, { recursive: true });
  makeImage(values.folder, kind, imageOf(run), 0);
  const said = await boot(values.folder, machine, kind, Number(values.seconds));
  const beneath = (values.qemu ? qemu : bochs).version();
  const tool = `xen-hypervisor-4.17-amd64 ${hypervisorVersion(values.folder)} on ${beneath}`;
  return headed(run, tool, commandLine(machine, kind), said);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
