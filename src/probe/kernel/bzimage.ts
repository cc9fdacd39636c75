// The kernel as a bzImage: a setup header and 16-bit code before the image, and the packed ELF file behind it for whoever unpacks.

import { Assembler } from '../../cpu/asm.ts';
import { IMAGE_AT } from './emitter.ts';

export interface BzImageParts {
  readonly bits: 32 | 64;
  /** What lies at `IMAGE_AT`: its first byte and the 0x200th are Linux's entries. */
  readonly image: Uint8Array;
  /** With the zeros behind. */
  readonly memoryBytes: number;
  /** The ELF file, packed in a way that loaders know. */
  readonly payload: Uint8Array;
}

/** Boot sector and one of setup. */
const SETUP_BYTES = 0x400;
/** Behind the header of protocol 2.15; an offset in the file. */
const CODE_AT = 0x270;
const VERSION_AT = 0x3e0;
const VERSION = 'pvops-probe 1';
const PROTOCOL = 0x020f;
const [HDRS, BOOT_FLAG] = [0x53726448, 0xaa55];
const [LOADED_HIGH, XLF_KERNEL_64] = [1, 1];
const PARAGRAPH = 16;
const PAGE = 4096;
const BELOW_2_GIB = 0x7fffffff;
const COMMAND_LINE_BYTES = 2047;

/** Offsets of Linux Documentation/arch/x86/boot.rst. */
export function bzImage({ bits, image, memoryBytes, payload }: BzImageParts): Uint8Array {
  const payloadAt = Math.ceil(image.length / PAGE) * PAGE;
  const systemBytes = Math.ceil((payloadAt + payload.length) / PARAGRAPH) * PARAGRAPH;
  const bytes = new Uint8Array(SETUP_BYTES + systemBytes);
  const view = new DataView(bytes.buffer);
  const u16 = (at: number, value: number) => view.setUint16(at, value, true);
  const u32 = (at: number, value: number) => view.setUint32(at, value, true);
  bytes[0x1f1] = SETUP_BYTES / 512 - 1; // setup_sects
  u32(0x1f4, systemBytes / PARAGRAPH); // syssize
  u16(0x1fe, BOOT_FLAG);
  bytes.set([0xeb, CODE_AT - 0x202], 0x200);
  u32(0x202, HDRS);
  u16(0x206, PROTOCOL);
  u16(0x20e, VERSION_AT - 0x200); // kernel_version
  bytes[0x211] = LOADED_HIGH;
  u32(0x214, IMAGE_AT); // code32_start
  u32(0x22c, BELOW_2_GIB); // initrd_addr_max
  u32(0x230, PAGE); // kernel_alignment
  u16(0x236, bits === 64 ? XLF_KERNEL_64 : 0);
  u32(0x238, COMMAND_LINE_BYTES);
  u32(0x248, payloadAt);
  u32(0x24c, payload.length);
  u32(0x258, IMAGE_AT); // pref_address
  u32(0x260, Math.max(memoryBytes, systemBytes)); // init_size
  bytes.set(setupCode(), CODE_AT);
  bytes.set(
    Uint8Array.from(VERSION, (c) => c.charCodeAt(0)),
    VERSION_AT,
  );
  bytes.set(image, SETUP_BYTES);
  bytes.set(payload, SETUP_BYTES + payloadAt);
  return bytes;
}

/**
 * From real mode to the 32-bit entry. The loader has DS at the boot sector's segment and CS 0x20 paragraphs above; the sector, with the
 * header in it, serves as boot_params.
 */
function setupCode(): Uint8Array {
  const code = new Assembler(16, CODE_AT);
  code.text(`cli; cld; xor eax, eax; mov ax, ds; shl eax, 4; mov esi, eax`);
  code.text('in al, 0x92; or al, 2; and al, 0xfe; out 0x92, al'); // A20, by the fast gate.
  code.text('lea eax, [esi+gdt]; mov [gdt_base], eax; lgdt [gdt_record]');
  code.text('mov eax, cr0; or al, 1; mov cr0, eax; mov ax, 0x18');
  for (const segment of ['ds', 'es', 'ss', 'fs', 'gs']) code.text(`mov ${segment}, ax`);
  // jmp far 0x10:IMAGE_AT, with an offset of 32 bits.
  code.bytes(0x66, 0xea).dd(IMAGE_AT).bytes(0x10, 0);
  code.align(8).text('gdt:').dd(0, 0, 0, 0);
  for (const type of [0x00cf9b00, 0x00cf9300]) code.dd(0xffff, type);
  code.text('gdt_record:').bytes(0x1f, 0).text('gdt_base:').dd(0);
  return code.finish();
}
