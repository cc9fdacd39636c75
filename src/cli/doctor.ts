// `pvops doctor`: what this host can do, what is cached, what is missing.

import { accessSync, constants } from 'node:fs';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Command } from 'commander';
import { cacheDirectory, cached } from '../host/node/index.ts';
import { INTERFACES } from '../lab/index.ts';

const NODE_MIN = [20, 20];
const NAMES = ['debian:12/cloud-amd64', 'debian:12/amd64', 'debian:13/cloud-amd64'];
/** By these, a pull gets and verifies packages. */
const TOOLS = ['apt-get', 'apt-cache', 'gpgv'];

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('say what this host can do, what is cached and what is missing')
    .action(async () => {
      for (const [what, finding] of await findings()) {
        process.stdout.write(`${what.padEnd(12)} ${finding}\n`);
      }
    });
}

async function findings(): Promise<readonly (readonly [string, string])[]> {
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  return [
    ['node', nodeFinding()],
    ['wasm', wasmFinding()],
    ['processors', String(availableParallelism())],
    ['memory', `${gib(freemem())} free of ${gib(totalmem())}`],
    ['interfaces', INTERFACES.map(describe).join(', ')],
    ['cache', cacheDirectory()],
    ...(await Promise.all(NAMES.map(kernelFinding))),
    ...TOOLS.map((tool) => ['tool', toolFinding(tool)] as const),
  ];
}

const describe = ({ id, versions }: (typeof INTERFACES)[number]): string =>
  versions.length > 0 ? `${id} (${versions.join(', ')})` : id;

function nodeFinding(): string {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [wantMajor = 0, wantMinor = 0] = NODE_MIN;
  const enough = major > wantMajor || (major === wantMajor && minor >= wantMinor);
  return `${process.versions.node}${enough ? '' : `, too old: pvops needs ${NODE_MIN.join('.')}`}`;
}

/** (module (func (drop (v128.const i32x4 0 0 0 0)))): the vector instructions are what an old engine lacks. */
function wasmFinding(): string {
  const bytes = [
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0],
    ...[10, 23, 1, 21, 0, 0xfd, 12, ...new Array<number>(16).fill(0), 0x1a, 0x0b],
  ];
  return WebAssembly.validate(Uint8Array.from(bytes)) ? 'works, with SIMD' : 'lacks SIMD';
}

async function kernelFinding(name: string): Promise<readonly [string, string]> {
  const pulled = await cached(name);
  return [
    'kernel',
    pulled ? `${name}: ${pulled.package} ${pulled.version}` : `${name}: not pulled`,
  ];
}

function toolFinding(tool: string): string {
  const path = (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, tool))
    .find(isExecutable);
  return path ?? `${tool}: missing; without apt, pull with --mirror URL`;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
