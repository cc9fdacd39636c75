// Builds the workloads with gcc into the user's cache, and says what goes into the initramfs. Nothing of it is committed.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheDirectory } from '../../src/host/node/index.ts';
import { type Bits, PROGRAMS, type Program } from './suite.ts';

const SOURCES = fileURLToPath(new URL('./src/', import.meta.url));
const COMMON = ['-O2', '-static', '-fno-pie', '-no-pie', '-s'];
const BY_BITS: Readonly<Record<Bits, readonly string[]>> = {
  32: ['-m32', '-march=i686', '-msse2'],
  64: ['-m64'],
};

/** The compiler refused, or is not there; the message ends in what to do. */
export class BuildFailed extends Error {}

/** Files for `buildInitramfs`: the given programs at /bench. Compiles them all unless these sources were compiled before. */
export function builtWorkloads(programs: readonly Program[], bits: Bits) {
  const folder = join(cacheDirectory(), 'bench', `${digest(bits)}-bin${bits}`);
  if (!existsSync(folder)) buildInto(folder, bits);
  return programs.map(({ name }) => ({
    path: `/bench/${name}`,
    bytes: new Uint8Array(readFileSync(join(folder, name))),
  }));
}

/** Of everything that makes the binaries: sources, flags, compiler. */
function digest(bits: Bits): string {
  const hash = createHash('sha256');
  for (const file of readdirSync(SOURCES).sort()) hash.update(readFileSync(join(SOURCES, file)));
  hash.update(JSON.stringify([PROGRAMS, COMMON, BY_BITS[bits], compilerVersion()]));
  return hash.digest('hex').slice(0, 16);
}

function compilerVersion(): string {
  const { stdout, status } = spawnSync('gcc', ['--version'], { encoding: 'utf8' });
  if (status !== 0) throw new BuildFailed('there is no gcc\nhint: install the package gcc');
  return stdout;
}

function buildInto(folder: string, bits: Bits): void {
  const partial = `${folder}.${process.pid}`;
  mkdirSync(partial, { recursive: true });
  try {
    for (const p of PROGRAMS) compile(p, bits, join(partial, p.name));
    if (!existsSync(folder)) renameSync(partial, folder);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

function compile({ source, flags }: Program, bits: Bits, output: string): void {
  const options = [...BY_BITS[bits], ...COMMON, ...(flags?.[bits] ?? [])];
  const { status, stderr } = spawnSync('gcc', [...options, '-o', output, join(SOURCES, source)], {
    encoding: 'utf8',
  });
  if (status === 0) return;
  const why = stderr.split('\n').find((line) => line.includes('error')) ?? stderr;
  const hint = bits === 32 ? 'install the packages gcc and gcc-multilib' : 'install gcc';
  throw new BuildFailed(
    `gcc cannot build ${source} for ${bits} bits: ${why.trim()}\nhint: ${hint}`,
  );
}
