// Debian packages: an ar archive of a control and a data tar archive, each packed.
import { InputError } from '../base/errors.ts';
import { isAr, readAr } from './archive/ar.ts';
import { readTar, type TarEntry } from './archive/tar.ts';
import { utf8Text } from './bytes.ts';
import { detect } from './codec/detect.ts';
import { xzPrefix } from './codec/xz.ts';

export interface DebPackage {
  /** Fields of the control file: Package, Version, Architecture, Depends ... */
  readonly control: ReadonlyMap<string, string>;
  /** All members, unpacked on the first call. */
  entries(): readonly TarEntry[];
  /** The first file whose path matches, reading no further than needed; null if there is none. */
  find(path: RegExp): TarEntry | null;
}

/** The kernel packages of Debian 12 unpack to about 100 MB; with debug symbols to several hundred. */
const DATA_BYTES_MAX = 1 << 30;
const CONTROL_BYTES_MAX = 16 << 20;
/** dpkg-deb puts boot/ before lib/, so the kernel is in this much of the archive, or surely in the second. */
const PREFIX_BYTES = [16 << 20, 64 << 20];

export function isDeb(bytes: Uint8Array): boolean {
  return isAr(bytes) && utf8Text(bytes.subarray(8, 21)) === 'debian-binary';
}

export function openDeb(bytes: Uint8Array, what = 'The package'): DebPackage {
  const members = readAr(bytes);
  if (members[0]?.name !== 'debian-binary') {
    throw new InputError(
      'image/not-deb',
      `${what} is not a Debian package`,
      'Give a file that ends in .deb.',
    );
  }
  const member = (name: 'control' | 'data') => {
    const found = members.find(
      (each) => each.name === `${name}.tar` || each.name.startsWith(`${name}.tar.`),
    );
    if (found) return found.bytes;
    throw new InputError(
      'image/corrupt-deb',
      `${what} has no ${name} archive`,
      'The package may be damaged: download it again.',
    );
  };
  const data = member('data');
  const control = readTar(unpack(member('control'), CONTROL_BYTES_MAX)).find(
    ({ path }) => path === 'control',
  );
  let early: { bytes: number; entries: readonly TarEntry[] } = { bytes: 0, entries: [] };
  let all: readonly TarEntry[] | null = null;
  const entries = () => {
    all ??= readTar(unpack(data, DATA_BYTES_MAX));
    return all;
  };
  const isMatch = (path: RegExp) => (entry: TarEntry) =>
    entry.kind === 'file' && path.test(entry.path);
  return {
    control: parseControl(control ? utf8Text(control.bytes) : ''),
    entries,
    find(path) {
      for (const bytes of all || detect(data)?.name !== 'xz' ? [] : PREFIX_BYTES) {
        if (early.bytes < bytes) {
          const tar = xzPrefix(data, bytes, DATA_BYTES_MAX);
          early = { bytes, entries: readTar(tar, { prefix: true }) };
        }
        const entry = early.entries.find(isMatch(path));
        if (entry) return entry;
      }
      return entries().find(isMatch(path)) ?? null;
    },
  };
}

function unpack(bytes: Uint8Array, limit: number): Uint8Array {
  const codec = detect(bytes);
  return codec ? codec.decode(bytes, limit) : bytes;
}

/** deb-control(5): "Field: value", continued by lines that begin with a space. */
export function parseControl(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  let last = '';
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (/^[ \t]/.test(line)) fields.set(last, `${fields.get(last) ?? ''}\n${line.trim()}`);
    else if (colon > 0) {
      last = line.slice(0, colon);
      fields.set(last, line.slice(colon + 1).trim());
    }
  }
  return fields;
}
