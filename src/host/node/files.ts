// Files that the user names: read whole, or refused in a sentence.

import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { InputError } from '../../base/errors.ts';

/** Larger than any kernel or initrd that fits the machine's memory. */
const FILE_BYTES_MAX = 3 * 1024 ** 3;

/** `what` is what the file was to be: `kernel`, `initrd`. */
export async function readUserFile(path: string, what: string): Promise<Uint8Array> {
  try {
    const info = await stat(path);
    if (info.isDirectory()) throw refused(path, what, 'it is a directory');
    if (!info.isFile()) throw refused(path, what, 'it is not a regular file');
    if (info.size > FILE_BYTES_MAX) throw refused(path, what, 'it is larger than 3 GiB');
    return await readFile(path);
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw refused(path, what, reason(error));
  }
}

/** What a JSON file holds. */
export async function readUserJson(path: string, what: string): Promise<unknown> {
  const text = new TextDecoder().decode(await readUserFile(path, what));
  try {
    return JSON.parse(text);
  } catch {
    throw refused(path, what, 'it is not JSON, or cut off');
  }
}

/** Values of a file with one JSON text a line. A last line without its end may be cut off: it is left out then. */
export async function readUserJsonLines(
  path: string,
  what: string,
): Promise<{ lines: unknown[]; cut: boolean }> {
  const texts = new TextDecoder().decode(await readUserFile(path, what)).split('\n');
  const last = texts.pop() ?? '';
  const lines = texts.map((text, n) => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      throw refused(path, what, `line ${n + 1} is not JSON`);
    }
  });
  return { lines, cut: last !== '' };
}

export function sha256OfBytes(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function refused(path: string, what: string, why: string): InputError {
  return new InputError(
    'host/unreadable-file',
    `the ${what} ${JSON.stringify(path)} cannot be read: ${why}`,
    what === 'kernel'
      ? 'give the path of a bzImage, a vmlinux or a linux-image .deb, or a name such as debian:12.'
      : 'check the path and its permissions.',
  );
}

function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'there is no such file';
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
  return error instanceof Error ? error.message : String(error);
}
