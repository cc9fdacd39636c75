// Files that the user names: read whole, or refused in a sentence.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { InputError } from '../../base/errors.ts';

/** Larger than any kernel or initrd that fits the machine's memory. */
const FILE_BYTES_MAX = 3 * 1024 ** 3;
const CHUNK_BYTES = 1 << 20;
const LINE_LETTERS_MAX = 1 << 24;

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

/** Its first bytes, by which a format is known. */
export async function readUserHead(path: string, what: string, bytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of chunksOf(path, what, bytes, bytes - 1)) parts.push(part);
  return Buffer.concat(parts);
}

/**
 * Passes on the values of a file with one JSON text a line, which may be longer than any string. A last line without its
 * end may be cut off: it is left out then, and the answer is true.
 */
export async function eachUserJsonLine(
  path: string,
  what: string,
  onLine: (value: unknown) => void,
  chunkBytes = CHUNK_BYTES,
): Promise<boolean> {
  const decoder = new TextDecoder();
  let rest = '';
  let count = 0;
  for await (const chunk of chunksOf(path, what, chunkBytes)) {
    const texts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = texts.pop() ?? '';
    if (rest.length > LINE_LETTERS_MAX)
      throw refused(path, what, `line ${count + texts.length + 1} has no end`);
    for (const text of texts) onLine(parsed(text, ++count));
  }
  return rest + decoder.decode() !== '';

  function parsed(text: string, n: number): unknown {
    try {
      return JSON.parse(text);
    } catch {
      throw refused(path, what, `line ${n} is not JSON`);
    }
  }
}

/** Up to the byte `end`, or all of it. */
async function* chunksOf(
  path: string,
  what: string,
  chunkBytes: number,
  end = Number.POSITIVE_INFINITY,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: chunkBytes, end }))
      yield chunk as Uint8Array;
  } catch (error) {
    throw refused(path, what, reason(error));
  }
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
  if (code === 'EISDIR') return 'it is a directory';
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
  return error instanceof Error ? error.message : String(error);
}
