// The machines that run the suite: pvops, QEMU's TCG, and for 32 bits v86; each as one command that boots to the suite.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { cacheDirectory } from '../../src/host/node/index.ts';
import type { Bits } from './suite.ts';

export interface Machine {
  readonly name: 'pvops' | 'QEMU' | 'v86';
  readonly how: string;
  readonly command: string;
  readonly args: readonly string[];
}

export interface Guest {
  readonly bits: Bits;
  /** The kernel's name, as `pvops run` takes it. */
  readonly kernel: string;
  /** Files: the kernel as each machine wants it, and the initramfs. */
  readonly vmlinux: string;
  readonly bzImage: string;
  readonly initrd: string;
  /** Added to the command line on every machine. */
  readonly append: string;
}

export interface PvopsOptions {
  readonly on: string;
  readonly engine: string;
  /** The text that ends the run. */
  readonly until: string;
}

export const KERNELS: Readonly<Record<Bits, string>> = {
  32: 'debian:12/686',
  64: 'debian:12/cloud-amd64',
};

export const PVOPS = 'dist/pvops.mjs';
const MEGABYTES = 512;
const DEFAULT_COMMAND_LINE = 'console=ttyS0 panic=-1';
const V86_RUN = fileURLToPath(new URL('./v86-run.mjs', import.meta.url));
/** Debian's package seabios; v86 on npm comes without. */
const FIRMWARE = '/usr/share/seabios';

export function pvopsMachine(guest: Guest, { on, engine, until }: PvopsOptions): Machine {
  const { kernel, initrd, append } = guest;
  const options = ['--on', on, '--time', 'virtual', '--engine', engine];
  const limits = ['--memory', `${MEGABYTES}M`, '--timeout', '600s'];
  return {
    name: 'pvops',
    how: `node ${PVOPS} run ${kernel} ${options.join(' ')}, Node ${process.versions.node}`,
    command: process.execPath,
    args: [
      ...[PVOPS, 'run', kernel, ...options, ...limits],
      ...['--initrd', initrd, '--append', append, '--expect-text', until],
    ],
  };
}

/** Null: not installed. 64-bit boots take QEMU's shortest path, as bench:boot does; the 686 kernel needs its PC. */
export function qemuMachine(guest: Guest): Machine | null {
  const { bits, vmlinux, bzImage, initrd } = guest;
  const command = bits === 64 ? 'qemu-system-x86_64' : 'qemu-system-i386';
  const version = spawnSync(command, ['--version'], { encoding: 'utf8' });
  if (version.status !== 0) return null;
  const machine = bits === 64 ? 'microvm,acpi=off' : 'pc';
  const number = /version (\S+)/.exec(version.stdout)?.[1] ?? '';
  return {
    name: 'QEMU',
    how: `${command} ${number}, TCG, -M ${machine}`,
    command,
    args: [
      ...['-M', machine, '-accel', 'tcg', '-m', `${MEGABYTES}`, '-nodefaults', '-no-reboot'],
      ...['-display', 'none', '-serial', 'stdio'],
      ...['-kernel', bits === 64 ? vmlinux : bzImage, '-initrd', initrd],
      ...['-append', commandLine(guest)],
    ],
  };
}

/** Null: not installed. `npm install --prefix CACHE/tools v86` puts it where this looks. */
export function v86Machine(guest: Guest): Machine | null {
  const folder = v86Folder();
  if (!existsSync(join(folder, 'package.json')) || !existsSync(join(FIRMWARE, 'bios.bin')))
    return null;
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    version: string;
  };
  const build = join(folder, 'build');
  return {
    name: 'v86',
    how: `v86 ${version}, Node ${process.versions.node}`,
    command: process.execPath,
    args: [
      ...[V86_RUN, pathToFileURL(join(build, 'libv86.mjs')).href, join(build, 'v86.wasm')],
      ...[FIRMWARE, `${MEGABYTES}`, guest.bzImage, guest.initrd, commandLine(guest)],
    ],
  };
}

/** What to say to somebody who lacks a peer. */
export const HOW_TO_INSTALL = {
  qemu: 'QEMU is not installed (package qemu-system-x86)',
  v86: () =>
    `v86 is not installed (npm install --prefix ${join(cacheDirectory(), 'tools')} v86; and the package seabios)`,
} as const;

const commandLine = ({ append }: Guest): string => `${DEFAULT_COMMAND_LINE} ${append}`.trim();

function v86Folder(): string {
  return join(cacheDirectory(), 'tools', 'node_modules', 'v86');
}
