// What the names of pulled guests stand for: packages of Debian with a kernel in them, or with something booted like one.

import { InputError } from '../../base/errors.ts';

export type Architecture = 'amd64' | 'i386';

export interface KernelName {
  /** In full: `debian:12/cloud-amd64`. */
  readonly name: string;
  readonly codename: string;
  readonly flavour: string;
  readonly architecture: Architecture;
  /** The package that the archive is asked for. */
  readonly package: string;
  /** It is a meta package, and the one that is meant is the first of its dependencies like this. */
  readonly dependency: RegExp | null;
}

interface Flavour {
  readonly architecture: Architecture;
  /** `version` is Debian's, as in the name. */
  package(version: string): string;
  readonly dependency?: RegExp;
}

const CODENAMES: Readonly<Record<string, string>> = {
  '11': 'bullseye',
  '12': 'bookworm',
  '13': 'trixie',
};
const LINUX = /^linux-image-\d[a-z0-9+.-]*$/;
const XEN = /^xen-hypervisor-\d[\d.]*-amd64$/;

const FLAVOURS: Readonly<Record<string, Flavour>> = {
  'cloud-amd64': linux('cloud-amd64', 'amd64'),
  amd64: linux('amd64', 'amd64'),
  '686-pae': linux('686-pae', 'i386'),
  '686': linux('686', 'i386'),
  'installer-amd64': installer('amd64'),
  'installer-i386': installer('i386'),
  xen: { architecture: 'amd64', package: () => 'xen-system-amd64', dependency: XEN },
  'memtest86+': { architecture: 'amd64', package: () => 'memtest86+' },
};
/** The smallest: no drivers for hardware that pvops does not have. */
const DEFAULT_FLAVOUR = 'cloud-amd64';

function linux(flavour: string, architecture: Architecture): Flavour {
  return { architecture, package: () => `linux-image-${flavour}`, dependency: LINUX };
}

function installer(architecture: Architecture): Flavour {
  return {
    architecture,
    package: (version) => `debian-installer-${version}-netboot-${architecture}`,
  };
}

export const FLAVOUR_NAMES: readonly string[] = Object.keys(FLAVOURS);

/** Whether `text` is meant as a name rather than a path. */
export function looksLikeKernelName(text: string): boolean {
  return /^debian(:|$)/.test(text);
}

export function parseKernelName(text: string): KernelName {
  const [, version = '', flavour = DEFAULT_FLAVOUR] =
    /^debian:([^/]*)(?:\/(.*))?$/.exec(text) ?? [];
  const codename = Object.hasOwn(CODENAMES, version) ? CODENAMES[version] : undefined;
  const known = Object.hasOwn(FLAVOURS, flavour) ? FLAVOURS[flavour] : undefined;
  if (codename === undefined || known === undefined) {
    throw new InputError(
      'host/unknown-kernel-name',
      `There is no kernel by the name ${JSON.stringify(text.slice(0, 100))}`,
      `Names are debian:${Object.keys(CODENAMES).join('|')}, and optionally /${FLAVOUR_NAMES.join('|')}.`,
    );
  }
  return {
    name: `debian:${version}/${flavour}`,
    codename,
    flavour,
    architecture: known.architecture,
    package: known.package(version),
    dependency: known.dependency ?? null,
  };
}

/** `linux-image-6.1.0-56-amd64 (= 6.1.192-2)`: the name of the first dependency of that kind. */
export function dependencyLike(depends: string, kind: RegExp): string | null {
  for (const part of depends.split(',')) {
    const dependency = part.trim().split(/[\s(|:]/, 1)[0] ?? '';
    if (kind.test(dependency)) return dependency;
  }
  return null;
}
