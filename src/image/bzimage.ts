// bzImage: the setup header of the Linux/x86 boot protocol, and the vmlinux packed behind it.
import { InputError } from '../base/errors.ts';
import { asciiText, byteReader } from './bytes.ts';
import { detect } from './codec/detect.ts';
import { isElf } from './elf.ts';

/** Fields with the names and offsets of Linux Documentation/arch/x86/boot.rst; null where the protocol is older. */
export interface SetupHeader {
  readonly setup_sects: number;
  /** Length of the protected-mode part in paragraphs; 0 where the protocol is older, whose 16 bits are not to be relied on. */
  readonly syssize: number;
  readonly version: number;
  readonly kernel_version: string;
  readonly loadflags: number;
  readonly code32_start: number;
  readonly initrd_addr_max: number;
  readonly kernel_alignment: number | null;
  readonly relocatable_kernel: number | null;
  readonly min_alignment: number | null;
  readonly xloadflags: number | null;
  readonly cmdline_size: number;
  readonly hardware_subarch: number | null;
  readonly payload_offset: number | null;
  readonly payload_length: number | null;
  readonly setup_data: bigint | null;
  readonly pref_address: number | null;
  readonly init_size: number | null;
  readonly handover_offset: number | null;
  /** The header's raw bytes from 0x1f1 to its end, as they go into the zero page. */
  readonly raw: Uint8Array;
}

export interface BzImage {
  readonly header: SetupHeader;
  /** Boot sector and setup code, which run in real mode. */
  readonly setup: Uint8Array;
  /** The protected-mode part: what is loaded at 1 MiB or at `pref_address`. */
  readonly system: Uint8Array;
  /** The packed vmlinux; null before protocol 2.08, which does not say where it is. */
  readonly payload: Uint8Array | null;
}

const SETUP_START = 0x1f1;
const BOOT_FLAG = 0xaa55;
const HDRS = 0x53726448;
const SECTOR_BYTES = 512;
/** setup_sects 0 means this. */
const SETUP_SECTS_DEFAULT = 4;
/** The unit of `syssize`. */
const PARAGRAPH_BYTES = 16;
/** Kernels are about 50 MB, those with sanitizers a few hundred; what they are packed from has no debugging information. */
const VMLINUX_BYTES_MAX = 512 << 20;

export function isBzImage(bytes: Uint8Array): boolean {
  return (
    bytes.length >= 0x210 &&
    bytes[0x1fe] === 0x55 &&
    bytes[0x1ff] === 0xaa &&
    asciiText(bytes, 0x202, 0x206) === 'HdrS'
  );
}

export function parseBzImage(bytes: Uint8Array, what = 'The bzImage'): BzImage {
  const r = byteReader(bytes, what, 'image/corrupt-bzimage');
  if (r.u16(0x1fe) !== BOOT_FLAG || r.u32(0x202) !== HDRS) {
    throw new InputError(
      'image/not-bzimage',
      `${what} has no Linux boot header`,
      'Give a bzImage as found in /boot: vmlinuz-*.',
    );
  }
  const header = readHeader(bytes, what);
  const setupBytes = (header.setup_sects + 1) * SECTOR_BYTES;
  const system = r.slice(setupBytes, bytes.length - setupBytes);
  // Behind the payload comes the code that unpacks it: a file cut off there would load, and crash. The last paragraph need not
  // be whole: Linux fills it up since its checksum (boot.rst, protocol 2.08), memtest86+ does not.
  r.slice(setupBytes, Math.max(0, (header.syssize - 1) * PARAGRAPH_BYTES + 1));
  const { payload_offset, payload_length } = header;
  const payload =
    payload_offset !== null && payload_length !== null && payload_length > 0
      ? r.slice(setupBytes + payload_offset, payload_length)
      : null;
  return { header, setup: r.slice(0, setupBytes), system, payload };
}

