// Kernels by name: `debian:12/cloud-amd64` to verified .deb files in the user's cache.
import { rm } from 'node:fs/promises';
import { InputError } from '../../base/errors.ts';
import { openApt } from './apt.ts';
import {
  adopt,
  type CachedFile,
  type CacheRecord,
  isIntact,
  makeWorkDirectory,
  packagePath,
  readRecord,
  sha256OfFile,
  writeRecord,
} from './cache.ts';
import { cacheDirectory } from './cache-directory.ts';
import { dependencyLike, type KernelName, parseKernelName } from './flavours.ts';
import { openMirror } from './mirror.ts';
import {
  type IndexedPackage,
  type PackageIndex,
  type PullProgress,
  sourceFailed,
} from './package-source.ts';

export { looksLikeKernelName, parseKernelName } from './flavours.ts';
export type { PullProgress } from './package-source.ts';

export interface PulledKernel {
  readonly name: string;
  /** The versioned package, and its Debian version. */
  readonly package: string;
  readonly version: string;
  readonly kernelDeb: string;
  readonly kernelSha256: string;
  readonly busyboxDeb: string;
  readonly busyboxSha256: string;
  /** Why this is an earlier pull's result and not the archive's newest, if so. */
  readonly notRefreshed?: string;
}

export interface PullOptions {
  /** Root URL of a Debian archive, to use instead of apt. */
  readonly mirror?: string;
  readonly cache?: string;
  readonly onProgress?: (progress: PullProgress) => void;
}

const BUSYBOX = 'busybox-static';

/** What an earlier pull left, if all of it is there and has its digests; never touches the network. */
export async function cached(
  text: string,
  options: PullOptions = {},
): Promise<PulledKernel | null> {
  const cache = options.cache ?? cacheDirectory();
  const record = await readRecord(cache, parseKernelName(text).name);
  if (!record) return null;
  const intact = await Promise.all([
    isIntact(cache, record.kernel),
    isIntact(cache, record.busybox),
  ]);
  return intact.every(Boolean) ? pulledKernel(cache, record) : null;
}

/**
 * Gets the newest packages of that name into the cache. Without a network (or apt) what was pulled before is the answer;
 * without that either, the reason is an InputError.
 */
export async function pull(text: string, options: PullOptions = {}): Promise<PulledKernel> {
  const cache = options.cache ?? cacheDirectory();
  const name = parseKernelName(text);
  const workDirectory = await makeWorkDirectory(cache);
  try {
    return await refresh(name, cache, workDirectory, options);
  } catch (error) {
    if (!(error instanceof InputError) || error.code === 'host/bad-mirror') throw error;
    const earlier = await cached(text, { cache });
    if (earlier) return { ...earlier, notRefreshed: error.message };
    throw new InputError(error.code, `${name.name} cannot be pulled: ${error.message}`, error.hint);
  } finally {
    await rm(workDirectory, { recursive: true, force: true });
  }
}

async function refresh(
  name: KernelName,
  cache: string,
  workDirectory: string,
  { mirror, onProgress = () => {} }: PullOptions,
): Promise<PulledKernel> {
  const { codename, architecture, package: needed } = name;
  const source = { codename, architecture, needed, workDirectory, onProgress };
  const index = await (mirror === undefined ? openApt(source) : openMirror(mirror, source));
  const kernel = await resolveKernel(index, name);
  const busybox = await index.lookup(BUSYBOX);
  if (!busybox) throw notInArchive(BUSYBOX, name);
  const record: CacheRecord = {
    name: name.name,
    kernel: await obtain(index, kernel, cache, onProgress),
    busybox: await obtain(index, busybox, cache, onProgress),
  };
  await writeRecord(cache, record);
  return pulledKernel(cache, record);
}

/** The package with the kernel in it: the one that is asked for, or what that depends on. */
async function resolveKernel(index: PackageIndex, name: KernelName): Promise<IndexedPackage> {
  const asked = name.package;
  const entry = await index.lookup(asked);
  if (!entry) throw notInArchive(asked, name);
  if (name.dependency === null) return entry;
  const dependency = dependencyLike(entry.depends, name.dependency);
  if (dependency === null) {
    throw sourceFailed(`The package ${asked} does not depend on a kernel`, 'Try another flavour.');
  }
  const kernel = await index.lookup(dependency);
  if (!kernel) throw notInArchive(dependency, name);
  return kernel;
}

async function obtain(
  index: PackageIndex,
  entry: IndexedPackage,
  cache: string,
  onProgress: (progress: PullProgress) => void,
): Promise<CachedFile> {
  // As apt names files: a colon is not for file names.
  const version = entry.version.replaceAll(':', '%3a');
  const wanted: CachedFile = {
    package: entry.package,
    version: entry.version,
    sha256: entry.sha256,
    file: `${entry.package}_${version}_${entry.architecture}.deb`,
  };
  if (await isIntact(cache, wanted)) {
    onProgress({ step: 'cached', what: `${entry.package} ${entry.version}` });
    return wanted;
  }
  const directory = await makeWorkDirectory(cache);
  try {
    const path = await index.fetch(entry, directory);
    if ((await sha256OfFile(path)) !== entry.sha256) {
      throw sourceFailed(
        `The download of ${entry.package} does not have the digest that the archive's index names`,
        'Try again, or another mirror.',
      );
    }
    await adopt(cache, path, wanted.file);
    return wanted;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function pulledKernel(cache: string, { name, kernel, busybox }: CacheRecord): PulledKernel {
  return {
    name,
    package: kernel.package,
    version: kernel.version,
    kernelDeb: packagePath(cache, kernel.file),
    kernelSha256: kernel.sha256,
    busyboxDeb: packagePath(cache, busybox.file),
    busyboxSha256: busybox.sha256,
  };
}

function notInArchive(wanted: string, name: KernelName): InputError {
  return sourceFailed(
    `The archive has no package ${wanted} for Debian ${name.codename} on ${name.architecture}`,
    'Check the name, or try another mirror.',
  );
}
