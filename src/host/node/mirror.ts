// Packages over HTTP from a Debian mirror, for hosts without apt: Release names the index's digest, the index the package's.
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { InputError } from '../../base/errors.ts';
import {
  type IndexedPackage,
  indexedPackage,
  type PackageIndex,
  paragraphs,
  type SourceOptions,
  sourceFailed,
} from './package-source.ts';

/** Debian's main index has about 50 MB unpacked; a Release file 200 kB. */
const RELEASE_BYTES_MAX = 16 << 20;
const INDEX_BYTES_MAX = 256 << 20;
/** Without a byte for this long the mirror counts as dead. */
const STALL_MILLIS = 60_000;

/** Reads the index of the release. Digests are checked, signatures are not: the mirror, or https to it, is trusted. */
export async function openMirror(mirror: string, options: SourceOptions): Promise<PackageIndex> {
  const { codename, architecture, onProgress } = options;
  const root = mirrorRoot(mirror);
  onProgress({ step: 'lists', what: `Debian ${codename} ${architecture}` });
  const dist = new URL(`dists/${codename}/`, root);
  const release = String(await download(new URL('Release', dist), RELEASE_BYTES_MAX));
  const path = `main/binary-${architecture}/Packages.gz`;
  const listed = releaseDigest(release, path);
  if (!listed) {
    throw sourceFailed(
      `The mirror's Release file lists no ${path} for ${codename}`,
      'Give the root of a Debian archive, the URL above dists/ and pool/.',
    );
  }
  const packed = await download(new URL(path, dist), INDEX_BYTES_MAX);
  if (createHash('sha256').update(packed).digest('hex') !== listed) {
    throw sourceFailed(
      `The index ${path} of the mirror does not have the digest that its Release file names`,
      'The mirror may just be updating: try again in some minutes.',
    );
  }
  const entries = readIndex(packed);
  return {
    lookup: async (name) => entries.get(name) ?? null,
    fetch: (entry, directory) => fetchPackage(root, entry, directory, onProgress),
  };
}

function mirrorRoot(mirror: string): URL {
  const url = URL.canParse(mirror) ? new URL(mirror.endsWith('/') ? mirror : `${mirror}/`) : null;
  if (url && (url.protocol === 'http:' || url.protocol === 'https:')) return url;
  throw new InputError(
    'host/bad-mirror',
    `The mirror ${JSON.stringify(mirror)} is not an http or https URL`,
    'Give the root of a Debian archive, the URL above dists/ and pool/.',
  );
}

/** The digest in the SHA256 section of a Release file; null if the path is not listed. */
export function releaseDigest(release: string, path: string): string | null {
  const section = /^SHA256:\n((?: .*\n?)+)/m.exec(release)?.[1] ?? '';
  for (const line of section.split('\n')) {
    const [digest, , name] = line.trim().split(/\s+/);
    if (name === path && digest && /^[0-9a-f]{64}$/.test(digest)) return digest;
  }
  return null;
}

function readIndex(packed: Uint8Array): Map<string, IndexedPackage> {
  let text: string;
  try {
    text = gunzipSync(packed, { maxOutputLength: INDEX_BYTES_MAX }).toString('utf8');
  } catch {
    throw sourceFailed('The index of the mirror is not gzip data', 'Try another mirror.');
  }
  const entries = new Map<string, IndexedPackage>();
  for (const fields of paragraphs(text)) {
    const entry = indexedPackage(fields);
    const known = entry && entries.get(entry.package);
    if (entry && (!known || compareVersions(known.version, entry.version) < 0)) {
      entries.set(entry.package, entry);
    }
  }
  return entries;
}

/** Order of Debian versions (deb-version(7)): epoch, then upstream and revision by alternating text and numbers. */
export function compareVersions(a: string, b: string): number {
  const [epochA, restA] = splitEpoch(a);
  const [epochB, restB] = splitEpoch(b);
  if (epochA !== epochB) return epochA - epochB;
  const [upstreamA, revisionA] = splitRevision(restA);
  const [upstreamB, revisionB] = splitRevision(restB);
  return compareParts(upstreamA, upstreamB) || compareParts(revisionA, revisionB);
}

function splitEpoch(version: string): [number, string] {
  const colon = version.indexOf(':');
  return colon < 0 ? [0, version] : [Number(version.slice(0, colon)), version.slice(colon + 1)];
}

function splitRevision(version: string): [string, string] {
  const dash = version.lastIndexOf('-');
  return dash < 0 ? [version, ''] : [version.slice(0, dash), version.slice(dash + 1)];
}

function compareParts(a: string, b: string): number {
  let restA = a;
  let restB = b;
  while (restA !== '' || restB !== '') {
    const textA = /^\D*/.exec(restA)![0];
    const textB = /^\D*/.exec(restB)![0];
    for (let n = 0; n < Math.max(textA.length, textB.length); n++) {
      const order = weight(textA[n]) - weight(textB[n]);
      if (order !== 0) return order;
    }
    restA = restA.slice(textA.length);
    restB = restB.slice(textB.length);
    const digitsA = /^\d*/.exec(restA)![0];
    const digitsB = /^\d*/.exec(restB)![0];
    const order = BigInt(digitsA || 0) - BigInt(digitsB || 0);
    if (order !== 0n) return order < 0n ? -1 : 1;
    restA = restA.slice(digitsA.length);
    restB = restB.slice(digitsB.length);
  }
  return 0;
}

/** A tilde sorts before the end, letters before other characters. */
function weight(character: string | undefined): number {
  if (character === undefined) return 0;
  if (character === '~') return -1;
  return character.charCodeAt(0) + (/[A-Za-z]/.test(character) ? 0 : 256);
}

async function fetchPackage(
  root: URL,
  entry: IndexedPackage,
  directory: string,
  onProgress: SourceOptions['onProgress'],
): Promise<string> {
  const what = `${entry.package} ${entry.version}`;
  const path = join(directory, 'package.deb');
  const file = await open(path, 'w');
  try {
    let bytes = 0;
    for await (const chunk of bodyOf(new URL(entry.filename, root), entry.bytes)) {
      await file.write(chunk);
      bytes += chunk.length;
      onProgress({ step: 'download', what, part: bytes / entry.bytes });
    }
  } finally {
    await file.close();
  }
  return path;
}

async function download(url: URL, limit: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bodyOf(url, limit)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The body of a response, at most `limit` bytes of it. */
async function* bodyOf(url: URL, limit: number): AsyncGenerator<Uint8Array> {
  const abort = new AbortController();
  let timer = setTimeout(() => abort.abort(), STALL_MILLIS);
  try {
    const response = await fetch(url, { signal: abort.signal });
    if (!response.ok || !response.body) throw mirrorFailed(url, `status ${response.status}`);
    let total = 0;
    for await (const chunk of response.body) {
      clearTimeout(timer);
      timer = setTimeout(() => abort.abort(), STALL_MILLIS);
      total += chunk.length;
      if (total > limit) throw mirrorFailed(url, `more than ${limit} bytes`);
      yield chunk;
    }
  } catch (error) {
    if (error instanceof InputError) throw error;
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    throw mirrorFailed(url, cause instanceof Error ? cause.message || cause.name : 'no answer');
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
}

function mirrorFailed(url: URL, why: string): InputError {
  return sourceFailed(
    `The mirror did not give ${url.pathname.slice(-100)}: ${why}`,
    'Check the URL and the network; what was pulled before works without either.',
  );
}
