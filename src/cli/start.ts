// `pvops start`, which is `npm start`: Debian's kernels on every interface, through the matrix.

import { pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import { InputError } from '../base/errors.ts';
import { findKernel, kernelOfPackage } from '../host/node/index.ts';
import { type MatrixOptions, matrix } from './matrix.ts';
import { type ProbeOptions, probe } from './probe.ts';
import { cachedOrPulled } from './pulling.ts';

/** The first one is needed; the others are left out where they cannot be had. */
const KERNELS = ['debian:12/cloud-amd64', 'debian:12/amd64', 'debian:12/686-pae', 'debian:12/686'];

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
    .description("boot kernels (Debian's if none is given) on every interface and compare")
    .argument('[kernel...]', 'paths or pulled names')
    .option('--initrd <file>', 'an initramfs of your own instead of busybox')
    .option('--mirror <url>', 'a Debian archive to pull from instead of apt')
    .action(async (named: string[], { initrd, mirror }: StartOptions) => {
      const versions = named.length > 0 ? await versionsOf(named) : await pulledVersions(mirror);
      if (versions.size === 0) {
        process.exitCode = await probe(PROBE_DEFAULTS);
        return;
      }
      for (const [name, version] of versions)
        process.stdout.write(`${name}: Linux ${version.split(' ', 1)[0]}\n`);
      process.exitCode = await matrix(entry, [...versions.keys()], {
        ...DEFAULTS,
        ...(initrd === undefined ? {} : { initrd }),
      });
      process.stdout.write(`charts, consoles and failures: ${pathToFileURL(PAGE)}\n`);
    });
};

async function versionsOf(names: readonly string[]): Promise<Map<string, string>> {
  const versions = new Map<string, string>();
  for (const name of names) versions.set(name, (await findKernel(name)).kernel.version());
  return versions;
}

/** Empty: there is no kernel to be had, and the user has been told why. */
async function pulledVersions(mirror: string | undefined): Promise<Map<string, string>> {
  const versions = new Map<string, string>();
  for (const name of KERNELS) {
    try {
      const { kernel } = await kernelOfPackage(await cachedOrPulled(name, mirror));
      versions.set(name, kernel.version());
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      if (versions.size === 0) {
        process.stderr.write(nothingToStart(name, error));
        return versions;
      }
      process.stderr.write(`pvops: ${name} is left out: ${error.message}\n`);
    }
  }
  return versions;
}

const nothingToStart = (name: string, { message, hint }: InputError): string =>
  `pvops: there is no ${name} to start: ${message}\nhint: ${hint} Or give a kernel of your own: npm start -- /path/to/vmlinuz --initrd FILE\npvops: so the probe kernel is started instead, which needs no file\n`;
