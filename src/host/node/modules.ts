// Kernel modules of pulled packages: picked out once, then kept in the cache, as unpacking a package takes seconds.

import { readFile } from 'node:fs/promises';
import {
  collectModules,
  type KernelImage,
  type ModuleSet,
  NO_MODULES,
  openKernel,
  readCpio,
  writeCpio,
} from '../../lab/index.ts';
import { readUnpacked, writeUnpacked } from './cache.ts';
import { cacheDirectory } from './cache-directory.ts';
import { sha256OfBytes } from './files.ts';
import type { PulledKernel } from './packages.ts';

/** The member of the cached archive that holds `ModuleSet.names`. */
const NAMES = 'names';

export function modulesOf(kernel: KernelImage, names: readonly string[]): ModuleSet | null {
  if (names.length === 0) return NO_MODULES;
  const entries = kernel.modules();
  return entries.length === 0 ? null : collectModules(entries, names, kernel.name);
}

export async function modulesInCache(
  { name, kernelDeb, kernelSha256 }: PulledKernel,
  names: readonly string[],
): Promise<ModuleSet | null> {
  if (names.length === 0) return NO_MODULES;
  const cache = cacheDirectory();
  const wanted = new TextEncoder().encode(names.join('\n'));
  const label = `modules-${sha256OfBytes(wanted).slice(0, 16)}`;
  const ready = await readUnpacked(cache, kernelSha256, label);
  if (ready) return unpack(ready);
  const set = modulesOf(openKernel(await readFile(kernelDeb), name), names);
  if (set) await writeUnpacked(cache, kernelSha256, label, pack(set));
  return set;
}

function pack({ files, names }: ModuleSet): Uint8Array {
  const member = (path: string, bytes: Uint8Array) =>
    ({ kind: 'file', path, mode: 0o644, bytes }) as const;
  return writeCpio([
    member(NAMES, new TextEncoder().encode(names.join('\n'))),
    ...files.map(({ path, bytes }) => member(path.replace(/^\/+/, ''), bytes)),
  ]);
}

function unpack(archive: Uint8Array): ModuleSet {
  const members = readCpio(archive).flatMap((entry) => (entry.kind === 'file' ? [entry] : []));
  const names = members.find(({ path }) => path === NAMES);
  return {
    names: names ? new TextDecoder().decode(names.bytes).split('\n').filter(Boolean) : [],
    files: members
      .filter(({ path }) => path !== NAMES)
      .map(({ path, bytes }) => ({ path: `/${path}`, bytes, mode: 0o644 })),
  };
}
