// Tools and files of the host that a test of booting needs; where one is missing the test is skipped, or fails in CI.

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Debian keeps file system tools out of the PATH of users. */
export const TOOL_PATH = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;

/** A command's name, or the path of a file. With PVOPS_REQUIRE_KERNELS=1 an absence is an error. */
export function haveAll(...wanted: readonly string[]): boolean {
  const missing = wanted.filter((each) => !have(each));
  if (missing.length > 0 && process.env.PVOPS_REQUIRE_KERNELS === '1') {
    throw new Error(`missing on this host: ${missing.join(', ')} (.ci/run installs them)`);
  }
  return missing.length === 0;
}

function have(wanted: string): boolean {
  if (wanted.startsWith('/')) return existsSync(wanted);
  return TOOL_PATH.split(':').some((folder) => existsSync(join(folder, wanted)));
}

/** Its standard output; throws with what it said if it fails. */
export function runTool(command: string, args: readonly string[]): string {
  return execFileSync(command, args, {
    encoding: 'utf8',
    env: { ...process.env, PATH: TOOL_PATH },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
