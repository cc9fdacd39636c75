// What an ATA disk says of itself: IDENTIFY DEVICE, its geometry, and where a command's registers point.

import type { Disk } from '../disk.ts';

/** Sectors that READ MULTIPLE moves at once at most; a power of two. */
export const MULTIPLE_MAX = 16;
const HEADS = 16;
const SECTORS_PER_TRACK = 63;
const CYLINDERS_MAX = 16383;
const LBA28_SECTORS = 0x0fffffff;

export interface Geometry {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectors: number;
}

/** ATA/ATAPI-6 annex C: 16 heads of 63 sectors, at most 16383 cylinders. */
export function geometryOf(disk: Disk): Geometry {
  const cylinders = Math.floor(disk.sectors / (HEADS * SECTORS_PER_TRACK));
  return {
    cylinders: Math.min(Math.max(cylinders, 1), CYLINDERS_MAX),
    heads: HEADS,
    sectors: SECTORS_PER_TRACK,
  };
}

/** ATA/ATAPI-6 table 27. `multiple` is the setting of SET MULTIPLE MODE; `current` that of INITIALIZE DEVICE PARAMETERS. */
export function identify(disk: Disk, multiple: number, current: Geometry): Uint8Array {
  const bytes = new Uint8Array(512);
  const words = new DataView(bytes.buffer);
  const word = (n: number, value: number) => words.setUint16(n * 2, value, true);
  const dword = (n: number, value: number) => words.setUint32(n * 2, value, true);
  const geometry = geometryOf(disk);
  word(0, 0x0040); // an ATA device, not removable
  word(1, geometry.cylinders);
  word(3, geometry.heads);
  word(6, geometry.sectors);
  text(bytes, 10, 10, disk.serial);
  text(bytes, 23, 4, '1.0');
  text(bytes, 27, 20, 'PVOPS HARDDISK');
  word(47, 0x8000 | MULTIPLE_MAX);
  word(49, 0x0a00); // LBA, IORDY; no DMA
  word(50, 0x4000);
  word(51, 0x0200); // PIO mode 2 timing, for hosts that look nowhere else
  word(53, 0x0003); // words 54 to 58 and 64 to 70 are valid
  word(54, current.cylinders);
  word(55, current.heads);
  word(56, current.sectors);
  dword(57, current.cylinders * current.heads * current.sectors);
  word(59, multiple > 0 ? 0x100 | multiple : 0);
  dword(60, Math.min(disk.sectors, LBA28_SECTORS));
  word(64, 0x0003); // PIO modes 3 and 4
  word(67, 120);
  word(68, 120);
  word(80, 0x0070); // ATA/ATAPI-4 to 6
  word(82, 0x4000); // NOP
  word(83, 0x7400); // FLUSH CACHE EXT, FLUSH CACHE, 48-bit addresses
  word(84, 0x4000);
  word(85, 0x4000);
  word(86, 0x3400);
  word(87, 0x4000);
  word(93, 0x6001); // the reset found device 0 well, on an 80-conductor cable
  dword(100, disk.sectors % 2 ** 32);
  dword(102, Math.floor(disk.sectors / 2 ** 32));
  return bytes;
}

/** Texts are padded with spaces, the first character in the high byte of each word. */
function text(bytes: Uint8Array, word: number, words: number, value: string): void {
  for (let i = 0; i < words * 2; i++) {
    bytes[(word * 2 + i) ^ 1] = i < value.length ? value.charCodeAt(i) : 0x20;
  }
}
