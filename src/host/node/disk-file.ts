// Disk images as files of the host: a byte store over an open descriptor.

import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { InputError } from '../../base/errors.ts';
import type { ByteStore, DiskMode } from '../../lab/index.ts';

export interface DiskFile extends ByteStore {
  close(): void;
}

/** Opened for writing only if the mode writes to it: an image may well be read-only to us. */
export function openDiskFile(path: string, mode: DiskMode): DiskFile {
  const handle = open(path, mode === 'read-write' ? 'r+' : 'r');
  const info = fstatSync(handle);
  if (!info.isFile()) {
    closeSync(handle);
    throw refused(path, 'it is not a regular file');
  }
  return {
    bytes: info.size,
    read(offset, into) {
      for (let done = 0; done < into.length; ) {
        const count = readSync(handle, into, done, into.length - done, offset + done);
        // The file has shrunk under us: what is gone reads as zeros.
        if (count === 0) {
          into.fill(0, done);
          return;
        }
        done += count;
      }
    },
    write(offset, from) {
      for (let done = 0; done < from.length; ) {
        done += writeSync(handle, from, done, from.length - done, offset + done);
      }
    },
    flush: () => fsyncSync(handle),
    close: () => closeSync(handle),
  };
}

function open(path: string, flags: string): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'ENOENT' || code === 'ENOTDIR') throw refused(path, 'there is no such file');
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
      throw refused(path, flags === 'r+' ? 'it may not be written' : 'permission denied');
    }
    throw refused(path, error instanceof Error ? error.message : String(error));
  }
}

function refused(path: string, why: string): InputError {
  return new InputError(
    'host/unreadable-disk',
    `the disk image ${JSON.stringify(path)} cannot be opened: ${why}`,
    'check the path and its permissions, or open it read-only or copy-on-write.',
  );
}
