// The refusals that all codecs share.
import { InputError } from '../../base/errors.ts';

/** Damaged or truncated compressed data; `format` is the codec's name in the magic-number table. */
export function corrupt(format: string, detail: string): InputError {
  return new InputError(
    `image/corrupt-${format}`,
    `The ${format} data is damaged: ${detail}`,
    'The file may be damaged or only partly copied: fetch it again.',
  );
}

/** The data would unpack to more than the caller allows. */
export function tooLarge(format: string, limit: number): InputError {
  return new InputError(
    'image/too-large',
    `The ${format} data unpacks to more than the ${limit} bytes allowed`,
    'This is not a plausible kernel or package; the file may be damaged.',
  );
}
