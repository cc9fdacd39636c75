// Runs a program with the code that V8 made of it in an earlier run, kept in a cache: parsing megabytes takes tenths.

import { createHash, randomBytes } from 'node:crypto';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { cachedDataVersionTag } from 'node:v8';
import { constants, Script } from 'node:vm';

export interface CachedScript {
  /** Of the script. */
  readonly value: unknown;
  /** Whether code was found. */
  readonly cached: boolean;
  /** Writes the code of all that has been compiled by now, if it is missing, or of a run that was much shorter than `seconds`. */
  keep(seconds: number): void;
}

/** Each is some megabytes; there is one for every build, version of Node and use. */
const MOST_KEPT = 16;
/** How many times longer than the run whose code is there another one is that may need much more. */
const MUCH_LONGER = 4;
const DIGEST_BYTES = 32;
/** The digest, of all that follows; the seconds of the run, as a float. */
const HEADER_BYTES = DIGEST_BYTES + 4;

/**
 * Evaluates the script `path`, all of it ASCII. `use` names what it is run for: the code of what only other uses need is
 * not there. Flags of V8 have been set before, because code depends on them.
 */
export function evaluateCached(folder: string, path: string, use: string): CachedScript {
  const source = readFileSync(path);
  const tag = cachedDataVersionTag().toString(16);
  const file = join(folder, `${sha256(source).toString('hex').slice(0, 32)}-${tag}-${use}`);
  const found = readCode(file);
  const cachedData = found?.subarray(HEADER_BYTES);
  const script = new Script(source.toString('latin1'), {
    filename: path,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    ...(cachedData && { cachedData }),
  });
  const cached = script.cachedDataRejected === false;
  const before = cached && found ? found.readFloatLE(DIGEST_BYTES) : Number.NEGATIVE_INFINITY;
  return {
    value: script.runInThisContext(),
    cached,
    keep(seconds) {
      if (seconds > before * MUCH_LONGER) writeCode(file, seconds, script.createCachedData());
      if (!cached) removeOldest(folder);
    },
  };
}

/** V8 compares little more than lengths: what was damaged is told by the digest before it. */
function readCode(path: string): Buffer | null {
  try {
    const file = readFileSync(path);
    return sha256(file.subarray(DIGEST_BYTES)).equals(file.subarray(0, DIGEST_BYTES)) ? file : null;
  } catch {
    return null;
  }
}

/** A cache that cannot be written costs the next run its time, and nothing else. */
function writeCode(path: string, seconds: number, code: Buffer): void {
  const file = Buffer.concat([Buffer.alloc(HEADER_BYTES), code]);
  file.writeFloatLE(seconds, DIGEST_BYTES);
  sha256(file.subarray(DIGEST_BYTES)).copy(file);
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  try {
    mkdirSync(dirname(path), { recursive: true });
  } catch {
    return;
  }
  try {
    writeFileSync(temporary, file);
    renameSync(temporary, path);
  } catch {
    rmSync(temporary, { force: true });
  }
}

function removeOldest(folder: string): void {
  try {
    const paths = readdirSync(folder).map((name) => join(folder, name));
    const times = new Map(paths.map((path) => [path, statSync(path).mtimeMs]));
    paths.sort((a, b) => times.get(b)! - times.get(a)!);
    for (const path of paths.slice(MOST_KEPT)) rmSync(path, { force: true });
  } catch {
    // Another process tidies at the same time, or nothing may be written here.
  }
}

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
