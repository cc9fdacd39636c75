// Start of day by the kernel's own 16-bit setup code (boot.rst, the real-mode kernel), on a small BIOS that starts it.

import { InputError } from '../../base/errors.ts';
import { struct } from '../../base/struct.ts';
import type { SetupHeader } from '../../image/index.ts';
import type { Guest, Platform } from '../define.ts';
import { startBios } from './bios/start.ts';
import { neededBzImage, systemAt } from './bzimage.ts';
import { COMMAND_LINE_AT, type Loaded, loadGuest } from './layout.ts';
import { LOADER_UNDEFINED } from './zero-page.ts';

export const SETUP_SEGMENT = 0x9000;
const SETUP_AT = SETUP_SEGMENT * 16;
/** boot.rst, Memory layout: the heap's end and the stack's top, as offsets in the segment; the EBDA begins at 0xfc00. */
export const SETUP_STACK_TOP = 0xe000;
const HEAP_END = SETUP_STACK_TOP - 0x200;
const CAN_USE_HEAP = 0x80;
/** Since 2.02 the command line may be anywhere below 1 MiB. */
const PROTOCOL_COMMAND_LINE = 0x202;
const HEADER_AT = 0x1f1;

/** boot.rst, Running the kernel: interrupts off, all data segments alike, the code 0x20 paragraphs above. */
const HAND_OVER = `
  cli
  mov ax, ${SETUP_SEGMENT}
  mov ss, ax
  mov sp, ${SETUP_STACK_TOP}
  mov ds, ax
  mov es, ax
  mov fs, ax
  mov gs, ax
  jmpf ${SETUP_SEGMENT + 0x20}:0
`;

/** The fields that a loader fills in, at their places in the setup code. */
export const setupFields = struct(
  'setup_header',
  {
    type_of_loader: { type: 'u8', at: 0x210 - HEADER_AT },
    loadflags: { type: 'u8', at: 0x211 - HEADER_AT },
    code32_start: { type: 'u32', at: 0x214 - HEADER_AT },
    ramdisk_image: { type: 'u32', at: 0x218 - HEADER_AT },
    ramdisk_size: { type: 'u32', at: 0x21c - HEADER_AT },
    heap_end_ptr: { type: 'u16', at: 0x224 - HEADER_AT },
    cmd_line_ptr: { type: 'u32', at: 0x228 - HEADER_AT },
  },
  { size: 0x22c - HEADER_AT, packed: true },
);

export function startBySetup(platform: Platform, guest: Guest): void {
  const { header, setup, system } = neededBzImage(guest.kernel);
  checkSetup(guest.kernel.name, header, setup);
  const loaded = loadGuest(platform, guest, systemAt(header, system, header.code32_start));
  platform.ram.write(SETUP_AT, filledIn(setup, header, loaded));
  startBios(platform, (a) => a.text(HAND_OVER));
}

function checkSetup(name: string, header: SetupHeader, setup: Uint8Array): void {
  if (header.version < PROTOCOL_COMMAND_LINE) {
    throw new InputError(
      'boot/old-protocol',
      `${name} has boot protocol ${header.version >> 8}.${String(header.version & 0xff).padStart(2, '0')}`,
      'kernels from 2.02 on (Linux 2.4) can be booted.',
    );
  }
  if (setup.length > HEAP_END) {
    throw new InputError(
      'boot/setup-too-large',
      `${name} has ${setup.length} bytes of setup code`,
      `there is room for ${HEAP_END} before its heap: the file may be damaged.`,
    );
  }
}

function filledIn(setup: Uint8Array, header: SetupHeader, { initrd }: Loaded): Uint8Array {
  const bytes = setup.slice();
  const view = new DataView(bytes.buffer, HEADER_AT);
  setupFields.write(view, 0, {
    type_of_loader: LOADER_UNDEFINED,
    loadflags: header.loadflags | CAN_USE_HEAP,
    code32_start: header.code32_start,
    ramdisk_image: initrd.gpa,
    ramdisk_size: initrd.bytes,
    heap_end_ptr: HEAP_END,
    cmd_line_ptr: COMMAND_LINE_AT,
  });
  return bytes;
}
