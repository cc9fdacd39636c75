// A file that grows: written in pieces, so that what is there stays readable if the disk fills up.

import { closeSync, openSync, writeSync } from 'node:fs';
import { InputError } from '../../base/errors.ts';

export interface OutputFile {
  /** An `InputError` when there is no room, or no right to write. */
  write(piece: string | Uint8Array): void;
  close(): void;
}

/** `what` is what the file is: `trace`. */
export function createOutputFile(path: string, what: string): OutputFile {
  const refused = (error: unknown) =>
    new InputError(
      'host/unwritable-file',
      `the ${what} ${JSON.stringify(path)} cannot be written: ${reason(error)}`,
      'check the path, its permissions and the room on the disk.',
    );
  let fd: number;
  try {
    fd = openSync(path, 'w');
  } catch (error) {
    throw refused(error);
  }
  return {
    write(piece) {
      const bytes = typeof piece === 'string' ? new TextEncoder().encode(piece) : piece;
      try {
        for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
      } catch (error) {
        throw refused(error);
      }
    },
    close: () => closeSync(fd),
  };
}

function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ENOSPC') return 'the disk is full';
  if (code === 'ENOENT') return 'its folder does not exist';
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
  return error instanceof Error ? error.message : String(error);
}
