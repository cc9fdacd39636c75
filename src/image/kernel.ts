// A kernel as a file, whichever of the forms it comes in: bzImage, vmlinux, multiboot, or a Debian package with one.
import { InputError } from '../base/errors.ts';
import { sha256Hex } from '../base/sha256.ts';
import type { TarEntry } from './archive/tar.ts';
import { findBanner } from './banner.ts';
import { findBytes, utf8Bytes, utf8Text } from './bytes.ts';
import {
  type BzImage,
  isBzImage,
  parseBzImage,
  type SetupHeader,
  unpackVmlinux,
} from './bzimage.ts';
import { detect } from './codec/detect.ts';
import { gzip } from './codec/gzip.ts';
import { type DebPackage, isDeb, openDeb } from './deb.ts';
import { type ElfFile, isElf, parseElf } from './elf.ts';
import { type MultibootHeader, multibootHeader } from './multiboot.ts';

export interface KernelImage {
  readonly name: string;
  readonly kind: 'bzimage' | 'elf' | 'multiboot';
  /** What the kernel runs in, not what it is entered in. */
  readonly bits: 32 | 64;
  /** The file itself: the bzImage or the vmlinux. */
  readonly bytes: Uint8Array;
  readonly header: SetupHeader | null;
  readonly bzImage: BzImage | null;
  /** What the file asks of a multiboot loader, if it does. */
  readonly multiboot: MultibootHeader | null;
  /** `6.1.0-56-cloud-amd64 (...) #1 SMP ...`, or the empty string. */
  version(): string;
  /** The vmlinux, unpacked and parsed on the first call. */
  elf(): ElfFile;
  /** CONFIG_ names and values, from beside the kernel in a package or from inside it (CONFIG_IKCONFIG). */
  config(): ReadonlyMap<string, string> | null;
  /** Modules of the package that the kernel came in, as lib/modules/... paths. */
  modules(): readonly TarEntry[];
  /** The initrd that lies beside the kernel in its package, as an installer's does. */
  initrd(): Uint8Array | null;
  /** SHA-256 of `bytes`. */
  digest(): string;
}

/** Package debian-installer-12-netboot-amd64: the text installer, not the graphical one beside it. */
const INSTALLER_KERNEL =
  /^usr\/lib\/debian-installer\/images\/[^/]+\/[^/]+\/text\/debian-installer\/[^/]+\/linux$/;
const XLF_KERNEL_64 = 1;
const IKCONFIG_START = utf8Bytes('IKCFG_ST');
const IKCONFIG_END = utf8Bytes('IKCFG_ED');
const CONFIG_BYTES_MAX = 8 << 20;
/** A kernel packed whole, as Xen's is: some megabytes. */
const PLAIN_BYTES_MAX = 256 << 20;

/** Opens a kernel by its magic number; `name` is the subject of errors. */
export function openKernel(bytes: Uint8Array, name: string): KernelImage {
  if (isDeb(bytes)) return kernelOfDeb(openDeb(bytes, name), name);
  return kernelOfFile(plain(bytes), name, null, null);
}

/** Xen's image is an ELF file packed with gzip, which boot loaders unpack. */
function plain(bytes: Uint8Array): Uint8Array {
  const codec = detect(bytes);
  return codec?.name === 'gzip' ? codec.decode(bytes, PLAIN_BYTES_MAX) : bytes;
}

function kernelOfDeb(deb: DebPackage, name: string): KernelImage {
  const kernel =
    deb.find(/^(usr\/lib\/modules\/[^/]+|boot)\/vmlinu[zx][^/]*$/) ??
    deb.find(/^boot\/(xen-[^/]*\.gz|memtest86\+x64\.bin)$/) ??
    deb.find(INSTALLER_KERNEL);
  if (!kernel) {
    throw new InputError(
      'image/no-kernel',
      `${name} has no kernel: no file boot/vmlinuz-* in the package`,
      'A meta package only names another: give linux-image-VERSION, or use `pvops pull`.',
    );
  }
  const release = kernel.path.replace(/^.*\/vmlinu[zx]-?/, '');
  const config = deb.find(new RegExp(`^boot/config-${escapeRegExp(release)}`));
  return kernelOfFile(
    plain(kernel.bytes),
    name,
    config && parseConfig(utf8Text(config.bytes)),
    deb,
    INSTALLER_KERNEL.test(kernel.path) ? initrdBeside(kernel.path) : null,
  );
}

