// `npm start`: installs locked packages and builds the command line if needed, then runs `pvops start`.

import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { installLockedPackages, root } from './locked-packages.mjs';

const BUNDLE = join(root, 'dist/pvops.mjs');
/** What the bundle is made of. A folder counts too: its time changes when a file in it is removed. */
const SOURCES = ['src', 'package-lock.json', 'vite.config.ts'];

installLockedPackages();
buildIfStale();
await start(process.argv.slice(2));

function buildIfStale() {
  const built = statSync(BUNDLE, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (built >= Math.max(...SOURCES.map((path) => newest(join(root, path))))) return;
  process.stderr.write('pvops: building dist/pvops.mjs\n');
  const vite = join(root, 'node_modules/vite/bin/vite.js');
  const build = spawnSync(process.execPath, [vite, 'build', '--logLevel', 'warn'], {
    cwd: root,
    stdio: ['ignore', 2, 'inherit'],
  });
  if (build.status !== 0) process.exit(build.status || 1);
}

function newest(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

function start(args) {
  // Signals of the terminal reach the child by themselves; it decides what they mean.
  for (const signal of ['SIGINT', 'SIGQUIT']) process.on(signal, () => {});
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [BUNDLE, 'start', ...args], { stdio: 'inherit' });
    process.on('SIGTERM', () => child.kill('SIGTERM'));
    child.on('close', (code) => {
      process.exitCode = code ?? 1;
      resolve();
    });
  });
}
