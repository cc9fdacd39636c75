// Installs the packages of package-lock.json when they are missing or not the locked ones.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs `npm ci` if it is needed; ends the process with its status if that fails. */
export function installLockedPackages() {
  if (arePackagesInstalled()) return;
  process.stderr.write('pvops: installing the locked packages (npm ci)\n');
  const options = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  // Through the shell, because npm is a script of its own kind on every platform; stdout stays ours.
  const npm = spawnSync(['npm', ...options].join(' '), {
    cwd: root,
    shell: true,
    stdio: ['ignore', 2, 'inherit'],
  });
  if (npm.status === 0) return;
  process.stderr.write('pvops: npm ci failed; it needs the npm registry, or a filled npm cache\n');
  process.exit(npm.status || 1);
}

/** npm notes what it installed; optional packages of other platforms are not among it. */
function arePackagesInstalled() {
  const note = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(note)) return false;
  const installed = readPackages(note);
  return Object.entries(readPackages(join(root, 'package-lock.json'))).every(
    ([path, { version, optional }]) =>
      path === '' ||
      (installed[path]
        ? installed[path].version === version && existsSync(join(root, path))
        : optional === true),
  );
}

const readPackages = (path) => JSON.parse(readFileSync(path, 'utf8')).packages;
