// `npm run hot-list`: boots kernels, counts which handlers tier 0 runs beside the JIT, and writes src/cpu/interp/hot-list.ts anew.

import { writeFileSync } from 'node:fs';
import type { Interpreter } from '../src/cpu/interp/engine.ts';
import { findKernel } from '../src/host/node/index.ts';
import { assemble } from '../src/lab/assemble.ts';
import { buildInitramfs, DEFAULT_COMMAND_LINE, findInterface, INIT_UP } from '../src/lab/index.ts';
import { machineOf } from '../src/lab/spec.ts';

const KERNELS = process.argv.length > 2 ? process.argv.slice(2) : ['debian:12/cloud-amd64'];
const INTERFACES = ['native', 'kvm'];
const MEMORY_BYTES = 512 << 20;
const SLICE = 1_000_000;
/**
 * Cases of the hot function: 94 % of what tier 0 runs in a boot of cloud-amd64, 96 % in the first quarter of one of 686. Twice as many are 98 %, and
 * 134 KB of machine code instead of 57 for V8's optimising compiler to make.
 */
const HOT = 280;

/** Shares of all that a boot ran, added up. */
const counts = new Map<string, number>();
for (const kernel of KERNELS) for (const on of INTERFACES) await count(kernel, on);
const lines = [...counts].sort((a, b) => b[1] - a[1]).map(([example]) => example);
writeFileSync(new URL('../src/cpu/interp/hot-list.ts', import.meta.url), sourceOf(lines));
process.stdout.write(`${lines.length} handlers, ${Math.min(HOT, lines.length)} of them hot\n`);

async function count(name: string, on: string): Promise<void> {
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
    engine: 'jit',
    counting: true,
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
  while (!up) {
    const stop = machine.run({ instructions: SLICE });
    if (stop.kind !== 'slice') throw new Error(`${name} on ${on} ended: ${stop.kind}`);
  }
  const executed = (cpu.engine as Interpreter).executed();
  const total = [...executed.values()].reduce((sum, n) => sum + n, 0);
  for (const [example, n] of executed) {
    counts.set(example, (counts.get(example) ?? 0) + n / total);
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
