// `pvops pull`: kernels and busybox of Debian, verified, into the user's cache.

import type { Command } from 'commander';
import { FLAVOUR_NAMES, kernelOfPackage } from '../host/node/index.ts';
import { pullWithProgress } from './pulling.ts';

export function addPull(program: Command): void {
  program
    .command('pull')
    .description("get a kernel and busybox from Debian's archive, verified, into the user's cache")
    .argument('<name>', `debian:12, or debian:12/${FLAVOUR_NAMES.join(', /')}`)
    .option('--mirror <url>', 'a Debian archive to use instead of apt')
    .action(async (name: string, options: { mirror?: string }) => {
      const pulled = await pullWithProgress(name, options.mirror);
      if (pulled.notRefreshed !== undefined) {
        process.stderr.write(`pvops: using what was pulled earlier: ${pulled.notRefreshed}\n`);
      }
      await kernelOfPackage(pulled); // Unpacked once, now: later runs start at once.
      process.stdout.write(
        `${pulled.name}: ${pulled.package} ${pulled.version}\n${pulled.kernelSha256}  ${pulled.kernelDeb}\n`,
      );
    });
}