/** The setup header alone: the first 32 KiB of a bzImage are enough for it. */
export function readHeader(bytes: Uint8Array, what: string): SetupHeader {
  const r = byteReader(bytes, what, 'image/corrupt-bzimage');
  const version = r.u16(0x206);
  const since = (minor: number) => version >= 0x200 + minor;
  // boot.rst: the header ends at 0x202 + the byte at 0x201, which is the target of a short jump.
  const end = Math.max(0x202 + r.u8(0x201), 0x210);
  const versionAt = r.u16(0x20e);
  return {
    setup_sects: r.u8(0x1f1) || SETUP_SECTS_DEFAULT,
    syssize: since(4) ? r.u32(0x1f4) : 0,
    version,
    kernel_version: versionAt === 0 ? '' : asciiText(bytes, versionAt + 0x200, versionAt + 0x400),
    loadflags: r.u8(0x211),
    code32_start: r.u32(0x214),
    initrd_addr_max: since(3) ? r.u32(0x22c) : 0x37ffffff,
    kernel_alignment: since(5) ? r.u32(0x230) : null,
    relocatable_kernel: since(5) ? r.u8(0x234) : null,
    min_alignment: since(10) ? r.u8(0x235) : null,
    xloadflags: since(12) ? r.u16(0x236) : null,
    cmdline_size: since(6) ? r.u32(0x238) : 255,
    hardware_subarch: since(7) ? r.u32(0x23c) : null,
    payload_offset: since(8) ? r.u32(0x248) : null,
    payload_length: since(8) ? r.u32(0x24c) : null,
    setup_data: since(9) ? r.u64n(0x250) : null,
    pref_address: since(10) ? r.u64(0x258) : null,
    init_size: since(10) ? r.u32(0x260) : null,
    handover_offset: since(11) ? r.u32(0x264) : null,
    raw: r.slice(SETUP_START, end - SETUP_START),
  };
}

/** The vmlinux inside, an ELF file. Relocations of a relocatable kernel may follow it. */
export function unpackVmlinux(image: BzImage, what = 'The bzImage'): Uint8Array {
  const { payload } = image;
  if (!payload) {
    const { version, payload_length } = image.header;
    const why =
      payload_length === null
        ? `boot protocol ${protocolName(version)} is older than 2.08`
        : 'the payload has no length';
    throw new InputError(
      'image/no-payload',
      `${what} does not say where its vmlinux is: ${why}`,
      'Give the vmlinux of that kernel instead.',
    );
  }
  const codec = detect(payload);
  const vmlinux = isElf(payload) ? payload : codec && decodePayload(payload, codec);
  if (!vmlinux) {
    throw new InputError(
      'image/unknown-codec',
      `${what} packs its vmlinux in a format that pvops does not know`,
      'Known are gzip, xz, zstd, lz4, bzip2, lzo and lzma; or give the vmlinux itself.',
    );
  }
  if (!isElf(vmlinux)) {
    throw new InputError(
      'image/no-vmlinux',
      `${what} unpacks to something that is not an ELF file`,
      'Give the vmlinux of that kernel instead.',
    );
  }
  return vmlinux;
}

/** All but gzip are followed by the plain size in four bytes (Linux scripts/Makefile.lib, size_append). */
function decodePayload(
  payload: Uint8Array,
  codec: NonNullable<ReturnType<typeof detect>>,
): Uint8Array {
  if (codec.name === 'gzip') return codec.decode(payload, VMLINUX_BYTES_MAX);
  const r = byteReader(payload, 'The packed vmlinux', 'image/corrupt-bzimage');
  const size = r.u32(payload.length - 4);
  const vmlinux = codec.decode(
    payload.subarray(0, payload.length - 4),
    Math.min(size, VMLINUX_BYTES_MAX),
  );
  if (vmlinux.length === size) return vmlinux;
  throw new InputError(
    'image/corrupt-bzimage',
    `The packed vmlinux has ${vmlinux.length} bytes, but should have ${size}`,
    'The file may be damaged or only partly copied.',
  );
}

function protocolName(version: number): string {
  return `${version >> 8}.${String(version & 0xff).padStart(2, '0')}`;
}
