// Unix ar archives: the outer wrapping of a Debian package.
import { InputError } from '../../base/errors.ts';
import { asciiText } from '../bytes.ts';

export interface ArMember {
  readonly name: string;
  readonly bytes: Uint8Array;
}

// deb(5), ar(5): a magic line, then members on even offsets, each with a header of 60 characters.
const MAGIC = '!<arch>\n';
const HEADER_BYTES = 60;
const HEADER_END = '`\n';

export function isAr(bytes: Uint8Array): boolean {
  return asciiText(bytes, 0, MAGIC.length) === MAGIC;
}

export function readAr(bytes: Uint8Array): ArMember[] {
  if (!isAr(bytes)) throw corrupt('it does not begin with "!<arch>"');
  const members: ArMember[] = [];
  for (let at = MAGIC.length; at < bytes.length; ) {
    const header = asciiText(bytes, at, at + HEADER_BYTES);
    if (header.length < HEADER_BYTES || !header.endsWith(HEADER_END)) {
      throw corrupt(`no member header at byte ${at}`);
    }
    const digits = header.slice(48, 58).trim();
    const size = Number(digits);
    const start = at + HEADER_BYTES;
    if (!/^\d+$/.test(digits) || start + size > bytes.length) {
      throw corrupt(`the member at byte ${at} is cut off`);
    }
    const name = header.slice(0, 16).trimEnd().replace(/\/$/, ''); // GNU ar ends names with a slash.
    members.push({ name, bytes: bytes.subarray(start, start + size) });
    at = start + size + (size & 1);
  }
  return members;
}

function corrupt(detail: string): InputError {
  return new InputError(
    'image/corrupt-ar',
    `The ar archive is damaged: ${detail}`,
    'If this is a .deb, download it again.',
  );
}
