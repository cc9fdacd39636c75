// The sentence by which a Linux image says what it is, and where in the image it stands.

import { asciiText, findBytes, utf8Bytes } from './bytes.ts';

export interface Banner {
  /** Where `Linux version` begins. */
  readonly at: number;
  /** What comes behind it. */
  readonly version: string;
}

const BANNER = utf8Bytes('Linux version ');

export function findBanner(image: Uint8Array): Banner | null {
  for (let at = findBytes(image, BANNER); at >= 0; at = findBytes(image, BANNER, at + 1)) {
    const version = asciiText(image, at + BANNER.length, at + 512).trimEnd();
    if (/^\d+\.\d/.test(version)) return { at, version }; // Format strings begin with the same words.
  }
  return null;
}
