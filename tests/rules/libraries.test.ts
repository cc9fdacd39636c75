// Rule: docs/libraries.md lists exactly the packages of package.json, with their versions and licences.

import { describe, expect, it } from 'vitest';
import { readText } from './source-files.ts';

interface Manifest {
  readonly license?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(readText('package.json')) as Manifest;
const declared = { ...manifest.dependencies, ...manifest.devDependencies };

/** Rows are `| package | version | licence | used for | why it is not our own |`. */
const rows = [
  ...readText('docs/libraries.md').matchAll(/^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \| (.+) \|$/gm),
].map(([, name = '', version = '', licence = '', why = '']) => ({ name, version, licence, why }));

describe('the table of libraries', () => {
  it('lists exactly the dependencies of package.json, with the same versions', () => {
    expect(Object.keys(declared).length).toBeGreaterThan(0);
    expect(rows).toHaveLength(Object.keys(declared).length);
    expect(Object.fromEntries(rows.map(({ name, version }) => [name, version]))).toEqual(declared);
  });

  it('gives for each the licence that the installed package declares, and a reason', () => {
    for (const { name, licence, why } of rows) {
      const installed = JSON.parse(readText(`node_modules/${name}/package.json`)) as Manifest;
      expect(licence, name).toBe(installed.license);
      expect(why.length, name).toBeGreaterThan(20);
    }
  });

  it('pins exact versions', () => {
    for (const [name, version] of Object.entries(declared)) {
      expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
    }
  });
});

describe('the lock file', () => {
  interface Locked {
    readonly dependencies?: Readonly<Record<string, string>>;
    readonly optionalDependencies?: Readonly<Record<string, string>>;
  }
  const lock = JSON.parse(readText('package-lock.json')) as {
    readonly packages: Readonly<Record<string, Locked>>;
  };

  // `npm install` drops optional packages that a registry lacks, and `npm ci` then refuses the lock file everywhere.
  it('has an entry for everything its packages depend on, on every platform', () => {
    const known = new Set(
      Object.keys(lock.packages).map((path) => path.split('node_modules/').at(-1)),
    );
    const missing = Object.entries(lock.packages).flatMap(([path, locked]) =>
      Object.keys({ ...locked.dependencies, ...locked.optionalDependencies })
        .filter((name) => !known.has(name))
        .map((name) => `${path} needs ${name}`),
    );
    expect(known.size).toBeGreaterThan(50);
    expect(missing).toEqual([]);
  });
});
