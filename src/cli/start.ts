// `pvops start`, which is `npm start`: Debian's kernel on every interface, through the matrix.

import { pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import { InputError } from '../base/errors.ts';
import { findKernel, kernelOfPackage } from '../host/node/index.ts';
import { type MatrixOptions, matrix } from './matrix.ts';
import { type ProbeOptions, probe } from './probe.ts';
import { cachedOrPulled } from './pulling.ts';

const KERNEL = 'debian:12/cloud-amd64';

/** Left in the folder where it was said, for a browser. */
const PAGE = 'pvops-matrix.html';

interface StartOptions {
  readonly initrd?: string;
  readonly mirror?: string;
}

/** What `pvops matrix` has if nothing is said. */
const DEFAULTS: MatrixOptions = {
  engine: 'auto',
  on: 'all',
  memory: '512M',
  timeout: '120s',
  seed: '0',
  html: PAGE,
};

/** What `pvops probe` has if nothing is said. */
const PROBE_DEFAULTS: ProbeOptions = { on: 'all', boot: 'direct', engine: 'auto', seed: '0' };

/** `entry` is the file that worker threads execute. */
export const addStart = (entry: URL) => (program: Command) => {
  program
    .command('start')
    .description(`boot a kernel (${KERNEL} if none is given) on every interface and compare`)
    .argument('[kernel]', 'a path or a pulled name')
    .option('--initrd <file>', 'an initramfs of your own instead of busybox')
    .option('--mirror <url>', 'a Debian archive to pull from instead of apt')
    .action(async (kernel: string | undefined, { initrd, mirror }: StartOptions) => {
      const name = kernel ?? KERNEL;
      const version = kernel === undefined ? await pulledVersion(mirror) : await versionOf(name);
      if (version === null) {
        process.exitCode = await probe(PROBE_DEFAULTS);
        return;
      }
      process.stdout.write(`${name}: Linux ${version.split(' ', 1)[0]}\n`);
      process.exitCode = await matrix(entry, [name], {
        ...DEFAULTS,
        ...(initrd === undefined ? {} : { initrd }),
      });
      process.stdout.write(`charts, consoles and failures: ${pathToFileURL(PAGE)}\n`);
    });
};

const versionOf = async (kernel: string): Promise<string> =>
  (await findKernel(kernel)).kernel.version();

/** Null: there is no kernel to be had, and the user has been told why. */
async function pulledVersion(mirror: string | undefined): Promise<string | null> {
  try {
    return (await kernelOfPackage(await cachedOrPulled(KERNEL, mirror))).kernel.version();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    process.stderr.write(
      `pvops: there is no ${KERNEL} to start: ${error.message}\nhint: ${error.hint} Or give a kernel of your own: npm start -- /path/to/vmlinuz --initrd FILE\npvops: so the probe kernel is started instead, which needs no file\n`,
    );
    return null;
  }
}