const initrdBeside = (kernelPath: string): RegExp =>
  new RegExp(`^${escapeRegExp(kernelPath.replace(/[^/]+$/, 'initrd.gz'))}$`);

function kernelOfFile(
  bytes: Uint8Array,
  name: string,
  knownConfig: ReadonlyMap<string, string> | null,
  deb: DebPackage | null,
  initrdPath: RegExp | null = null,
): KernelImage {
  const bzImage = isBzImage(bytes) ? parseBzImage(bytes, name) : null;
  const vmlinux = !bzImage && isElf(bytes) ? parseElf(bytes, name) : null;
  const multiboot = bzImage ? null : multibootHeader(bytes);
  if (!bzImage && !vmlinux && !multiboot) throw notKernel(bytes, name);
  const elf = once(() => vmlinux ?? parseElf(vmlinuxOf(bzImage, name), `The vmlinux in ${name}`));
  const unpacked = () => (bzImage?.payload ? elf().bytes : bytes);
  return {
    name,
    kind: bzImage ? 'bzimage' : vmlinux ? 'elf' : 'multiboot',
    bits: vmlinux?.bits ?? (bzImage ? bitsOf(bzImage.header, elf) : 32),
    bytes,
    header: bzImage?.header ?? null,
    bzImage,
    multiboot,
    version: once(() => bzImage?.header.kernel_version || (findBanner(unpacked())?.version ?? '')),
    elf,
    config: once(() => knownConfig ?? configInside(unpacked())),
    modules: once(() => deb?.entries().filter(isModule) ?? []),
    initrd: once(() => initrdPath && (deb?.find(initrdPath)?.bytes ?? null)),
    digest: once(() => sha256Hex(bytes)),
  };
}

/** Before protocol 2.12 the header does not tell. */
function bitsOf(header: SetupHeader, elf: () => ElfFile): 32 | 64 {
  if (header.xloadflags === null) return header.payload_length === null ? 32 : elf().bits;
  return header.xloadflags & XLF_KERNEL_64 ? 64 : 32;
}

function vmlinuxOf(bzImage: BzImage | null, name: string): Uint8Array {
  if (bzImage) return unpackVmlinux(bzImage, name);
  throw new InputError(
    'image/not-elf',
    `${name} is a multiboot kernel that is not an ELF file`,
    'It can only be booted by multiboot: --boot direct.',
  );
}

function configInside(vmlinux: Uint8Array): ReadonlyMap<string, string> | null {
  const start = findBytes(vmlinux, IKCONFIG_START);
  const end = start < 0 ? -1 : findBytes(vmlinux, IKCONFIG_END, start);
  if (end < 0) return null;
  return parseConfig(
    utf8Text(gzip(vmlinux.subarray(start + IKCONFIG_START.length, end), CONFIG_BYTES_MAX)),
  );
}

/** `CONFIG_X=y` lines, strings without their quotes; "is not set" lines are left out. */
export function parseConfig(text: string): Map<string, string> {
  const config = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^(CONFIG_\w+)=(.*)$/.exec(line);
    if (match) config.set(match[1]!, match[2]!.replace(/^"(.*)"$/, '$1'));
  }
  return config;
}

function isModule(entry: TarEntry): boolean {
  return entry.kind === 'file' && /(^|\/)lib\/modules\//.test(entry.path);
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function once<T>(compute: () => T): () => T {
  let done: { value: T } | null = null;
  return () => {
    done ??= { value: compute() };
    return done.value;
  };
}

function notKernel(bytes: Uint8Array, name: string): InputError {
  const why =
    bytes.length === 0
      ? 'it is empty'
      : 'it is neither a bzImage nor an ELF file nor a multiboot image nor a .deb';
  return new InputError(
    'image/not-kernel',
    `${name} is not a kernel: ${why}`,
    'Give a bzImage (/boot/vmlinuz-*), a vmlinux, or a linux-image package.',
  );
}
