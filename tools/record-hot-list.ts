// `npm run hot-list`: boots a kernel, samples which handlers tier 0 runs, and writes src/cpu/interp/hot-list.ts anew.

import { writeFileSync } from 'node:fs';
import type { Interpreter } from '../src/cpu/interp/engine.ts';
import { R_HANDLER } from '../src/cpu/interp/records.ts';
import { findKernel } from '../src/host/node/index.ts';
import { assemble } from '../src/lab/assemble.ts';
import { buildInitramfs, DEFAULT_COMMAND_LINE, findInterface, INIT_UP } from '../src/lab/index.ts';
import { machineOf } from '../src/lab/spec.ts';

const KERNELS = process.argv.length > 2 ? process.argv.slice(2) : ['debian:12/cloud-amd64'];
const INTERFACES = ['native', 'kvm'];
const MEMORY_BYTES = 512 << 20;
/** Instructions between two samples: a prime, so that loops do not hide. */
const STRIDE = 997;
/** Cases of the hot function: about 60 KB of WebAssembly (docs/decisions/0001). */
const HOT = 560;

const counts = new Map<string, number>();
for (const kernel of KERNELS) for (const on of INTERFACES) await sample(kernel, on);
const lines = [...counts].sort((a, b) => b[1] - a[1]).map(([example]) => example);
writeFileSync(new URL('../src/cpu/interp/hot-list.ts', import.meta.url), sourceOf(lines));
process.stdout.write(`${lines.length} handlers, ${Math.min(HOT, lines.length)} of them hot\n`);

async function sample(name: string, on: string): Promise<void> {
  const found = await findKernel(name);
  const busybox = await found.busybox();
  if (!busybox) throw new Error(`no busybox for ${name}`);
  let line = '';
  let up = false;
  const choice = findInterface(on);
  const { cpu, machine, attached } = assemble({
    choice,
    ...machineOf({ on: choice }),
    memoryBytes: MEMORY_BYTES,
    engine: 'interpreter',
    time: 'virtual',
    epochSeconds: 1704067200,
    seed: 0,
    transmit(byte) {
      line = byte === 10 ? '' : line + String.fromCharCode(byte);
      if (line.includes(INIT_UP)) up = true;
    },
    attend: () => false,
  });
  attached.start({
    kernel: found.kernel,
    initrd: buildInitramfs({ busybox }),
    commandLine: DEFAULT_COMMAND_LINE,
  });
  const engine = cpu.engine as Interpreter;
  while (!up) {
    const stop = machine.run({ instructions: STRIDE });
    if (stop.kind !== 'slice') throw new Error(`${name} on ${on} ended: ${stop.kind}`);
    const example =
      engine.handlers.examples[cpu.views.u16[(engine.interrupted + R_HANDLER) >> 1] ?? 0];
    if (engine.interrupted !== 0 && example !== undefined)
      counts.set(example, (counts.get(example) ?? 0) + 1);
  }
  for (const example of engine.handlers.examples) {
    if (example !== undefined && !counts.has(example)) counts.set(example, 0);
  }
}

function sourceOf(examples: readonly string[]): string {
  const list = (some: readonly string[]) => some.map((e) => `  '${e}',\n`).join('');
  return [
    '// Recorded by `npm run hot-list`: one example of each handler that boots met (mode, code bytes, producer of the flags).\n\n',
    '/** Most executed first: the cases of the hot function. */\n',
    `export const hotList: readonly string[] = [\n${list(examples.slice(0, HOT))}];\n\n`,
    `/** The rest. */\nexport const warmList: readonly string[] = [\n${list(examples.slice(HOT))}];\n`,
  ].join('');
}
