// The user's cache of packages and unpacked images: every file is named by a record with its digest, and checked by it.
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, createReadStream, fstatSync, openSync, readSync } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { InputError } from '../../base/errors.ts';

const cachedFileSchema = v.object({
  package: v.string(),
  version: v.string(),
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  /** A name within the cache's `packages` folder. */
  file: v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9.+_~%-]*$/)),
});

/** As long as what is looked at at once. */
const ZEROS = Buffer.alloc(1 << 16);

const recordSchema = v.object({
  name: v.string(),
  kernel: cachedFileSchema,
  busybox: cachedFileSchema,
});

export type CachedFile = v.InferOutput<typeof cachedFileSchema>;
/** What one pulled name stands for. */
export type CacheRecord = v.InferOutput<typeof recordSchema>;

export function packagePath(cache: string, file: string): string {
  return join(cache, 'packages', file);
}

function recordPath(cache: string, name: string): string {
  return join(cache, 'names', `${name.replace(/[^a-z0-9.-]/gi, '_')}.json`);
}

/** Null if `name` was never pulled, or its record cannot be read. */
export async function readRecord(cache: string, name: string): Promise<CacheRecord | null> {
  const text = await readFile(recordPath(cache, name), 'utf8').catch(() => null);
  if (text === null) return null;
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), recordSchema), text);
  return parsed.success && parsed.output.name === name ? parsed.output : null;
}

export async function writeRecord(cache: string, record: CacheRecord): Promise<void> {
  await writeAtomically(recordPath(cache, record.name), `${JSON.stringify(record, null, 2)}\n`);
}

/** Whether the file is there and has its digest. */
export async function isIntact(cache: string, file: CachedFile): Promise<boolean> {
  return digestHolds(packagePath(cache, file.file), file.sha256);
}

/** Null if the file cannot be read. */
export async function sha256OfFile(path: string): Promise<string | null> {
  return (await scan(path))?.sha256 ?? null;
}

/** `filled`: where runs begin and end that are not all zeros. */
async function scan(path: string): Promise<{ sha256: string; filled: number[] } | null> {
  const hash = createHash('sha256');
  const filled: number[] = [];
  let at = 0;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
      hash.update(chunk);
      for (let i = 0; i < chunk.length; i += ZEROS.length) {
        const part = chunk.subarray(i, i + ZEROS.length);
        if (!part.equals(ZEROS.subarray(0, part.length))) {
          if (filled.at(-1) === at) filled.pop();
          else filled.push(at);
          filled.push(at + part.length);
        }
        at += part.length;
      }
    }
  } catch {
    return null;
  }
  return { sha256: hash.digest('hex'), filled };
}

/** Moves a finished download to its place, in one step. */
export async function adopt(cache: string, downloaded: string, file: string): Promise<void> {
  const path = packagePath(cache, file);
  await makeDirectory(dirname(path));
  await rename(downloaded, path);
}

/** Whether a file of the cache has this digest. */
export async function digestHolds(path: string, sha256: string): Promise<boolean> {
  return (await filledParts(path, sha256)) !== null;
}

/**
 * Where a file of the cache with this digest is not zero; null if it has another one. The answer is kept beside the file
 * with its size and time of change, so that the next run does not read tens of megabytes to ask again.
 */
async function filledParts(path: string, sha256: string): Promise<readonly number[] | null> {
  const before = await stat(path).catch(() => null);
  if (!before) return null;
  const stamp = `${sha256} ${before.size} ${before.mtimeMs}`;
  const kept = await readFile(`${path}.filled`, 'utf8').catch(() => '');
  const [line, places, end] = kept.split('\n');
  if (line === stamp && places !== undefined && end === '') {
    const known = places === '' ? [] : places.split(' ').map(Number);
    if (areParts(known, before.size)) return known;
  }
  const found = await scan(path);
  if (found?.sha256 !== sha256) return null;
  // A cache that cannot be written is still good to read.
  await writeAtomically(`${path}.filled`, `${stamp}\n${found.filled.join(' ')}\n`).catch(() => {});
  return found.filled;
}

/** Runs in order, each within the file: what a damaged list names must not be left out as zeros. */
const areParts = (places: readonly number[], size: number): boolean =>
  places.length % 2 === 0 &&
  places.every((at, n) => Number.isInteger(at) && at <= size && at > (places[n - 1] ?? -1));

/**
 * What was unpacked out of a package, such as its vmlinux: found by the package's digest and a label. Null if it is not
 * there or damaged.
 */
export async function readUnpacked(
  cache: string,
  sha256: string,
  label: string,
): Promise<Uint8Array | null> {
  const path = unpackedPath(cache, sha256, label);
  const digest = await readFile(`${path}.sha256`, 'utf8').catch(() => null);
  const filled = digest === null ? null : await filledParts(path, digest.trim());
  return filled && readParts(path, filled);
}

/**
 * All of a file whose `filled` parts are known: of a vmlinux that is three fifths, and not in a hundred reads as by `readFile`. Into
 * shared memory, because V8 collects all of its garbage twice when as much as that has been allocated beside its heap.
 */
function readParts(path: string, filled: readonly number[]): Uint8Array | null {
  let file = -1;
  try {
    file = openSync(path, 'r');
    const bytes = Buffer.from(new SharedArrayBuffer(fstatSync(file).size));
    for (let i = 0; i + 1 < filled.length; i += 2) {
      for (let [at = 0, end = 0] = [filled[i], filled[i + 1]]; at < end; ) {
        const got = readSync(file, bytes, at, end - at, at);
        if (got === 0) return null;
        at += got;
      }
    }
    return bytes;
  } catch {
    return null;
  } finally {
    if (file >= 0) closeSync(file);
  }
}

export async function writeUnpacked(
  cache: string,
  sha256: string,
  label: string,
  bytes: Uint8Array,
): Promise<void> {
  const path = unpackedPath(cache, sha256, label);
  await writeAtomically(path, bytes);
  const digest = createHash('sha256').update(bytes).digest('hex');
  await writeAtomically(`${path}.sha256`, `${digest}\n`);
}

function unpackedPath(cache: string, sha256: string, label: string): string {
  return join(cache, 'unpacked', sha256, label.replace(/[^A-Za-z0-9.-]/g, '_'));
}

/** A new folder below the cache for work in progress; the caller removes it. */
export async function makeWorkDirectory(cache: string): Promise<string> {
  const path = join(cache, `work-${process.pid}-${randomBytes(4).toString('hex')}`);
  await makeDirectory(path);
  return path;
}

async function writeAtomically(path: string, content: string | Uint8Array): Promise<void> {
  await makeDirectory(dirname(path));
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  try {
    await writeFile(temporary, content);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw cannotWrite(path, error);
  }
}

async function makeDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((error: unknown) => {
    throw cannotWrite(path, error);
  });
}

function cannotWrite(path: string, error: unknown): InputError {
  const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  return new InputError(
    'host/cache-not-writable',
    `The cache cannot be written: ${path} (${why})`,
    'Set XDG_CACHE_HOME to a folder that you may write to.',
  );
}
