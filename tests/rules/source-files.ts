// Lists and reads the project's own files for the rule tests; paths are relative to the root, with forward slashes.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Path to text. */
export type Sources = ReadonlyMap<string, string>;

/** Every file below `folders` whose name ends with one of `endings`. */
export function readSources(
  folders: readonly string[],
  endings: readonly string[] = ['.ts'],
): Sources {
  const paths = folders.flatMap((folder) => filesBelow(folder));
  return new Map(
    paths
      .filter((path) => endings.some((ending) => path.endsWith(ending)))
      .map((path) => [path, readFileSync(join(root, path), 'utf8')]),
  );
}

export const readText = (path: string): string => readFileSync(join(root, path), 'utf8');

export const exists = (path: string): boolean => existsSync(join(root, path));

/** Lines of a list file, without comments and blanks. */
export const readList = (path: string): string[] =>
  readText(path)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));

/** Folders directly in `folder` that hold a file. */
export function foldersIn(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .filter((name) => filesBelow(`${folder}/${name}`).length > 0)
    .sort();
}

function filesBelow(folder: string): string[] {
  if (!exists(folder)) return [];
  return readdirSync(join(root, folder), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return filesBelow(path);
      return entry.isFile() ? [path] : [];
    });
}
