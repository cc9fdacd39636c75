// What pvops asks of a place that Debian packages come from: apt of the host, or a mirror.
import { InputError } from '../../base/errors.ts';

/** One package as the archive's index lists it. */
export interface IndexedPackage {
  readonly package: string;
  readonly version: string;
  readonly architecture: string;
  readonly depends: string;
  /** Path below the archive's root. */
  readonly filename: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface PackageIndex {
  /** The newest version of the package; null if the archive has none. */
  lookup(name: string): Promise<IndexedPackage | null>;
  /** Downloads into `directory` and returns the path; the caller checks the digest. */
  fetch(entry: IndexedPackage, directory: string): Promise<string>;
}

export interface SourceOptions {
  /** Debian's name of the release: `bookworm`. */
  readonly codename: string;
  readonly architecture: string;
  /** A package without which the archive is of no use. */
  readonly needed: string;
  /** Empty, writable, removed afterwards. */
  readonly workDirectory: string;
  readonly onProgress: (progress: PullProgress) => void;
}

export interface PullProgress {
  readonly step: 'lists' | 'download' | 'cached' | 'warning';
  /** What is being read: a package, or the archive's lists; or the sentence of a warning. */
  readonly what: string;
  /** From 0 to 1, where it is known. */
  readonly part?: number;
}

/** An entry of a `Packages` file; null if a field that matters is missing or not what the archive's policy allows. */
export function indexedPackage(fields: ReadonlyMap<string, string>): IndexedPackage | null {
  const field = (name: string) => fields.get(name) ?? '';
  const entry: IndexedPackage = {
    package: field('Package'),
    version: field('Version'),
    architecture: field('Architecture'),
    depends: field('Depends'),
    filename: field('Filename'),
    bytes: Number(field('Size')),
    sha256: field('SHA256'),
  };
  // Debian Policy 5.6.1, 5.6.12: what these may contain; file names are made of them.
  const valid =
    /^[a-z0-9][a-z0-9+.-]+$/.test(entry.package) &&
    /^[0-9][A-Za-z0-9.+:~-]*$/.test(entry.version) &&
    /^[a-z0-9-]+$/.test(entry.architecture) &&
    /^[0-9a-f]{64}$/.test(entry.sha256) &&
    /^[A-Za-z0-9][A-Za-z0-9./+_~%:-]*$/.test(entry.filename) &&
    !entry.filename.split('/').includes('..') &&
    entry.bytes > 0 &&
    entry.bytes <= PACKAGE_BYTES_MAX;
  return valid ? entry : null;
}

/** A kernel with debug symbols has about 1 GB; nothing that pvops asks for is larger. */
const PACKAGE_BYTES_MAX = 2 ** 31;

/** Paragraphs of "Field: value" lines; continuation lines are joined with spaces. */
export function* paragraphs(text: string): Generator<ReadonlyMap<string, string>> {
  for (const block of text.split(/\n[ \t]*\n/)) {
    const fields = new Map<string, string>();
    for (const line of block.replace(/\n[ \t]+/g, ' ').split('\n')) {
      const colon = line.indexOf(':');
      if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
    }
    if (fields.size > 0) yield fields;
  }
}

export function sourceFailed(what: string, hint: string): InputError {
  return new InputError('host/pull-failed', what, hint);
}
