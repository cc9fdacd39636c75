// Packages through the host's apt, as any user: own lists and cache, the host's mirrors and settings, apt's own verification.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../../base/errors.ts';
import {
  indexedPackage,
  type PackageIndex,
  paragraphs,
  type SourceOptions,
  sourceFailed,
} from './package-source.ts';

/** Names under which a host's sources may list a Debian release. */
const DEBIAN_RELEASES = new Set(
  'buster bullseye bookworm trixie forky sid oldoldstable oldstable stable testing unstable'.split(
    ' ',
  ),
);
/** Where the package debian-archive-keyring puts the keys of the releases. */
const KEYRINGS = ['pgp', 'gpg'].map((end) => `/usr/share/keyrings/debian-archive-keyring.${end}`);
const TRY_MIRROR = 'Give a mirror (--mirror URL), or run a kernel file that you have.';

interface AptRun {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Target {
  readonly uri: string;
  readonly release: string;
}

/** Reads the lists of the release; refused where there is no apt, or its sources have no Debian archive. */
export async function openApt(options: SourceOptions): Promise<PackageIndex> {
  const { workDirectory, codename, architecture, onProgress } = options;
  for (const folder of ['state/lists/partial', 'cache/archives/partial', 'empty']) {
    await mkdir(join(workDirectory, folder), { recursive: true });
  }
  const sources = join(workDirectory, 'sources.list');
  await writeFile(join(workDirectory, 'status'), '');
  const own = ownSettings(workDirectory, architecture);
  const listed = await apt('apt-get', [
    ...own,
    'indextargets',
    '--no-release-info',
    '--format',
    TARGET_FORMAT,
  ]);
  const lines = sourcesFor(parseTargets(listed.stdout), codename, architecture);
  if (lines.length === 0) {
    throw new InputError(
      'host/no-debian-sources',
      "The sources of this host's apt have no Debian archive",
      TRY_MIRROR,
    );
  }
  await writeFile(sources, lines.join(''));
  const settings = [...own, ...setting('Dir::Etc::sourcelist', sources)];
  settings.push(...setting('Dir::Etc::sourceparts', join(workDirectory, 'empty')));
  onProgress({ step: 'lists', what: `Debian ${codename} ${architecture}` });
  const update = await apt('apt-get', [
    ...settings,
    ...setting('APT::Update::Error-Mode', 'any'),
    'update',
  ]);
  const index = indexOver(settings, onProgress);
  if (update.status === 0) return index;
  const failure = aptFailed('read all lists of the archive', update);
  // One archive of several may be down or in the middle of an update: the others may do.
  if (!(await index.lookup(options.needed))) throw failure;
  onProgress({ step: 'warning', what: `${failure.message}; going on with the other lists` });
  return index;
}

function indexOver(
  settings: readonly string[],
  onProgress: SourceOptions['onProgress'],
): PackageIndex {
  return {
    async lookup(name) {
      const shown = await apt('apt-cache', [...settings, 'show', '--no-all-versions', name]);
      if (shown.status !== 0) return null;
      const [fields] = paragraphs(shown.stdout);
      return fields ? indexedPackage(fields) : null;
    },
    async fetch(entry, directory) {
      const what = `${entry.package} ${entry.version}`;
      onProgress({ step: 'download', what, part: 0 });
      const run = await apt(
        'apt-get',
        [
          ...settings,
          ...setting('APT::Status-Fd', '3'),
          'download',
          `${entry.package}=${entry.version}`,
        ],
        { directory, onPart: (part) => onProgress({ step: 'download', what, part }) },
      );
      const [file] = (await readdir(directory)).filter((each) => each.endsWith('.deb'));
      if (run.status !== 0 || file === undefined) throw aptFailed(`download ${what}`, run);
      return join(directory, file);
    },
  };
}

// Without --no-release-info only targets that were already downloaded are shown.
const TARGET_FORMAT = '$(CREATED_BY) $(REPO_URI) $(RELEASE) $(COMPONENT)';

/** The binary package targets of component main. */
export function parseTargets(text: string): Target[] {
  const targets: Target[] = [];
  for (const line of text.split('\n')) {
    const [createdBy, uri, release, component] = line.trim().split(' ');
    if (createdBy !== 'Packages' || component !== 'main' || !uri || !release) continue;
    if (!targets.some((each) => each.uri === uri && each.release === release)) {
      targets.push({ uri, release });
    }
  }
  return targets;
}

/** Lines of a sources.list: the host's Debian archives, with the release that is asked for in place of the host's. */
export function sourcesFor(
  targets: readonly Target[],
  codename: string,
  architecture: string,
  keyring = KEYRINGS.find((path) => existsSync(path)),
): string[] {
  const lines = new Set<string>();
  const signedBy = keyring === undefined ? '' : ` signed-by=${keyring}`;
  for (const { uri, release } of targets) {
    const [base, suffix = ''] = release.split(/(?=[-/])/, 2) as [string, string?];
    // Backports and proposed updates are not what a release's name stands for.
    const suffixes = {
      '': '',
      '-updates': '-updates',
      '-security': '-security',
      '/updates': '-security',
    };
    if (!DEBIAN_RELEASES.has(base) || !(suffix in suffixes)) continue;
    const wanted = codename + suffixes[suffix as keyof typeof suffixes];
    lines.add(`deb [arch=${architecture}${signedBy}] ${uri} ${wanted} main\n`);
  }
  return [...lines];
}

/** Everything that apt writes or locks goes below `directory`; nothing of the host's own state is read. */
function ownSettings(directory: string, architecture: string): string[] {
  return [
    ...setting('Dir::State', join(directory, 'state')),
    ...setting('Dir::State::status', join(directory, 'status')),
    ...setting('Dir::Cache', join(directory, 'cache')),
    ...setting('APT::Architecture', architecture),
    ...setting('APT::Architectures', architecture),
    ...setting('Acquire::Languages', 'none'),
    // As root apt would download as another user, who may not write here.
    ...setting('APT::Sandbox::User', 'root'),
    ...setting('Acquire::Retries', '2'),
  ];
}

function setting(name: string, value: string): string[] {
  return ['-o', `${name}=${value}`];
}

interface AptOptions {
  readonly directory?: string;
  readonly onPart?: (part: number) => void;
}

function apt(command: string, args: readonly string[], options: AptOptions = {}): Promise<AptRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
      ...(options.directory === undefined ? {} : { cwd: options.directory }),
    });
    const output = { stdout: '', stderr: '' };
    child.stdout?.on('data', (chunk) => {
      output.stdout += chunk;
    });
    child.stderr?.on('data', (chunk) => {
      output.stderr += chunk;
    });
    child.stdio[3]?.on('data', (chunk) => {
      // apt README.progress-reporting: dlstatus:ITEM:PERCENT:TEXT.
      const percent = /dlstatus:\d+:([\d.]+):[^\n]*\n?$/.exec(String(chunk))?.[1];
      if (percent !== undefined) options.onPart?.(Number(percent) / 100);
    });
    child.on('error', () =>
      reject(new InputError('host/no-apt', `This host has no ${command}`, TRY_MIRROR)),
    );
    child.on('close', (code) => resolve({ status: code ?? 1, ...output }));
  });
}

function aptFailed(what: string, run: AptRun): InputError {
  const reason =
    run.stderr.split('\n').find((line) => line.startsWith('E:')) ?? run.stderr.split('\n')[0];
  return sourceFailed(
    `apt could not ${what}: ${reason?.replace(/^E:\s*/, '') || 'no reason given'}`,
    TRY_MIRROR,
  );
}
