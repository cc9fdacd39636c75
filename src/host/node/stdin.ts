// Console input from a pipe or a file: read to its end before the run, so that the run does not depend on its pace.

import { fstatSync } from 'node:fs';
import { InputError } from '../../base/errors.ts';

const BYTES_MAX = 1 << 20;
const NOTE_AFTER_MS = 2000;

/** Null: stdin is neither a pipe nor a file (nor a socket), so there is nothing to read. `note` is told if it takes long. */
export async function readPipedInput(note: (text: string) => void): Promise<Uint8Array | null> {
  if (process.stdin.isTTY || !hasContent()) return null;
  const timer = setTimeout(
    () => note('reading console input from stdin until its end (for none: < /dev/null)'),
    NOTE_AFTER_MS,
  );
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of process.stdin) {
      chunks.push(chunk as Uint8Array);
      bytes += (chunk as Uint8Array).length;
      if (bytes > BYTES_MAX) throw tooLong();
    }
  } finally {
    clearTimeout(timer);
  }
  return bytes > 0 ? Buffer.concat(chunks) : null;
}

function hasContent(): boolean {
  try {
    const info = fstatSync(0);
    return info.isFIFO() || info.isFile() || info.isSocket();
  } catch {
    return false; // Closed.
  }
}

function tooLong(): InputError {
  return new InputError(
    'host/input-too-long',
    'the console input on stdin is longer than 1 MiB',
    'put large data into the initrd instead.',
  );
}
