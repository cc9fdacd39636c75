// A disk image with one ext4 partition that GRUB boots from, built of Debian's tools without root.

import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { runTool } from './host-tools.ts';

const GRUB = '/usr/lib/grub/i386-pc';
const SECTOR = 512;
const PARTITION_AT = 2048;
const PARTITION_MIB = 40;
/** Code of boot.img before the partition table of the MBR (GRUB's boot.S, GRUB_BOOT_MACHINE_PART_START). */
const BOOT_CODE_BYTES = 440;
const MODULES = 'biosdisk part_msdos ext2 linux normal serial terminal configfile echo'.split(' ');

/** `files` by their paths in the partition; `config` is its /boot/grub/grub.cfg. */
export function makeGrubDisk(
  folder: string,
  config: string,
  files: Readonly<Record<string, Uint8Array>>,
): string {
  const root = join(folder, 'root');
  const all = { ...files, '/boot/grub/grub.cfg': Buffer.from(config) };
  for (const [path, bytes] of Object.entries(all)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), bytes);
  }
  const image = join(folder, 'grub.img');
  const core = join(folder, 'core.img');
  closeSync(openSync(image, 'w'));
  truncateSync(image, PARTITION_AT * SECTOR + PARTITION_MIB * 2 ** 20);
  runTool('mke2fs', [
    ...['-q', '-t', 'ext4', '-O', '^metadata_csum,^64bit', '-d', root],
    ...['-E', `offset=${PARTITION_AT * SECTOR}`, image, `${PARTITION_MIB}M`],
  ]);
  runTool('grub-mkimage', [
    '-O',
    'i386-pc',
    '-p',
    '(hd0,msdos1)/boot/grub',
    '-o',
    core,
    ...MODULES,
  ]);
  const handle = openSync(image, 'r+');
  writeSync(handle, masterBootRecord(), 0, SECTOR, 0);
  // In the gap before the partition: boot.img reads its first sector from sector 1, and that the rest from sector 2.
  const coreBytes = readFileSync(core);
  writeSync(handle, coreBytes, 0, coreBytes.length, SECTOR);
  closeSync(handle);
  return image;
}

function masterBootRecord(): Uint8Array {
  const record = new Uint8Array(SECTOR);
  record.set(readFileSync(join(GRUB, 'boot.img')).subarray(0, BOOT_CODE_BYTES));
  const entry = new DataView(record.buffer, 446);
  // Active; type 83h is Linux; both ends lie beyond what cylinders, heads and sectors can say.
  record.set([0x80, 0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff], 446);
  entry.setUint32(8, PARTITION_AT, true);
  entry.setUint32(12, (PARTITION_MIB * 2 ** 20) / SECTOR, true);
  record.set([0x55, 0xaa], 510);
  return record;
}
