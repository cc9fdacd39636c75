// Names of archive members, made relative and refused when they would leave the archive's root.
import { InputError } from '../../base/errors.ts';

/** `./boot//vmlinuz` becomes `boot/vmlinuz`, `.` becomes the empty string; `..` and NUL are refused. */
export function entryPath(raw: string, archive: string): string {
  const parts = raw.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..') || raw.includes('\0')) {
    throw new InputError(
      'image/unsafe-path',
      `The ${archive} archive has a member that leaves its root: ${JSON.stringify(raw.slice(0, 100))}`,
      'No honest package has such a member: do not use this file.',
    );
  }
  return parts.join('/');
}
