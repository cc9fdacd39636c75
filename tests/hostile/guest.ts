// Whole guests of nonsense: snippets of privileged code and random bytes, in each mode, each run until a fault or its end.

import { type BootWay, findInterface, INTERFACES } from '../../src/hypervisors/index.ts';
import { tinyBzImage } from '../../src/hypervisors/testing/tiny-bzimage.ts';
import { type KernelImage, openKernel } from '../../src/image/index.ts';
import { type RunResult, runKernel } from '../../src/lab/run.ts';
import type { RunSpec } from '../../src/lab/spec.ts';
import { KeepingConsole, stillHost, tinyElf, tinySpec } from '../../src/lab/testing/tiny-kernel.ts';
import type { Chance } from './chance.ts';
import { nonsenseProgram } from './program.ts';

export const WAYS = ['real', 'protected', 'long'] as const;
export type GuestWay = (typeof WAYS)[number];

/** Guest seconds: thirty thousand instructions are enough for a hundred snippets and what they loop over. */
const GUEST_SECONDS = 0.00003;

export interface GuestRun {
  readonly way: GuestWay;
  readonly on: string;
  readonly engine: RunSpec['engine'];
  readonly chance: Chance;
}

export function interfaceNames(): readonly string[] {
  return INTERFACES.flatMap(({ id, versions }) =>
    versions.length === 0 ? [id] : versions.map((version) => `${id}@${version}`),
  );
}

/** Any verdict will do but `error`; anything thrown is ours. */
export function runNonsense({ way, on, engine, chance }: GuestRun): Promise<RunResult> {
  const { kernel, boot } = image(way, chance);
  const spec = tinySpec([], {
    kernel,
    boot,
    on: findInterface(on),
    engine,
    seed: chance.below(1000),
    timeoutSeconds: GUEST_SECONDS,
  });
  return runKernel(stillHost, new KeepingConsole(), spec);
}

function image(way: GuestWay, chance: Chance): { kernel: KernelImage; boot: BootWay } {
  switch (way) {
    case 'real': {
      // The setup part has no room; ffff:0010 is the protected-mode part, at 1 MiB.
      const system = [...nonsenseProgram(chance, 16, 0x10)];
      const kernel = openKernel(tinyBzImage({ code16: 'jmpf 0xffff:0x10', system }), 'real');
      return { kernel, boot: 'setup' };
    }
    case 'protected': {
      const code = nonsenseProgram(chance, 32, 0x100000);
      return { kernel: openKernel(tinyElf([...code]), 'protected'), boot: 'pvh' };
    }
    case 'long': {
      // The 64-bit entry lies 0x200 bytes into the protected-mode part (Linux x86 boot protocol 2.12).
      const code = nonsenseProgram(chance, 64, 0x200200);
      const system = [...new Uint8Array(0x200), ...code];
      return { kernel: openKernel(tinyBzImage({ system }), 'long'), boot: 'linux64' };
    }
  }
}
